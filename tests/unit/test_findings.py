"""Findings say what the tables say: change a table, and the sentences change."""

import json
import math
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.findings.evidence import Evidence
from flexbench.findings.make import findings_of
from flexbench.findings.names import case_names, method_names
from flexbench.findings.output import findings_json, read_findings
from flexbench.findings.standing import CHANCE
from flexbench.findings.warnings import _WORDS
from flexbench.graph import Graph
from flexbench.metrics.flag_types import DEFECTS, NOTES, Flag
from flexbench.metrics.tables import COMPARISONS, COST, LEADS, SCORES
from flexbench.paths import checkout

SR, FORECAST = "superres_x4", "forecast"
FORMULAS = ("interpolation", "persistence")
BANDS = ("k=1-2", "k=3-10")
# Error, pull ratio and FLOPs (in units of 1e9) of every method on its cases.
USUAL = {
    (SR, "flex"): (0.2, 2.7, 24.0),
    (SR, "unet"): (0.23, 2.6, 12.0),
    (SR, "interpolation"): (0.25, math.nan, 0.0),
    (FORECAST, "flex"): (0.16, 2.5, 24.0),
    (FORECAST, "unet"): (0.2, 2.2, 12.0),
    (FORECAST, "persistence"): (0.45, math.nan, 0.0),
    ("superres_x4.calibrated", "flex"): (0.21, 1.02, 24.0),
    ("forecast.no_slip", "flex"): (0.17, 1.3, 24.0),
    ("forecast.no_slip", "persistence"): (0.5, math.nan, 0.0),
    ("forecast.rollout", "flex"): (0.4, 1.0, 37.0),
    ("forecast.rollout", "persistence"): (0.9, math.nan, 0.0),
}
CLAIMS = {
    "source": "a paper",
    "claims": {
        "1": {"verdict": "holds", "comparisons": [{"low": 0.1}]},
        "2": {"verdict": "fails", "comparisons": [{"low": 0.1}]},
        "3": {"verdict": "can't tell", "comparisons": [{"low": None}]},
    },
}


@pytest.fixture(scope="module")
def graph():
    return Graph.of(load_config({"tier": "desk"}))


def evidence_of(graph, world=USUAL, *, width=0.02, seeds=1, flags=(), claims=CLAIMS, **changes):
    """Tables of a world. width: of the paired intervals, relative to 1; NaN: there are none."""
    tables = {
        "scores": SCORES.of(_scores(world, seeds)),
        "comparisons": COMPARISONS.of(_comparisons(world, width)),
        "cost": COST.of(
            {"case": case, "method": method, "training_seed": seed, "parameters": 9e5}
            | {"flops_per_member": 1e9 * flops, "relative_time": 10 * flops or math.nan}
            for (case, method), (_, _, flops) in world.items()
            for seed in range(seeds)
        ),
        "leads": LEADS.of(
            {"case": case, "method": method, "score": "rfne_mean", "lead": lead}
            | {"value": error * lead / 4}
            for (case, method), (error, *_) in world.items()
            for lead in range(1, 7)
            if case.endswith("rollout")
        ),
    }
    return Evidence(graph=graph, flags=list(flags), claims=claims, **(tables | changes))


def _scores(world, seeds):
    for ((case, method), (error, pull, _)), reynolds in product(world.items(), ("all", "500")):
        run = {"case": case, "method": method, "reynolds": reynolds, "detail": ""}
        run |= {"mode": "formula" if method in FORMULAS else "denoiser", "trajectories": 12}
        run |= {"snapshots": 12, "training_seeds": 1 if method in FORMULAS else seeds}
        values = {"rfne_mean": error, "crps": 10 * error}
        if pull == pull:
            values["pull_ratio"] = pull
        for score, value in values.items():
            ends = {"value": value, "low": 0.99 * value, "high": 1.01 * value}
            yield run | ends | {"score": score}


