"""The leaderboard: of each case, who is best by CRPS and by error, with calibration beside."""

import math

import pandas as pd

from flexbench.metrics.tables import ALL, LEADERBOARD, MARK

# What methods are ranked by: of the ensemble, and of its mean; smaller is better.
RANKED = ("crps", "rfne_mean")
# What says beside whether an ensemble can be trusted; 1 where it can.
BESIDE = ("pull_ratio", "spread_skill")
_COUNTS = ("members", "training_seeds", "trajectories")


def leaderboard(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each method of each case, in the order of cases in `scores`, best CRPS first.

    scores: the table of `aggregate`; all Reynolds numbers together count. Ranks begin with 1, and
    equal scores have one rank; a score that is no number has none, and stands last. An ensemble of
    one member has neither pull ratio nor spread over skill.
    """
    pooled = scores[(scores["reynolds"] == ALL) & (scores["detail"] == "")]
    parts = [_of_case(own) for _, own in pooled.groupby("case", sort=False)]
    return pd.concat(parts, ignore_index=True) if parts else LEADERBOARD.of([])


def _of_case(pooled: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for method, own in pooled.groupby("method", sort=False):
        first = own.iloc[0].to_dict()
        known = {str(it["score"]): it for it in own.to_dict("records")}
        row = {name: first[name] for name in ("tier", "case", MARK, *_COUNTS)} | {"method": method}
        for score in (*RANKED, *BESIDE):
            found = known.get(score, {})
            row[score] = found.get("value", math.nan)
            row |= {f"{score}_{end}": found.get(end, math.nan) for end in ("low", "high")}
        rows.append(row)
    table = pd.DataFrame(rows)
    for score in RANKED:
        table[f"rank_{score}"] = table[score].rank(method="min").astype("Int64")
    return table.sort_values("crps", kind="stable")[list(LEADERBOARD.columns)]
