"""Claims that rest on measured quantities: what the ledger makes of files of known effects."""

import numpy as np
import pytest
import yaml
from scipy import stats

from flexbench.claims.ledger import ledger_of
from flexbench.claims.output import ledger_json, ledger_markdown, ledger_text
from flexbench.claims.quantities import QUANTITIES
from flexbench.claims.registry import claim_digests, default_claims, read_claims
from flexbench.claims.verdict import CANNOT_TELL, FAILS, HOLDS, Superiority, judge, weigh_units
from flexbench.config.reading import load_config
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.provenance import plain
from flexbench.theory.tables import GRADIENTS, SPACES, TARGETS

TIMES = (0.25, 0.75)
MOMENTS = (0.1, 0.5, 1.0)
SEEDS = (0, 1, 2)


def write_targets(graph, task, effect, *, noise=0.02):
    """ln(fields / residuals) is `effect` in the mean over t; at unit variance it is 0."""
    rows, random = [], np.random.default_rng(3)
    for run in graph.runs("train"):
        own = effect + noise * random.normal()
        for space in SPACES:
            for t, part in zip(TIMES, (0.5, 1.5), strict=True):
                values = {"equal": 2 * np.exp(own * part * (space == "fields")), "unit": 1.0}
                rows += (
                    {
                        **{"trajectory": run.stem, "reynolds": run.reynolds, "space": space},
                        **{"scaling": scaling, "t": t, "target_variance": value},
                        **{"variance": 1.0, "optimal_velocity": 0.5},
                    }
                    for scaling, value in values.items()
                )
    write(TARGETS.of(rows), graph.layout.targets(task))


def write_gradients(graph, task, effects, *, noise=0.02):
    """effects: of each moment; residuals have a noise scale of 100."""
    for seed in SEEDS:
        random = np.random.default_rng([seed, 5])
        for training, sign in ((task, 0), (f"{task}_fields", 1)):
            rows = [
                {
                    **{"training": training, "method": "flex-xxs", "training_seed": seed},
                    **{"moment": moment, "step": 1, "batches": 8, "squared_norm": 1.0},
                    "trace": 100 * np.exp(sign * (effect + noise * random.normal())),
                }
                for moment, effect in zip(MOMENTS, effects, strict=True)
            ]
            rows = [row | {"noise_scale": row["trace"]} for row in rows]
            write(GRADIENTS.of(rows), graph.layout.gradients(training, "flex-xxs", seed))