def _comparisons(world, width):
    """Paired as `comparisons` pairs: with the best formula, FLEX, and another best network."""
    for case in dict.fromkeys(case for case, _ in world):
        errors = {method: it[0] for (own, method), it in world.items() if own == case}
        learned = [it for it in errors if it not in FORMULAS and errors[it] == errors[it]]
        formulas = [it for it in errors if it in FORMULAS]
        best = {"flex": "flex"} if "flex" in errors else {}
        best |= {"best formula": min(formulas, key=errors.get)} if formulas else {}
        first = min(learned, key=errors.get, default=None)
        best |= {"best network": first} if first not in (None, "flex") else {}
        for (label, other), method in product(best.items(), errors):
            if method != other and not (label == "best network" and method in FORMULAS):
                ratio = errors[method] / errors[other]
                ends = {"value": ratio, "low": ratio * (1 - width), "high": ratio * (1 + width)}
                for score in ("rfne_mean", "crps"):
                    run = {"case": case, "method": method, "reference": label, "score": score}
                    yield run | ends | {"reynolds": "all", "trajectories": 12}


def told(graph, about, world=USUAL, *, case="", **more):
    """The sentences about something, as one text."""
    found = findings_of(evidence_of(graph, world, **more))
    rows = [*found.minute, *found.cannot_tell]
    return " ".join(it.text for it in rows if it.about == about and (not case or it.case == case))


# --- who wins -------------------------------------------------------------------------------


def test_the_winner_and_its_lead(graph):
    text = told(graph, "winner", case=SR)
    assert text.startswith(
        "Super-resolution ×4: FLEX wins. U-Net's error is 15 % larger (13 to 17)."
    )
    assert (
        "FLEX's error is 20 % of the field, 20 % smaller (18 to 22) than that of the best" in text
    )
    assert text.endswith("CRPS, which judges the whole ensemble, agrees.")


def test_a_longer_training_is_told(graph):
    """FNO's, on this tier, of all networks."""
    won = USUAL | {(SR, "fno"): (0.1, 2.6, 5.0)}
    text = told(graph, "winner", won, case=SR)
    assert "FNO wins." in text
    assert text.endswith("But FNO saw 1.7 times as many patches in training as FLEX.")
    assert "patches" not in told(graph, "winner", case=SR)


def test_another_winner(graph):
    text = told(graph, "winner", USUAL | {(SR, "unet"): (0.1, 2.6, 12.0)}, case=SR)
    assert "U-Net wins. FLEX's error is 2.0 times as large (2.0 to 2.0)." in text
    assert "FLEX wins" not in text


def test_a_rival_that_is_not_flex_is_compared_with_the_best_network(graph):
    """Neither of the first two is FLEX, and FLEX itself may be missing."""
    world = {(SR, "unet"): (0.1, 2.0, 1.0), (SR, "fno"): (0.12, 2.0, 1.0)}
    text = told(graph, "winner", world, case=SR)
    assert "U-Net wins. FNO's error is 20 % larger (18 to 22)." in text
    assert "no formula was run" in text


@pytest.mark.parametrize(
    ("unet", "width", "seeds", "words"),
    [
        (0.201, 0.02, 1, "undecided between FLEX and U-Net."),
        (0.201, 0.02, 3, "undecided between FLEX and U-Net."),
        (0.2 * (1 + CHANCE - 0.01), 0.01, 1, "FLEX is ahead, no winner."),
        (0.2 * (1 + CHANCE - 0.01), 0.01, 3, "FLEX wins."),
        (0.2 * (1 + CHANCE + 0.02), 0.01, 1, "FLEX wins."),
        (0.4, math.nan, 1, "too few flows tell whether it beats U-Net."),
    ],
)
def test_a_word_of_winning_comes_from_the_paired_interval(graph, unet, width, seeds, words):
    world = USUAL | {(SR, "unet"): (unet, 2.6, 12.0)}
    text = told(graph, "winner", world, case=SR, width=width, seeds=seeds)
    assert words in text
    assert ("wins" in text) == ("wins" in words)
    assert ("may be chance" in text) == ("no winner" in words)


