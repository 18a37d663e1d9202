"""Scores by lead and correlation times, against brute force on synthetic ensembles."""

import numpy as np
import pytest

from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics.aggregate import BY_LEAD, aggregate, aggregate_leads
from flexbench.metrics.calibration import sigma_ref
from flexbench.metrics.rollout import correlation_time, rollout_lengths
from flexbench.metrics.score import score_samples
from flexbench.metrics.tables import SNAPSHOT_SCORES

GRID, MEMBERS, LEADS, TIMES, STRIDE = 16, 7, 6, 16, 2
INTERVAL = 0.1
# Two starts of each trajectory; targets of later leads meet.
STARTS = (1, 3)
LABELS = Labels(
    case="forecast.rollout",
    method="flex",
    mode="denoiser",
    training_seed=0,
    sampler="ddim",
    steps=2,
    parameters=10,
    flops=1.0,
    calls=2,
    feedback="member",
)


class World:
    """Trajectories, and ensembles whose error grows with the lead, faster for higher seeds."""

    def __init__(self, folder, growth):
        random = np.random.default_rng(5)
        self.truth, self.ensembles, self.paths, snapshots = {}, {}, {}, []
        for seed in range(len(growth)):
            stem = f"re500_seed{seed}"
            self.truth[stem] = random.normal(size=(TIMES, GRID, GRID)).astype(np.float32)
            self.paths[stem] = folder / f"{stem}.h5"
            write_trajectory(
                self.paths[stem],
                self.truth[stem],
                time=0.5 + INTERVAL * np.arange(TIMES),
                grid=GRID,
                reynolds=500.0,
                seed=seed,
                attributes={},
            )
            for start in STARTS:
                for lead in range(1, LEADS + 1):
                    index = start + STRIDE * lead
                    common, own = random.normal(size=(2, MEMBERS, GRID, GRID))
                    # Larger to one side, so that there is a slope of errors on spread.
                    size = growth[seed] * lead * np.geomspace(0.4, 1.6, GRID)
                    error = size * (0.7 * common[:1] + 0.7 * own)
                    members = (self.truth[stem][index] + error).astype(np.float32)
                    self.ensembles[stem, start, lead] = members.astype(float)
                    place = {"index": index, "time": 0.5 + INTERVAL * index, "lead": lead}
                    snapshots.append(Snapshot(trajectory=stem, reynolds=500.0, seed=seed, **place))
        write_samples(
            folder / "samples.h5",
            [fields.astype(np.float32)[:, None] for fields in self.ensembles.values()],
            snapshots=snapshots,
            shape=(MEMBERS, 1, GRID, GRID),
            labels=LABELS,
        )
        self.scored = score_samples(
            folder / "samples.h5", self.paths, case=LABELS.case, tier="desk", bands=3
        )
        table = folder / "scores.csv"
        self.scored.scores.to_csv(table, index=False)
        self.frame = SNAPSHOT_SCORES.read(table)

    def of_lead(self, lead):
        """(truth, ensemble) of every start, by trajectory."""
        return [
            [
                (self.truth[stem][start + STRIDE * lead].astype(float), members)
                for (own, start, of), members in self.ensembles.items()
                if own == stem and of == lead
            ]
            for stem in self.truth
        ]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), growth=(0.05, 0.3, 0.5, 0.9))


def averaged(groups, value):
    """Over the snapshots of each trajectory, then over trajectories."""
    return np.mean([np.mean([value(y, p) for y, p in group]) for group in groups])


def fair_crps(truth, members):
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1))
    each = np.abs(members - truth).mean(axis=0)
    return (each - pairs / (2 * MEMBERS * (MEMBERS - 1))).mean()


def brute_force(groups):
    def error(y, p):
        return ((p.mean(axis=0) - y) ** 2).mean()

    def pull(y, p):
        return (y - p.mean(axis=0)) / p.std(axis=0, ddof=1)

    factor = np.sqrt((MEMBERS + 1) / MEMBERS)
    spread = averaged(groups, lambda y, p: p.var(axis=0, ddof=1).mean())
    square = averaged(groups, lambda y, p: (pull(y, p) ** 2).mean())
    centre = averaged(groups, lambda y, p: pull(y, p).mean())
    return {
        "rfne_mean": averaged(groups, lambda y, p: np.sqrt(error(y, p) / (y**2).mean())),
        "pearson": averaged(groups, lambda y, p: correlation(y, p.mean(axis=0))),
        "crps": averaged(groups, fair_crps),
        "spread_skill": factor * np.sqrt(spread / averaged(groups, error)),
        "pull_ratio": np.sqrt(square - centre**2) / sigma_ref(MEMBERS),
    }


def correlation(y, p):
    return np.corrcoef(y.ravel(), p.ravel())[0, 1]


