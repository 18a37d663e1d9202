"""The ledger over a results folder of real score files: what it finds, decides and writes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from score_rows import frame_of

from flexbench.claims.effects import effects_of
from flexbench.claims.ledger import AFTER, BEFORE, UNKNOWN, ledger_of
from flexbench.claims.output import ledger_json, ledger_markdown, ledger_text
from flexbench.claims.registry import (
    Claims,
    DrawnSettings,
    claim_digests,
    default_claims,
    read_claims,
)
from flexbench.claims.sides import NotRun, find_sides
from flexbench.claims.verdict import CANNOT_TELL, EQUIVALENT, FAILS, HOLDS
from flexbench.config.reading import load_config
from flexbench.graph import Graph, Job
from flexbench.metrics.calibration import sigma_ref
from flexbench.paths import receipt_of

SEEDS = [0, 1, 2, 3, 4, 5]
MEMBERS = 16
SETTINGS = {
    "training_seeds": SEEDS,
    "methods": ["flex", "unet", "fno", "dit", "interpolation", "persistence", "extrapolation"],
    "method_settings": {"interpolation-spectral": {}},
    "evaluations": {
        "ddim_16": {"methods": ["flex"], "sample": {"steps": 16}},
        "calibrated": {"methods": ["flex"], "sample": {"sampler": "calibrated"}},
        "unseen_re": {"reynolds": [250, 1500], "methods": ["flex", "interpolation", "persistence"]},
    },
}
# ln of a score over FLEX's, by case and method: who is better, and by how much.
LEVELS = {
    ("superres_x4", "unet"): 0.08,
    ("superres_x4", "fno"): 0.3,
    ("superres_x4", "dit"): 0.25,
    ("forecast", "unet"): -0.08,
    ("forecast", "fno"): 0.3,
    ("forecast", "dit"): 0.3,
}
# Of a perfect ensemble's: the pull of DDIM is far too wide on forecasts.
PULLS = {"forecast": 2.8}


def graph_below(root, **settings):
    overrides = {"tier": "desk", "root": str(root)} | SETTINGS | settings
    overrides["method_settings"] = settings.get("method_settings", {})
    base = load_config({"tier": "desk"}).model_dump(mode="json")
    whole = base | overrides | {"tier": "made-up"}
    return Graph.of(load_config(whole))


def write_scores(graph, levels=LEVELS, *, noise=0.004):
    """Score files of all jobs of a graph, as `score` writes them, and the run's configuration."""
    for job in graph.jobs:
        level = levels.get((job.case, job.method), 0.6 if graph.is_formula(job.method) else 0.0)
        write_run(graph, job, level, noise=noise)
    graph.layout.config.write_text(graph.text)