def test_one_rival_of_three_that_is_level_is_enough(graph):
    world = USUAL | {(SR, "fno"): (0.201, 2.0, 1.0)}
    assert "undecided between FLEX and FNO." in told(graph, "winner", world, case=SR)


def test_crps_that_disagrees_is_told(graph):
    evidence = evidence_of(graph)
    scores = evidence.scores.copy()
    own = (scores["score"] == "crps") & (scores["method"] == "unet")
    scores.loc[own, ["value", "low", "high"]] = 0.5
    comparisons = evidence.comparisons.copy()
    crps = comparisons["score"] == "crps"
    comparisons = pd.concat(
        [
            comparisons,
            comparisons[crps & (comparisons["method"] == "unet")].assign(
                method="flex", reference="best network", value=4.0, low=3.9, high=4.1
            ),
        ]
    )
    text = told(graph, "winner", case=SR, scores=scores, comparisons=comparisons)
    assert "FLEX wins." in text
    assert "By CRPS, which judges the whole ensemble, U-Net wins." in text


def test_a_network_that_loses_to_a_formula(graph):
    world = {key: it for key, it in USUAL.items() if key != (SR, "unet")}
    text = told(graph, "winner", world | {(SR, "flex"): (0.3, 2.7, 24.0)}, case=SR)
    assert "FLEX is the only network." in text
    assert "20 % larger (18 to 22) than that of the best formula" in text
    tied = told(graph, "winner", world | {(SR, "flex"): (0.251, 2.7, 24.0)}, case=SR)
    assert "no better for sure than that of the best formula, interpolation" in tied


def test_formulas_alone(graph):
    world = {(SR, "interpolation"): (0.25, math.nan, 0.0)}
    found = findings_of(evidence_of(graph, world))
    assert [it.about for it in found.minute] == ["winner", "claims"]
    assert found.minute[0].text.endswith("no network was scored. The best is interpolation.")


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, f"There is one training each: gaps under about {100 * CHANCE:g} % may be chance."),
        (2, "between trainings: 2 of each network, fewer than the 3 that tell it well."),
        (3, "between trainings: 3 of each network."),
    ],
)
def test_which_noise_the_intervals_hold(graph, seeds, words):
    assert told(graph, "sure", seeds=seeds).endswith(words)
    limits = told(graph, "seeds", seeds=seeds)
    assert ("was trained once" in limits) == (seeds == 1)
    assert str(seeds) in limits or seeds == 1


def test_without_any_interval_nothing_is_sure(graph):
    assert (
        told(graph, "sure", width=math.nan)
        == "How sure: no comparison has an interval, which 12 test flows cannot give."
    )


# --- cost, uncertainty, other flows, claims -------------------------------------------------


def test_cost_is_of_a_whole_field_and_relative(graph):
    text = told(graph, "cost")
    assert (
        "takes FLEX 24 GFLOPs (Super-resolution ×4), 2 times U-Net's; its time is 2 times" in text
    )
    assert told(graph, "cost", {key: (a, b, 0.0) for key, (a, b, _) in USUAL.items()}) == ""


def test_cost_names_each_network_once():
    """However many arms of it a run has."""
    settings = {"flex-eps": {"network": "flex", "diffusion": {"target": "eps"}}}
    methods = ["flex", "flex-eps", "unet", "interpolation", "persistence"]
    arms = Graph.of(load_config({"tier": "desk", "methods": methods, "method_settings": settings}))
    text = told(arms, "cost", USUAL | {(SR, "flex-eps"): (0.21, 2.7, 24.0)})
    assert "2 times U-Net's; its time" in text
    assert "eps" not in text