def test_scores_of_each_lead_are_brute_force(world):
    table = aggregate_leads([world.frame], bootstrap=200, confidence=0.95)
    assert set(table["score"]) == set(BY_LEAD)
    assert len(table) == len(BY_LEAD) * LEADS
    for lead in range(1, LEADS + 1):
        wanted = brute_force(world.of_lead(lead))
        for score, value in wanted.items():
            row = table[(table["score"] == score) & (table["lead"] == lead)].iloc[0]
            assert row["value"] == pytest.approx(value, rel=1e-5), (score, lead)
            assert row["low"] < row["value"] < row["high"]
            assert row["trajectories"] == 4


def test_one_lead_has_the_interval_of_that_lead_alone(world):
    """Rows of a lead are what the table of scores says of the same rows as a case of its own."""
    table = aggregate_leads([world.frame], bootstrap=200, confidence=0.95)
    alone = world.frame[world.frame["lead"] == 3]
    scores = aggregate([alone], bootstrap=200, confidence=0.95)
    for score in BY_LEAD:
        ours = table[(table["score"] == score) & (table["lead"] == 3)].iloc[0]
        same = (scores["score"] == score) & (scores["reynolds"] == "all") & (scores["detail"] == "")
        theirs = scores[same].iloc[0]
        assert tuple(ours[["value", "low", "high"]]) == pytest.approx(
            tuple(theirs[["value", "low", "high"]])
        )


def first_lost(correlations):
    for lead, value in enumerate(correlations, start=1):
        if value < 0.8:
            return lead
    return len(correlations)


def test_correlation_times_are_brute_force(world):
    rows = world.scored.scores
    wanted = {"correlation_time": [], "correlation_time_member": [], "correlation_censored": []}
    for stem in world.truth:
        for start in STARTS:
            pairs = [
                (world.truth[stem][start + STRIDE * lead], world.ensembles[stem, start, lead])
                for lead in range(1, LEADS + 1)
            ]
            mean = [correlation(y, p.mean(axis=0)) for y, p in pairs]
            each = [
                first_lost([correlation(y, p[member]) for y, p in pairs])
                for member in range(MEMBERS)
            ]
            lead_time = STRIDE * INTERVAL
            wanted["correlation_time"].append(first_lost(mean) * lead_time)
            wanted["correlation_time_member"].append(np.mean(each) * lead_time)
            wanted["correlation_censored"].append(float(min(mean) >= 0.8))
    assert len(set(wanted["correlation_time"])) > 2
    assert set(wanted["correlation_censored"]) == {0.0, 1.0}
    for score, values in wanted.items():
        own = rows[rows["score"] == score]
        assert list(own["lead"].unique()) == [LEADS]
        np.testing.assert_allclose(own["value"], values, rtol=1e-9)
    table = aggregate([world.frame], bootstrap=50, confidence=0.95)
    pooled = table[(table["score"] == "correlation_time") & (table["reynolds"] == "all")].iloc[0]
    assert pooled["value"] == pytest.approx(np.mean(wanted["correlation_time"]))


def test_a_correlation_time_that_may_be_longer_has_no_upper_bound(world):
    frame = world.frame
    lasted = frame["score"] == "correlation_censored"
    for share, bounded in ((0.0, True), (1.0, False)):
        table = aggregate(
            [frame.assign(value=frame["value"].mask(lasted, share))], bootstrap=50, confidence=0.95
        )
        times = table[table["score"].str.startswith("correlation_time") & table["low"].notna()]
        assert len(times)
        assert (times["high"].notna() == bounded).all()


def test_a_forecast_that_blew_up_is_lost():
    assert correlation_time(np.array([0.9, np.nan, 0.9]), 0.5) == 1.0
    assert correlation_time(np.array([0.9, 0.8, 0.7, 0.9]), 0.5) == 1.5  # exactly 0.8 is not below
    assert correlation_time(np.array([0.79, 0.9]), 0.5) == 0.5


def test_spectra_stand_for_first_middle_and_last_lead(world):
    spectra = world.scored.spectra
    assert sorted(spectra["lead"].unique()) == [1, 3, 6]
    assert not spectra.duplicated(["trajectory", "index", "lead", "k"]).any()


def test_snapshots_that_leads_share_are_counted_apart(world):
    table = aggregate([world.frame], bootstrap=10, confidence=0.95)
    rfne = table[(table["score"] == "rfne_mean") & (table["reynolds"] == "all")].iloc[0]
    assert rfne["snapshots"] == 4 * len(STARTS) * LEADS


def test_without_rollouts_there_is_nothing_by_lead(world):
    single = world.frame[world.frame["lead"] == 1]
    table = aggregate_leads([single], bootstrap=10, confidence=0.95)
    assert table.empty
    assert "lead" in table


def test_leads_have_to_follow_one_another(tmp_path):
    assert rollout_lengths([1, 2, 3, 1, 1, 2], path=tmp_path) == [3, 3, 3, 1, 2, 2]
    assert rollout_lengths([1, 1], path=tmp_path) == [1, 1]
    for leads in ([2], [1, 3], [1, 2, 2], [0]):
        with pytest.raises(FlexbenchError, match="dataset 'lead'"):
            rollout_lengths(leads, path=tmp_path)