def write_run(graph, job, level, *, noise):
    random = np.random.default_rng([job.seed, *job.case.encode(), *job.method.encode()])
    shift = level + noise * random.normal()
    width = PULLS.get(job.case, 1.0) * sigma_ref(MEMBERS)
    snapshots = []
    for run in graph.case(job.case).runs:
        flow = np.random.default_rng(run.seed).normal(0, 0.3)
        value = float(np.exp(shift + flow + noise * random.normal()))
        pull = width * float(np.exp(noise * random.normal()))
        scores = {
            **{"rfne_mean": 0.2 * value, "crps": value, "pull_square": pull**2, "pull_mean": 0.0},
            **{"pull_ratio": 1.0, "spread": value, "skill": value, "spread_skill": 1.0},
            ("spectrum_error", "k=1-2"): 0.01 * value,
            ("spectrum_error", "k=3-10"): 0.1 * value,
        }
        snapshots.append((run.reynolds, run.seed, 3, scores))
    mode = "formula" if graph.is_formula(job.method) else "denoiser"
    labels = {"members": MEMBERS, "mode": mode, "training_seed": job.seed, "case": job.case}
    path = graph.layout.scores(job.case, job.method, job.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame_of(job.method, snapshots, **labels).to_csv(path, index=False)


@pytest.fixture(scope="module")
def claims():
    return read_claims(default_claims())


@pytest.fixture
def graph(tmp_path):
    graph = graph_below(tmp_path)
    write_scores(graph)
    return graph


def verdicts(ledger):
    return {entry.name: entry.verdict for entry in ledger.entries}


def decisions(ledger, claim, **wanted):
    (entry,) = (it for it in ledger.entries if it.name == claim)
    return [
        it
        for it in entry.decisions
        if all(getattr(it.part, key) == value for key, value in wanted.items())
    ]


def test_every_claim_is_judged_by_the_scores(graph, claims):
    ledger = ledger_of(graph, claims)
    found = verdicts(ledger)
    assert list(found) == list(claims.claims)
    assert {name for name, verdict in found.items() if verdict != CANNOT_TELL} == {
        *("3", "4a", "4b", "4c", "5a", "6a", "10b")
    }
    assert found["5a"] == HOLDS
    assert found["6a"] == FAILS  # U-Net is better there: one part that fails is enough
    assert found["3"] == found["4b"] == found["10b"] == EQUIVALENT
    assert found["4a"] == FAILS  # calibrated on one task, far from it on the other
    assert {it.verdict for it in decisions(ledger, "4a", task="superres")} == {EQUIVALENT}
    assert found["4c"] == FAILS  # what is calibrated in two steps is no better in sixteen
    (unet,) = decisions(ledger, "5a", against="unet", score="rfne_mean")
    assert unet.effect == pytest.approx(0.08, abs=0.01)
    assert unet.low < unet.effect < unet.high
    assert (unet.seeds, unet.trajectories) == (6, 12)
    assert unet.adjusted == HOLDS
    assert 0 < unet.smallest_visible < 0.02
    (formula,) = decisions(ledger, "10a", against="best-formula", task="superres")
    assert formula.verdict == HOLDS
    assert formula.effect == pytest.approx(0.6, abs=0.01)
    assert formula.sides.own.case == "superres_x4.unseen_re"


def test_what_was_not_run_says_what_it_needs(graph, claims):
    ledger = ledger_of(graph, claims)
    (public,) = (entry for entry in ledger.entries if entry.name == "0")
    assert "checkpoint" in public.claim.lacking
    assert public.verdict == CANNOT_TELL
    for claim, words in {
        "2": "flex-eps ({network: flex, diffusion: {target: eps}}; as many patches in training)",
        "5b": "unet-longer ({network: unet}; as many FLOPs in training) on superres by ddim in 2",
        "12": "superres with walls (free_slip)",
        "11a": "superres of velocity u",
        "1c": "superres with residual: false",
    }.items():
        first = decisions(ledger, claim)[0]
        assert first.open.startswith("not run here: needs ")
        assert words in first.open
    (missing,) = decisions(ledger, "10a", against="unet", task="superres")
    assert "unet" in missing.open
    assert "at Re that was not trained on" in missing.open


def test_a_deleted_seed_leaves_it_open(graph, claims):
    graph.layout.scores("superres_x4", "unet", 3).unlink()
    ledger = ledger_of(graph, claims)
    assert verdicts(ledger)["5a"] == CANNOT_TELL
    for it in decisions(ledger, "5a", against="unet"):
        assert it.open == "needs 6 training seeds, has 5"
        assert np.isnan(it.low)
    # FNO and DiT were registered with three seeds, and have all of theirs.
    assert {it.verdict for it in decisions(ledger, "5a", against="fno")} == {HOLDS}
    for seed in SEEDS:
        graph.layout.scores("superres_x4", "dit", seed).unlink()
    (it,) = decisions(ledger_of(graph, claims), "5a", against="dit", score="crps")
    assert it.open == "not run here: needs the scores of dit on superres_x4, which are not made yet"


def test_swapped_files_flip_a_comparison(graph, claims):
    before = ledger_of(graph, claims)
    for seed in SEEDS:
        one, other = (graph.layout.scores("superres_x4", it, seed) for it in ("flex", "unet"))
        text = one.read_text()
        one.write_text(other.read_text())
        other.write_text(text)
    after = ledger_of(graph, claims)
    for score in ("rfne_mean", "crps", "spectrum_error"):
        pair = [decisions(it, "5a", against="unet", score=score)[0] for it in (before, after)]
        assert [it.verdict for it in pair] == [HOLDS, FAILS]
        assert pair[0].effect == pytest.approx(-pair[1].effect)
        assert pair[0].low == pytest.approx(-pair[1].high)
    assert verdicts(after)["5a"] == FAILS


def test_a_missing_number_is_no_verdict(graph, claims):
    path = graph.layout.scores("superres_x4", "fno", 2)
    frame = pd.read_csv(path)
    frame.loc[frame["score"] == "crps", "value"] = np.nan
    frame.to_csv(path, index=False)
    ledger = ledger_of(graph, claims)
    (it,) = decisions(ledger, "5a", against="fno", score="crps")
    assert (it.verdict, it.open) == (CANNOT_TELL, "crps is missing, or no positive number")
    (it,) = decisions(ledger, "5a", against="fno", score="rfne_mean")
    assert it.verdict == HOLDS


def test_methods_are_found_by_what_they_are(tmp_path, claims):
    """Not by their names: a U-Net under another name is one, and what is no U-Net is none."""
    methods = {
        "methods": ["flex", "rival", "unet"],
        "method_settings": {
            "rival": {"network": "unet", "train": {"learning_rate": 1.0e-3}},
            "unet": {"network": "unet", "options": {"blocks": 2}},
        },
        "evaluations": {},
    }
    graph = graph_below(tmp_path / "a", **methods)
    write_scores(graph, {("superres_x4", "rival"): 0.1, ("superres_x4", "unet"): -0.1})
    (it,) = decisions(ledger_of(graph, claims), "5a", against="unet", score="crps")
    assert (it.sides.other.method, it.verdict) == ("rival", HOLDS)

    methods["method_settings"]["rival"]["train"]["steps"] = 1000  # twice what FLEX has seen
    graph = graph_below(tmp_path / "b", **methods)
    write_scores(graph)
    (it,) = decisions(ledger_of(graph, claims), "5a", against="unet", score="crps")
    assert it.open.startswith("not run here: needs unet ({network: unet}; as many patches")
    assert decisions(ledger_of(graph, claims), "5b", against="unet-longer")[0].sides is None

    for method, flops in (("flex", 2.0e15), ("rival", 2.02e15)):
        for seed in SEEDS:
            write_receipt(graph.weights("superres_x4", method, seed)[0], flops=flops)
    (it,) = decisions(ledger_of(graph, claims), "5b", against="unet-longer", score="crps")
    assert it.sides.other.method == "rival"


def write_receipt(output, **facts):
    path = receipt_of(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = {key: {} for key in ("outputs", "inputs", "slice", "versions")}
    path.write_text(json.dumps(empty | {"facts": facts}))


def test_receipts_of_samples_tell_when_claims_were_registered(graph, claims):
    digests = claim_digests(claims)

    def told():
        return {it.name: it.registration for it in ledger_of(graph, claims).entries}

    judged = {
        it.name for it in ledger_of(graph, claims).entries if any(d.sides for d in it.decisions)
    }
    assert told() == {name: UNKNOWN if name in judged else None for name in digests}
    samples = {job: graph.layout.samples(job.case, job.method, job.seed) for job in graph.jobs}
    for path in samples.values():
        write_receipt(path, claims=digests)
    assert {told()[name] for name in judged} == {BEFORE}
    (fno,) = (path for job, path in samples.items() if job == Job("superres_x4", "fno", 1))
    write_receipt(fno, claims=digests | {"5a": "another", "6a": "another"})
    assert {name for name in judged if told()[name] == AFTER} == {"5a"}
    write_receipt(fno, claims="one digest of all claims, as once it was")
    assert {name for name in judged if told()[name] == UNKNOWN} == {"5a"}


def test_an_edited_claim_is_named_by_the_ledger(graph, claims):
    for job in graph.jobs:
        path = graph.layout.samples(job.case, job.method, job.seed)
        write_receipt(path, claims=claim_digests(claims))
    text = ledger_text(ledger_of(graph, claims))
    assert "All that is judged was registered before the runs." in text
    values = claims.model_dump(mode="json", exclude_defaults=True)
    values["claims"]["3"]["comparisons"][0]["says"]["margin"] = 0.05
    edited = Claims.model_validate(values)
    assert "Written after the fact: 3; Registered before the runs: 4a" in ledger_text(
        ledger_of(graph, edited)
    )


def test_sizes_and_rates_are_told_apart(tmp_path, claims):
    """An arm without a size is of any that its rival has, too; one with a size has another."""
    small = {"network": "flex", "size": "XXS"}
    methods = {
        "methods": ["flex", "small", "small-plain", "small-slow", "extrapolation", "interpolation"],
        "method_settings": {
            "small": small,
            "small-plain": small | {"options": {"transformer": False}},
            "small-slow": small | {"train": {"learning_rate": 5.0e-4}},
        },
        "evaluations": {"many": {"methods": ["flex"], "sample": {"members": 32}}},
    }
    graph = graph_below(tmp_path, **methods)
    write_scores(graph, {("superres_x4", "small-plain"): 0.1, ("superres_x4", "small"): 0.05})
    ledger = ledger_of(graph, claims)
    (it,) = decisions(ledger, "7", task="superres", score="crps")
    assert (it.sides.own.method, it.sides.other.method) == ("small", "small-plain")
    (it,) = decisions(ledger, "14a", task="superres", score="crps")
    assert (it.sides.own.method, it.sides.other.method) == ("flex", "small")
    slow = claims.arms["flex-slow"]
    part = next(part for part in claims.parts if part.claim == "7")
    found = find_sides(graph, with_arm(claims, "flex-no-transformer", slow), part)
    assert (found.own.method, found.other.method) == ("small", "small-slow")

    drawn = DrawnSettings(sampler="ddim", steps=2, members=32)
    many = replace(part, settings=part.settings.model_copy(update={"drawn": drawn}))
    alone = with_arm(claims, "flex-no-transformer", claims.arms["flex-xxs"])
    with pytest.raises(NotRun, match="in 2 steps with 32 members"):
        find_sides(graph, alone, many)
    here = replace(many, settings=many.settings.model_copy(update={"against": ["perfect"]}))
    assert (
        find_sides(graph, claims, replace(here, against="perfect")).own.case == "superres_x4.many"
    )


def with_arm(claims, name, arm):
    return claims.model_copy(update={"arms": claims.arms | {name: arm}})


def test_the_verb_prints_the_ledger(graph, claims, entry, tmp_path):
    """Of scores that are there; without them, the page that was tabulated with them."""
    layout = graph.layout
    (tmp_path / "desk").symlink_to(layout.folder)
    layout.config.write_text(graph.text.replace("tier: made-up", "tier: desk"))
    asked = ("claims", "--tier", "desk", "--set", f"root={tmp_path}")
    code, printed, errors = entry(*asked)
    assert (code, errors) == (0, [])
    lines = printed.splitlines()
    assert any(line.split()[:2] == ["5a", "holds"] for line in lines)
    assert any(line.split()[:2] == ["6a", "fails"] for line in lines)
    assert any(UNKNOWN in line for line in lines)

    ledger = ledger_of(graph, claims)
    layout.claims_page.parent.mkdir()
    layout.claims_page.write_text(ledger_markdown(ledger))
    shutil.rmtree(layout.folder / "scores")
    code, printed, errors = entry(*asked)
    assert (code, errors) == (0, [])
    assert "## 5a: at equal parameters FLEX beats U-Net, FNO and DiT" in printed
    assert printed.count("\n## ") == len(claims.claims)
    assert printed.splitlines()[-1].startswith("as tabulated with the scores, which are not here:")


def test_the_ledger_as_json_holds_every_number(graph, claims):
    written = json.loads(ledger_json(ledger_of(graph, claims)))
    assert written["claims"]["5a"]["verdict"] == HOLDS
    assert written["claims"]["0"]["verdict"] == CANNOT_TELL
    compared = written["claims"]["5a"]["comparisons"]
    assert {it["training_seeds"] for it in compared} == {6}
    assert all(it["low"] <= it["effect"] <= it["high"] for it in compared)
    missing = written["claims"]["2"]["comparisons"][0]
    assert (missing["effect"], missing["p"], missing["verdict"]) == (None, None, CANNOT_TELL)


def test_without_a_run_the_verb_says_so(entry, tmp_path):
    code, _, errors = entry("claims", "--tier", "desk", "--set", f"root={tmp_path}")
    assert code == 1
    assert errors == [
        f"flexbench: error: {tmp_path}/desk: holds no run; `flexbench run tabulate --tier desk` "
        "makes it"
    ]


def frames(method, values, score="crps", **labels):
    """Score rows: values (S, T), a snapshot each."""
    return pd.concat(
        frame_of(
            method,
            [(500.0, flow, 0, {score: value}) for flow, value in enumerate(row)],
            training_seed=seed,
            **labels,
        )
        for seed, row in enumerate(values)
    )


def test_effects_are_those_taken_by_hand():
    random = np.random.default_rng(0)
    own, other = (np.exp(random.normal(size=(3, 4))) for _ in range(2))
    how = {"score": "crps", "direction": "lower"}
    found = effects_of(frames("a", own), frames("b", other), **how)
    np.testing.assert_allclose(found.values, np.log(other / own))
    assert (found.seeds, found.strata) == ((0, 1, 2), (4,))
    # A formula has one seed, which goes with all; what only one side predicts does not count.
    formula = frames("c", other[:1, 1:], mode="formula").assign(seed=lambda it: it["seed"] + 1)
    formula["trajectory"] = "re500_seed" + formula["seed"].astype(str)
    found = effects_of(frames("a", own), formula, **how)
    np.testing.assert_allclose(found.values, np.log(other[:1, 1:] / own[:, 1:]))
    found = effects_of(frames("a", own), frames("b", other[:2]), **how)
    assert found.seeds == (0, 1)
    elsewhere = frames("b", other).assign(trajectory="re1_seed9")
    assert effects_of(frames("a", own), elsewhere, **how) is None


def test_nearer_to_one_is_better_from_either_side():
    own, other = np.full((3, 4), 0.9), np.full((3, 4), 1.5)
    rows, reference = (frames("a", it, score="central_mass") for it in (own, other))
    found = effects_of(rows, reference, score="central_mass", direction="one")
    np.testing.assert_allclose(found.values, np.log(1.5) + np.log(0.9))
    found = effects_of(rows, None, score="central_mass", direction="one")
    np.testing.assert_allclose(found.values, np.log(0.9))