def test_uncertainty_by_sampler(graph):
    text = told(graph, "uncertainty")
    assert (
        "With DDIM in 2 steps all 4 ensembles are overconfident: the truth lies 2.2 to 2.7" in text
    )
    assert "(most for FLEX, Super-resolution ×4)" in text
    assert (
        "With the calibrated sampler in 2 steps ensembles are right on average (pull ratio 1.02)"
        in text
    )
    wide = {key: (a, 0.5 if b == b else b, c) for key, (a, b, c) in USUAL.items()}
    assert (
        "With DDIM in 2 steps and the calibrated sampler in 2 steps all 5 ensembles are under"
        in told(graph, "uncertainty", wide)
    )
    mixed = USUAL | {(SR, "unet"): (0.23, 1.0, 12.0)}
    assert "of 4 ensembles 3 are overconfident and 1 is right on" in told(
        graph, "uncertainty", mixed
    )


@pytest.fixture(scope="module")
def frontier():
    path = checkout() / "workflow" / "config" / "frontier.yaml"
    return Graph.of(load_config(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize(
    ("regressor", "seeds", "words"),
    [
        (0.17, 3, "No: the CRPS of FLEX (regressor), which is asked once, is 15 % smaller (13 to"),
        (0.21, 3, "Yes, of what was tried: the CRPS of FLEX (crps), which is asked once, is 3.0 %"),
        (0.203, 1, "Can't tell: the CRPS of FLEX (crps), which is asked once, is 1.03 (1.01 to"),
    ],
)
def test_whether_it_takes_a_diffusion(frontier, regressor, seeds, words):
    case = f"{FORECAST}.calibrated"
    world = {(case, "flex"): (0.2, 1.0, 24.0), (case, "flex-crps"): (0.206, 1.0, 12.0)}
    world |= {(case, "flex-regressor"): (regressor, 1.0, 12.0)}
    if seeds == 1:
        world[case, "flex-regressor"] = (0.5, 1.0, 12.0)
    # By DDIM a regressor is no ensemble, and FLEX no calibrated one.
    world |= {(FORECAST, "flex"): (0.4, 2.5, 24.0), (FORECAST, "flex-crps"): (0.2, 1.0, 12.0)}
    text = told(frontier, "diffusion", world, width=0.02, seeds=seeds)
    assert text.startswith(f"Forecast, calibrated sampler: does it take a diffusion? {words}")
    assert text.count("diffusion?") == 1
    assert ("one training each" in text) == (seeds == 1)


def test_one_ensemble_in_one_step(frontier):
    """Of one and of many, each in its own grammar."""
    text = told(frontier, "uncertainty", {(f"{FORECAST}.ddim_1", "flex"): (0.2, 4.0, 12.0)})
    assert "With DDIM in one step the one ensemble is overconfident" in text
    assert text.endswith("(most for FLEX, Forecast, one step).")


def test_samplers_of_which_the_same_is_said_stand_together(frontier):
    world = {
        (f"{FORECAST}.{name}", "flex"): (0.2, pull, 12.0)
        for name, pull in (
            ("ddim_1", 4.0),
            ("ddim_16", 1.3),
            ("ddpm_16", 1.4),
            ("calibrated_1", 0.97),
            ("calibrated", 1.02),
        )
    }
    text = told(frontier, "uncertainty", world | {(FORECAST, "flex"): (0.2, 2.5, 12.0)})
    assert "With DDIM in one, 2 and 16 steps and DDPM in 16 steps all 4 ensembles are over" in text
    assert "calibrated sampler in one and 2 steps ensembles are right on average (pull" in text
    assert "0.97 to 1.02" in text


def test_nothing_is_said_of_a_diffusion_where_all_networks_have_one(graph):
    assert not told(graph, "diffusion")


def added(graph, rows):
    scores = evidence_of(graph).scores
    first = {"case": SR, "method": "flex", "mode": "denoiser", "trajectories": 4} | {
        "snapshots": 4, "training_seeds": 1, "detail": "",
    }  # fmt: skip
    return pd.concat([scores, SCORES.of(first | row for row in rows)], ignore_index=True)


def test_a_sign_that_changes_with_re_or_scale(graph):
    assert "The sign changes" not in told(graph, "uncertainty")
    pull = {"score": "pull_ratio", "reynolds": "2000", "value": 0.8, "low": 0.7, "high": 0.9}
    text = told(graph, "uncertainty", scores=added(graph, [pull]))
    assert (
        "changes with Re (FLEX, Super-resolution ×4): too narrow at Re 500 (pull ratio 2.70)"
        in text
    )
    assert "too wide at Re 2000 (pull ratio 0.80)" in text
    within = pull | {"high": 1.1}
    assert "The sign changes" not in told(graph, "uncertainty", scores=added(graph, [within]))
    scales = [
        {"score": "spread_skill", "reynolds": "all", "detail": band, "value": value}
        | {"low": 0.95 * value, "high": 1.05 * value}
        for band, value in zip(BANDS, (0.8, 1.2), strict=True)
    ]
    text = told(graph, "uncertainty", scores=added(graph, scales))
    assert "too narrow at k=1-2 (spread / error 0.80) and too wide at k=3-10" in text


def test_other_flows(graph):
    text = told(graph, "flows")
    assert "FLEX is better than the best formula run there in 1 of 1 cases" in text
    assert "0.34 times the formula's at best (Forecast, no-slip walls)" in text
    assert "too narrow most of all in Forecast, no-slip walls at Re 500 (pull ratio 1.30)" in text
    world = USUAL | {("forecast.no_slip", "flex"): (0.6, 1.3, 24.0)}
    assert "in 0 of 1 cases and worse in 1" in told(graph, "flows", world)
    tied = USUAL | {("forecast.no_slip", "flex"): (0.5, 1.3, 24.0)}
    assert "in 0 of 1 cases and open in 1" in told(graph, "flows", tied)
    rival = USUAL | {
        ("forecast.no_slip", "unet"): (0.1, 1.3, 12.0),
        ("forecast.free_slip", "flex"): (0.2, 1.1, 24.0),
        ("forecast.free_slip", "persistence"): (0.5, math.nan, 0.0),
    }
    assert "Against U-Net, FLEX is ahead in 0 of 1 and behind in 1." in told(graph, "flows", rival)
    assert "Against" not in text
    near = rival | {("forecast.free_slip", "unet"): (0.205, 1.3, 12.0)}
    assert "ahead in 0 of 2, behind in 1 and not told apart in 1." in told(graph, "flows", near)
    far = rival | {("forecast.free_slip", "unet"): (0.3, 1.3, 12.0)}
    assert "ahead in 1 of 2 and behind in 1." in told(graph, "flows", far)


def test_rollouts_and_their_energy(graph):
    text = told(graph, "rollout")
    assert "Rolled out over 6 steps, FLEX's error grows from 10 to 60 % of the field" in text
    assert "56 % smaller (55 to 56) than the best formula's." in text
    flag = flag_of("energy grows", case="forecast.rollout", method="flex")
    assert told(graph, "rollout", flags=[flag]).endswith("; FLEX ends with too much energy.")


def test_claims(graph):
    text = told(graph, "claims")
    assert text == (
        "Of the 3 statements of a paper, 1 (1) hold in this run, 1 (2) do not, 1 stay open."
    )
    none = {name: own | {"comparisons": []} for name, own in CLAIMS["claims"].items()}
    assert "can judge none" in told(graph, "claims", claims=CLAIMS | {"claims": none})


def test_what_the_run_cannot_tell(graph):
    assert "12 snapshots of 12 test flows, all at one time" in told(graph, "flows", case="")
    assert "for 300 steps and have 900 k parameters, on fields of 256 × 256" in told(
        graph, "budget"
    )
    assert told(graph, "resolution") == ""
    flag = flag_of(
        "unresolved", case=SR, method="all", detail="4 of 12", reynolds="2000", value=0.9
    )
    assert "does not resolve 4 of 12 test flows (k_max eta down to 0.90" in told(
        graph, "resolution", flags=[flag]
    )
    assert "FNO, DiT and interpolation (spectral) on Super-resolution ×4" in told(graph, "not run")
    assert "Not part of this run: UViT." in told(graph, "not run")


NUMBERS = re.compile(r"\d+(?:\.\d+)?")


FACTORS = {"flex": (1.07, 1.05, 1.31), "unet": (1.21, 1.05, 1.11)}


def numbered(found):
    """Each sentence and cell without its numbers, and these; names hold the configuration's."""
    texts = [it.text for it in found.minute] + [cell.text for cell in found.scorecard.cells]
    for name in sorted(found.case_names.values(), key=len, reverse=True):
        texts = [text.replace(name, "…") for text in texts]
    return [NUMBERS.sub("#", text) for text in texts], [NUMBERS.findall(text) for text in texts]


def test_every_number_follows_the_tables(graph):
    """Of two worlds that differ in every value, sentences share what their settings share."""
    other = {
        (case, method): tuple(
            float(it) for it in np.multiply(values, FACTORS.get(method, (1.43, 1.0, 1.0)))
        )
        for (case, method), values in USUAL.items()
    }
    (words, ones), (again, others) = (
        numbered(findings_of(evidence_of(graph, world, width=width)))
        for world, width in ((USUAL, 0.021), (other, 0.037))
    )
    assert words == again
    pairs = [pair for both in zip(ones, others, strict=True) for pair in zip(*both, strict=True)]
    same = {one for one, two in pairs if one == two}
    # 2 steps of DDIM, Re 500, 6 leads, and how many cases, claims,
    # ensembles and test flows there are.
    assert same <= {"95", f"{100 * CHANCE:g}", "2", "500", "6", "1", "3", "4", "12"}
    assert sum(one != two for one, two in pairs) > 40


# --- scorecard ------------------------------------------------------------------------------


def test_the_scorecard(graph):
    found = findings_of(evidence_of(graph)).scorecard
    flex, formula = found.cell(SR, "flex"), found.cell(SR, "interpolation")
    assert (flex.ratio, flex.low, flex.high) == pytest.approx((0.8, 0.784, 0.816))
    assert (flex.verdict, flex.paired, flex.width, flex.pull) == ("better", True, "too narrow", 2.7)
    assert flex.text == "0.8 (0.784 to 0.816)"
    assert (formula.state, formula.ratio, formula.pull) == ("formula", 1.0, None)
    assert found.cell(SR, "fno").text == "not run"
    assert found.cell(SR, "persistence").state == "impossible"
    # Without a formula on the case, but on the same flows elsewhere: a ratio without an interval.
    calibrated = found.cell("superres_x4.calibrated", "flex")
    assert calibrated.ratio == pytest.approx(0.21 / 0.25)
    assert (calibrated.paired, calibrated.low, calibrated.verdict) == (False, None, "untested")


def test_a_cell_follows_its_row(graph):
    tied = USUAL | {(SR, "flex"): (0.25, 1.0, 24.0)}
    cell = findings_of(evidence_of(graph, tied)).scorecard.cell(SR, "flex")
    assert (cell.verdict, cell.width) == ("undecided", "right")
    missing = {key: it for key, it in USUAL.items() if key != (SR, "unet")}
    cell = findings_of(evidence_of(graph, missing)).scorecard.cell(SR, "unet")
    assert (cell.state, cell.ratio) == ("not run", None)


# --- flags in words -------------------------------------------------------------------------


def flag_of(kind, **more):
    values = {"tier": "desk", "case": SR, "method": "unet", "message": "", "value": 1.5}
    return Flag(**(values | {"kind": kind, "low": 1.2, "high": 1.8} | more))


def test_every_kind_of_flag_has_words(graph):
    assert set(_WORDS) == {*DEFECTS, *NOTES}
    flags = [flag_of(kind, against="interpolation", detail="k=1-2") for kind in _WORDS]
    found = findings_of(evidence_of(graph, flags=flags))
    assert [it.kind for it in found.defects] == list(DEFECTS)
    assert [it.kind for it in found.notes] == list(NOTES)
    assert all(
        "U-Net" in it.text for it in (*found.defects, *found.notes) if it.kind != "unresolved"
    )
    assert [it.kind for it in found.flags] == list(_WORDS)


def test_one_sentence_lists_the_cases_of_a_kind_and_method(graph):
    places = (SR, FORECAST, "forecast.no_slip")
    flags = [
        flag_of("overconfident", case=case, value=value)
        for case, value in zip(places, (2.7, 2.1, 1.2), strict=True)
    ]
    flags += [flag_of("overconfident", method="flex", case=FORECAST, value=3.0)]
    notes = findings_of(evidence_of(graph, flags=flags)).notes
    assert [it.method for it in notes] == ["unet", "flex"]
    assert notes[0].cases == [SR, FORECAST, "forecast.no_slip"]
    assert notes[0].text == (
        "U-Net is overconfident: the truth lies 1.2 to 2.7 times as far from its mean as it says, "
        "in Super-resolution ×4 and Forecast (test flows and no-slip walls)."
    )


def test_a_tie_with_a_formula_says_so(graph):
    flag = flag_of(
        "no better than formula", method="fno", reynolds="500", against="interpolation-spectral",
        value=1.004, low=0.992, high=1.016,
    )  # fmt: skip
    (note,) = findings_of(evidence_of(graph, flags=[flag])).notes
    assert note.text == (
        "FNO is no better than interpolation (spectral) (Super-resolution ×4, Re 500: 1 (0.992 to "
        "1.02) times its error; within the noise)."
    )


def test_without_an_interval_there_is_no_noise_to_speak_of(graph):
    flag = flag_of("no better than formula", against="interpolation", low=math.nan, high=math.nan)
    (note,) = findings_of(evidence_of(graph, flags=[flag])).notes
    assert note.text.endswith("1.5 times its error; too few flows for an interval).")


# --- names, and the file --------------------------------------------------------------------


def test_names(graph):
    names = case_names(graph.config)
    assert names["forecast.no_slip"] == "Forecast, no-slip walls"
    assert names["superres_x4.unseen_re"] == "Super-resolution ×4, Re 250 to 4000"
    assert names["superres_x4.calibrated"] == "Super-resolution ×4, calibrated sampler"
    assert names["forecast.rollout"] == "Forecast, rollout of 6 steps"
    assert method_names(graph.config)["interpolation-spectral"] == "interpolation (spectral)"


def test_a_method_of_a_users_own_keeps_its_name(graph):
    config = graph.config.model_copy(update={"methods": ["mine", "unet-slow"]})
    assert method_names(config) == {"mine": "mine", "unet-slow": "unet-slow"}


@pytest.mark.parametrize("tier", ["smoke", "lab", "study"])
def test_no_two_have_one_name(tier):
    config = load_config({"tier": tier})
    for names in (case_names(config), method_names(config)):
        assert len(set(names.values())) == len(names)


def test_the_file_gives_back_what_was_found(graph, tmp_path):
    found = findings_of(evidence_of(graph, flags=[flag_of("seams", low=math.nan)]))
    path = tmp_path / "findings.json"
    path.write_text(findings_json(found))
    assert read_findings(path) == found
    assert json.loads(path.read_text())["flags"][0]["low"] is None
    path.write_text("{}")
    for broken in (path, tmp_path / "none.json"):
        with pytest.raises(FlexbenchError, match="no findings"):
            read_findings(broken)


def test_the_readme_says_what_the_committed_run_found():
    """After a new run: copy its first sentences."""
    found = read_findings(checkout() / "results" / "desk" / "tables" / "findings.json")
    readme = " ".join((checkout() / "README.md").read_text(encoding="utf-8").split())
    assert found.first
    for sentence in found.first:
        assert sentence in readme