def write(table, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


@pytest.fixture(scope="module")
def claims():
    """Those that rest on quantities, alone: the others look for scores."""
    claims = read_claims(default_claims())
    own = {name: claim for name, claim in claims.claims.items() if claim.measured}
    return claims.model_copy(update={"claims": own})


@pytest.fixture
def graph(tmp_path):
    graph = Graph.of(load_config({"tier": "study", "root": str(tmp_path)}))
    for task in ("superres_x4", "forecast"):
        write_targets(graph, task, 0.5)
        write_gradients(graph, task, (0.4, 0.4, 0.4))
    return graph


def entry_of(graph, claims, name):
    return next(it for it in ledger_of(graph, claims).entries if it.name == name)


def test_the_variance_of_the_target_is_judged_over_trajectories(graph, claims):
    entry = entry_of(graph, claims, "1a")
    assert (entry.verdict, entry.registration) == (HOLDS, None)
    assert len(entry.decisions) == 2
    for it in entry.decisions:
        assert it.effect == pytest.approx(0.5, abs=0.03)
        assert it.low < it.effect < it.high
        assert (it.seeds, it.trajectories) == (0, 12)
        assert (it.seeds_needed, it.trajectories_needed) == (None, 3)
    write_targets(graph, "forecast", 0.05)
    entry = entry_of(graph, claims, "1a")
    assert [it.verdict for it in entry.decisions] == [HOLDS, FAILS]
    assert entry.verdict == FAILS
    write_targets(graph, "forecast", 0.1, noise=0.5)
    it = entry_of(graph, claims, "1a").decisions[1]
    assert (it.verdict, it.seeds_needed) == (CANNOT_TELL, None)
    text = ledger_text(ledger_of(graph, claims))
    assert "variance of the target: residuals of forecast against fields" in text
    (line,) = (line for line in text.splitlines() if line.split()[:2] == ["1a", "can't"])
    assert "training trajectories" in line
    assert "seeds" not in line


def test_the_interval_is_student_s_over_units():
    """Within strata: of a mean, by hand; and 95 of 100 studies without an effect are open."""
    random = np.random.default_rng(0)
    effects = random.normal(size=(2000, 12)) + np.repeat([0.0, 3.0, -3.0], 4)
    found = weigh_units(effects, strata=(4, 4, 4))
    parts = effects[0].reshape(3, 4)
    error = np.sqrt(parts.var(axis=1, ddof=1).mean() / 12)
    half = stats.t.ppf(0.975, 9) * error
    low, high = found.interval()
    assert (low[0], high[0]) == pytest.approx((parts.mean() - half, parts.mean() + half))
    wrong = np.mean((low > 0) | (high < 0))
    assert abs(wrong - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000)
    verdicts = judge(Superiority(delta=0.0), found, seeds=0)
    assert verdicts.count(HOLDS) / 2000 < 0.04
    assert np.isnan(weigh_units(effects, strata=(11, 1)).error).all()


def test_the_noise_of_gradients_is_judged_at_every_moment(graph, claims):
    entry = entry_of(graph, claims, "1b")
    assert entry.verdict == HOLDS
    assert [(it.part.task, it.part.detail) for it in entry.decisions] == [
        (task, moment) for task in ("superres", "forecast") for moment in MOMENTS
    ]
    assert all((it.seeds, it.trajectories) == (3, 0) for it in entry.decisions)
    write_gradients(graph, "superres_x4", (0.4, 0.4, -0.4))
    entry = entry_of(graph, claims, "1b")
    assert [it.verdict for it in entry.decisions] == [HOLDS, HOLDS, FAILS, HOLDS, HOLDS, HOLDS]
    assert entry.verdict == FAILS
    page = ledger_markdown(ledger_of(graph, claims))
    assert (
        "noise scale of gradients at the end of training: flex-xxs on residuals of superres "
        "against fields"
    ) in page
    assert '"open": null' in ledger_json(ledger_of(graph, claims))


def test_a_deleted_file_leaves_it_open(graph, claims):
    graph.layout.targets("forecast").unlink()
    entry = entry_of(graph, claims, "1a")
    assert [it.verdict for it in entry.decisions] == [HOLDS, CANNOT_TELL]
    assert entry.verdict == CANNOT_TELL
    assert entry.decisions[1].open == (
        "not run here: needs variance of the target on forecast, which is not measured yet"
    )
    graph.layout.gradients("forecast_fields", "flex-xxs", 1).unlink()
    entry = entry_of(graph, claims, "1b")
    assert {it.open for it in entry.decisions} == {"", "needs 3 training seeds, has 2"}
    assert entry.verdict == CANNOT_TELL
    for seed in SEEDS:
        graph.layout.gradients("superres_x4", "flex-xxs", seed).unlink(missing_ok=True)
    told = entry_of(graph, claims, "1b").decisions[0].open
    assert told.endswith("on superres_x4 by flex-xxs, which is not measured yet")


def test_a_noise_scale_that_is_hidden_is_no_verdict(graph, claims):
    path = graph.layout.gradients("superres_x4", "flex-xxs", 2)
    table = GRADIENTS.read(path)
    table.loc[0, "noise_scale"] = np.nan
    write(table, path)
    first, second, *_ = entry_of(graph, claims, "1b").decisions
    assert (first.verdict, first.open) == (
        CANNOT_TELL,
        "noise scale of gradients at a tenth of the steps is missing, or no positive number",
    )
    assert second.verdict == HOLDS


def test_a_run_without_theory_says_what_it_needs(tmp_path, claims):
    graph = Graph.of(load_config({"tier": "desk", "root": str(tmp_path)}))
    for name in ("1a", "1b"):
        entry = entry_of(graph, claims, name)
        assert entry.verdict == CANNOT_TELL
        for it in entry.decisions:
            assert it.open.startswith("not run here: needs ")
            assert "section `theory` of a configuration asks for" in it.open


def test_what_is_registered_is_digested(tmp_path):
    before = claim_digests(read_claims(default_claims()))
    values = plain(read_yaml(default_claims()))
    values["claims"]["1b"]["measured"][0]["says"]["delta"] = 0.2
    values["arms"]["flex-xxs"]["options"] = {"weak": False}
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(values))
    after = claim_digests(read_claims(tmp_path / "claims.yaml"))
    assert {name for name in before if before[name] != after[name]} == {"1b", "14a"}


@pytest.mark.parametrize(
    ("claim", "change", "message"),
    [
        ("1a", {"quantity": "variance"}, "quantity: variance is none; did you mean 'target_var"),
        ("1a", {"tasks": ["superes"]}, "tasks: superes is none; did you mean 'superres'"),
        ("1a", {"direction": "higher"}, "direction: found higher, allowed: lower"),
        ("1a", {"seeds": 3}, "method, seeds: target_variance needs neither"),
        ("1b", {"seeds": 2}, "method, seeds: gradient_noise needs a method and seeds of at lea"),
        ("1b", {"method": "flax"}, r"claims.1b.measured: no arm flax; did you mean 'flex'"),
        ("1b", {"quantities": []}, "claims.1b.measured.0.quantities: unknown key; did you mean"),
    ],
)
def test_what_cannot_be_measured_is_refused(claim, change, message, tmp_path):
    values = plain(read_yaml(default_claims()))
    values["claims"][claim]["measured"][0] |= change
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(FlexbenchError) as caught:
        read_claims(tmp_path / "claims.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_quantity_is_one_of_the_registry(claims):
    assert {part.settings.quantity for part in claims.measured_parts} == set(QUANTITIES)
