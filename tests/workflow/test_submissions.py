"""Predictions from elsewhere: asked for, made by a script alone, taken in, scored and shown."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import outside_model
import pytest
import whole_run

from flexbench.claims.ledger import ledger_of
from flexbench.claims.registry import read_claims
from flexbench.claims.sides import Side
from flexbench.config import Config
from flexbench.data.samples import Samples, write_samples
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.findings.output import read_findings
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.metrics.tables import COMPARISONS, COST, LEADERBOARD, LEADS, MATRIX, SCORES
from flexbench.paths import receipt_of
from flexbench.planning.admission import admit
from flexbench.provenance import file_digest, read_receipt
from flexbench.report.inputs import ReportInputs
from flexbench.report.shown_snapshot import shown_snapshot
from flexbench.steps.score import score_step
from flexbench.steps.submit import submit_step
from flexbench.steps.tabulate import tabulate_step
from flexbench.submissions.request import request_of, write_requests
from flexbench.verify import verify

CARD = """\
method: theirs
who: A group elsewhere
what: a straight line through the past, with noise
trained: not at all; it has no weights
training_seeds: [3, 4]
ensemble: true
parameters: null
cost: no training; a millisecond on a laptop
"""
# A rule each of what is not drawn here.
WITHOUT_PICTURES = ("figure", "animation")


def configuration(root, **changes):
    """Two tasks and a rollout, with formulas alone: nothing is trained."""
    return Config.model_validate(
        {
            "tier": "smoke",
            "root": str(root),
            "methods": ["interpolation", "persistence"],
            "solver": {
                **{"grid": 32, "peak_wavenumber": 5},
                **{"t_start": 0.5, "t_end": 0.9, "interval": 0.1},
            },
            "splits": {
                "train": {"reynolds": [100], "seeds": [0]},
                "validation": {"reynolds": [100], "seeds": [50]},
                "test": {"reynolds": [100, 200], "seeds": [100, 101]},
            },
            "tasks": {
                "superres_x4": {"kind": "superres", "factor": 4, "patch": 32},
                "forecast": {"kind": "forecast", "lead": 0.1, "patch": 32},
            },
            "evaluations": {"rollout": {"leads": 2}},
            "sample": {"members": 6, "snapshots": 1},
            "score": {"bootstrap": 50},
        }
        | changes
    )


def outside(requests, answers, *seeds):
    """The script, as somebody without this code would run it."""
    environment = {name: it for name, it in os.environ.items() if not name.startswith("PYTHON")}
    script = Path(outside_model.__file__)
    text = script.read_text()
    assert "flexbench" not in {
        line.split()[1].partition(".")[0]
        for line in text.splitlines()
        if line.startswith(("import ", "from "))
    }
    command = [sys.executable, "-I", script, requests, answers, *map(str, seeds)]
    subprocess.run(command, env=environment, cwd=requests, check=True, timeout=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Results with the scores of two formulas; requests, and answers of two trainings."""
    folder = tmp_path_factory.mktemp("submissions")
    graph = Graph.of(configuration(folder / "results"))
    whole_run.run_whole(graph, without=("tabulate", "report", *WITHOUT_PICTURES))
    write_requests(graph, folder / "requests", cases=graph.cases)
    outside(folder / "requests", folder / "answers", 3, 4)
    (folder / "card.yaml").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def submitted(world):
    """The same with the answers in it, scored and shown; not to be changed."""
    folder = world.with_name("submitted")
    shutil.copytree(world, folder)
    config = configuration(folder / "results")
    taken = submit_step(Graph.of(config), answer=folder / "answers", card=folder / "card.yaml")
    assert taken.doubts == []
    graph = Graph.of(config)
    done = whole_run.run_whole(graph, without=WITHOUT_PICTURES)
    assert done == {"score": 6, "tabulate": 1, "report": 1}
    return graph


@pytest.fixture
def copied(world, tmp_path):
    """(graph, folder) that a test may change."""
    shutil.copytree(world, tmp_path / "copy")
    return Graph.of(configuration(tmp_path / "copy" / "results")), tmp_path / "copy"


# --- what is asked for -----------------------------------------------------------------------


def test_a_request_gives_what_tasks_give_and_no_truth(world):
    """Fields are bit for bit those of the files, or block means of them; none is one to predict."""
    graph = Graph.of(configuration(world / "results"))
    told = json.loads((world / "requests" / "request.json").read_text())
    assert list(told["cases"]) == ["superres_x4", "forecast", "forecast.rollout"]
    for case, asked in told["cases"].items():
        with h5py.File(world / "requests" / asked["file"]) as file:
            inputs = file["inputs"][()]
            columns = {name: file[name][()] for name in ("index", "lead", "input")}
            stems = file["trajectory"].asstr()[()].tolist()
            kept = {name: it[()].tobytes() for name, it in file.items()}
        rows = asked["snapshots"]
        assert [row["trajectory"] for row in rows] == stems
        for name in columns:
            assert [row[name] for row in rows] == columns[name].tolist()
        assert asked["inputs"]["shape"] == list(inputs.shape)
        for row in rows:
            with Trajectory(graph.layout.trajectory(row["trajectory"])) as trajectory:
                truth = trajectory.snapshot(row["index"])
                given = inputs[row["input"]]
                if case == "superres_x4":
                    means = truth.reshape(8, 4, 8, 4).mean(axis=(1, 3))
                    np.testing.assert_allclose(given[0], means, rtol=1e-5, atol=1e-5)
                else:
                    start = row["index"] - row["lead"]
                    past = [trajectory.snapshot(start - 1), trajectory.snapshot(start)]
                    np.testing.assert_array_equal(given, past)
                assert row["time"] == trajectory.time[row["index"]]
                assert row["reynolds"] == trajectory.reynolds
                # Whichever way it is packed.
                assert not any(truth.tobytes() in held for held in kept.values())
        assert asked["answer"]["shape"] == [len(rows), 6, 1, 32, 32]
        assert asked["answer"]["units"] == "1/time unit"
    # Two cases at one time: whoever hands out both is told.
    assert "inputs of forecast hold snapshots that superres_x4 asks for" in told["given_elsewhere"]


def test_a_request_depends_on_what_decides_it_and_on_nothing_else(world):
    def digest(case="forecast", **changes):
        return request_of(Graph.of(configuration(world / "results", **changes)), case).digest

    same = {"methods": ["persistence"], "score": {"bootstrap": 9}, "sample": {"members": 6,
            "steps": 9, "snapshots": 1}}  # fmt: skip
    assert digest() == digest(**same)
    others = [
        digest(case="forecast.rollout"),
        digest(sample={"members": 7, "snapshots": 1}),
        digest(evaluations={"rollout": {"leads": 2}}, sample={"members": 6, "snapshots": 2}),
        digest(tasks={"forecast": {"kind": "forecast", "lead": 0.2, "patch": 32}}, evaluations={}),
    ]
    assert len({digest(), *others}) == 5


def test_velocities_and_coarser_requests_have_their_own_units(world):
    changes = {"evaluations": {"u": {"observable": "u", "tasks": ["forecast"]}}}
    found = request_of(Graph.of(configuration(world / "results", **changes)), "forecast.u")
    assert found.units == "length unit/time unit"
    assert found.digest != request_of(Graph.of(configuration(world / "results")), "forecast").digest


# --- scored and shown like any other ---------------------------------------------------------


def test_samples_are_the_answer_bit_for_bit_with_receipt_and_card(submitted, world):
    for case in ("superres_x4", "forecast", "forecast.rollout"):
        for seed in (3, 4):
            path = submitted.layout.samples(case, "theirs", seed)
            with Samples(path) as samples, h5py.File(world / "answers" / f"{case}-{seed}.h5") as it:
                assert samples.labels.mode == "submitted"
                assert samples.labels.training_seed == seed
                kept = np.stack([samples.ensemble(row) for row in range(len(samples))])
                np.testing.assert_array_equal(kept, it["prediction"][()])
            receipt = read_receipt(path)
            assert receipt["step"] == "submit"
            assert receipt["facts"]["mark"] == "submitted"
            assert receipt["facts"]["card"]["who"] == "A group elsewhere"
            assert receipt["facts"]["request"] == request_of(submitted, case).digest


def test_every_table_has_the_mark(submitted):
    for name, kind in (
        *(("scores", SCORES), ("leads", LEADS), ("comparisons", COMPARISONS), ("cost", COST)),
        *(("matrix", MATRIX), ("leaderboard", LEADERBOARD)),
    ):
        table = kind.read(submitted.layout.table(name))
        marks = dict(zip(table["method"], table["mark"], strict=True))
        assert marks["theirs"] == "submitted", name
        assert set(marks) - {"theirs"} <= {"interpolation", "persistence"}
        assert {marks[it] for it in set(marks) - {"theirs"}} <= {"reproduced"}
        assert (table.loc[table["method"] == "theirs", "mark"] == "submitted").all()


def test_what_is_not_known_of_a_cost_is_no_number(submitted):
    cost = COST.read(submitted.layout.table("cost"))
    own = cost[cost["method"] == "theirs"]
    assert set(own["training_seed"]) == {3, 4}
    for column in ("parameters", "flops_per_member", "seconds_per_member", "train_seconds"):
        assert own[column].isna().all(), column


def test_the_leaderboard_ranks_by_both_scores(submitted):
    board = LEADERBOARD.read(submitted.layout.table("leaderboard"))
    scores = SCORES.read(submitted.layout.table("scores"))
    pooled = scores[(scores["reynolds"] == "all") & (scores["detail"] == "")]
    for case, own in board.groupby("case"):
        assert own["crps"].is_monotonic_increasing
        for score in ("crps", "rfne_mean"):
            known = pooled[(pooled["case"] == case) & (pooled["score"] == score)]
            values = dict(zip(known["method"], known["value"], strict=True))
            assert dict(zip(own["method"], own[score], strict=True)) == pytest.approx(values)
            ranked = sorted(values, key=lambda method: values[method])
            ranks = dict(zip(own["method"], own[f"rank_{score}"], strict=True))
            assert ranks == {method: place for place, method in enumerate(ranked, start=1)}
        theirs = own[own["method"] == "theirs"].iloc[0]
        assert np.isfinite(theirs[["pull_ratio", "spread_skill"]].astype(float)).all()
        assert theirs["members"] == 6
        assert theirs["training_seeds"] == 2


def test_the_report_shows_the_mark_next_to_the_name(submitted):
    html = submitted.layout.report.read_text()
    board = html[html.index('<section id="leaderboard">') :]
    board = " ".join(board[: board.index("</section>")].split())
    assert "theirs <small>submitted</small>" in board
    assert "persistence <small>reproduced</small>" in board
    assert "A group elsewhere" in board
    assert "a millisecond on a laptop" in board
    assert "theirs <small>submitted</small>" in " ".join(
        html[html.index('<section id="comparisons">') :].split()
    )
    findings = read_findings(submitted.layout.findings)
    assert findings.method_names["theirs"] == "theirs (submitted)"
    assert any("theirs (submitted)" in sentence.text for sentence in findings.minute)


def test_the_graph_scores_what_no_job_draws(submitted):
    jobs = planned_jobs(submitted)
    scored = {job.key for job in jobs.values() if "method=theirs" in job.key}
    assert {key.split()[0] for key in scored} == {"score"}
    assert len(scored) == 6
    given = {submitted.layout.submission("theirs")}
    given |= {Path(step.outputs[0]) for step in submitted.steps if step.name == "submit"}
    assert given <= {path for job in jobs.values() for path in job.step.inputs}


def test_receipts_verify_and_nothing_is_left_over(submitted):
    """But that the page was written before its pictures."""
    found = verify(submitted, partial=True)
    assert [it.step for it in found.findings] == ["report"]
    assert "figures/" in found.findings[0].text
    assert found.leftovers == []


def test_maps_show_it_beside_the_others(submitted, tmp_path):
    graph = Graph.of(submitted.config.model_copy(update={"submitted": None}))
    inputs = ReportInputs(layout=graph.layout, config=graph.config)
    shown = shown_snapshot(inputs, "forecast")
    theirs = shown.ensembles["theirs"]
    assert (theirs.size, theirs.member.shape) == (6, (32, 32))
    assert list(shown.ensembles) == ["persistence", "theirs"]
    step = graph.step("figure", case="forecast", name="maps")
    assert graph.layout.samples("forecast", "theirs", 3) in step.inputs


CLAIM = """\
source: a group elsewhere
pairing: the same flows
arms:
  theirs: {submitted: true}
claims:
  "90":
    statement: a straight line beats the best formula
    scope: forecasts
    comparisons:
      - tasks: [forecast]
        method: theirs
        against: [best-formula]
        scores: [crps]
        direction: lower
        says: {kind: superiority, delta: 0.02, because: less is noise}
        seeds: 3
"""


@pytest.mark.parametrize("arm", ["{submitted: true}", "{}"])
def test_the_ledger_judges_it_where_a_claim_asks_for_it(submitted, tmp_path, arm):
    """By the name alone it is no network of that name."""
    (tmp_path / "claims.yaml").write_text(CLAIM.replace("{submitted: true}", arm))
    (entry,) = ledger_of(submitted, read_claims(tmp_path / "claims.yaml")).entries
    (decision,) = entry.decisions
    if arm == "{}":
        assert decision.sides is None
        assert "not run here" in decision.open
        return
    assert decision.sides.own == Side(case="forecast", method="theirs")
    assert decision.open == "needs 3 training seeds, has 2"
    scores = SCORES.read(submitted.layout.table("scores")).query(
        "case == 'forecast' and score == 'crps' and detail == '' and reynolds == 'all'"
    )
    values = dict(zip(scores["method"], scores["value"], strict=True))
    assert decision.effect == pytest.approx(
        np.log(values["persistence"] / values["theirs"]), rel=0.3
    )
    assert entry.registration == "written after the fact"


# --- what is refused -------------------------------------------------------------------------


def edited(change):
    """A fault that is done to the answer to `forecast` of training seed 3."""

    def fault(graph, folder):
        with h5py.File(folder / "answers" / "forecast-3.h5", "r+") as file:
            change(file, graph)

    return fault


def attribute(name, value=None):
    def change(file, graph):
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return edited(change)


def dataset(name, change):
    def renew(file, graph):
        found = change(file[name][()])
        del file[name]
        file[name] = found

    return edited(renew)


def truth_of(graph, folder):
    """(S, 1, 1, H, W) of the rows of an answer."""
    fields = []
    for shot in request_of(graph, "forecast").snapshots:
        with Trajectory(graph.layout.trajectory(shot.trajectory)) as trajectory:
            fields.append(trajectory.snapshot(shot.index))
    return np.array(fields)[:, None, None]


def like_truth(make):
    """make: of the prediction and of the truth, what is sent."""

    def change(file, graph):
        file["prediction"][...] = make(file["prediction"][()], truth_of(graph, None))

    return edited(change)


def balanced(prediction, truth):
    """Members far from the truth, whose mean it is."""
    noise = prediction - prediction.mean(axis=1, keepdims=True)
    return truth + 5 * noise


def one_member(prediction, truth):
    prediction[2, 4] = truth[2, 0]
    return prediction


def with_nan(prediction):
    prediction[1, 2, 0, 3, 4] = np.nan
    return prediction


def linked(file, graph):
    """A prediction that lies in a file of ours."""
    path = graph.layout.trajectory("re100_seed100")
    del file["prediction"]
    file["prediction"] = h5py.ExternalLink(path, "w")


def other_inputs(graph, folder):
    """Somebody changed what he was given, and answers that."""
    path = folder / "requests" / "forecast.h5"
    with h5py.File(path, "r+") as file:
        file["inputs"][0, 0, 0, 0] += 1
    asked = json.loads((folder / "requests" / "request.json").read_text())["cases"]["forecast"]
    outside_model.answer(asked, path, folder / "answers" / "forecast-3.h5", 3)


def copied_file(graph, folder):
    shutil.copy(folder / "answers" / "forecast-3.h5", folder / "answers" / "again.h5")


def card(old, new):
    def fault(graph, folder):
        text = (folder / "card.yaml").read_text()
        assert old in text
        (folder / "card.yaml").write_text(text.replace(old, new))

    return fault


ANSWER, CARD_FILE = "forecast-3.h5: ", "card.yaml: "
FAULTS = {
    "no request": (attribute("request"), ANSWER, "request: the attribute is missing", "allowed"),
    "forged request": (attribute("request", "0" * 64), ANSWER, "request: found '000", "allowed: '"),
    "no digest of inputs": (attribute("inputs_sha256"), ANSWER, "inputs_sha256", "allowed: '"),
    "edited inputs": (other_inputs, ANSWER, "inputs_sha256: found", "as they were given"),
    "no format": (attribute("format"), ANSWER, "format", "allowed: 'flexbench-answer'"),
    "unknown case": (attribute("case", "weather"), ANSWER, "case: found 'weather'", "superres_x4,"),
    "other case": (attribute("case", "superres_x4"), ANSWER, "request: found", "allowed: '"),
    "units": (attribute("units", "m/s"), ANSWER, "units: found 'm/s'", "allowed: '1/time unit'"),
    "seed": (attribute("training_seed", 5), ANSWER, "training_seed: found 5", "allowed: 3, 4"),
    "no seed": (
        attribute("training_seed", "a"),
        ANSWER,
        "training_seed: found 'a'",
        "whole number",
    ),
    "other snapshots": (
        dataset("index", lambda it: it + 1),
        ANSWER,
        "index: row 0 is 4",
        "3, as in",
    ),
    "other flows": (
        dataset("trajectory", lambda it: it[::-1]),
        *(ANSWER, "trajectory: row 0 is 're200_seed101'", "allowed: 're100_seed100'"),
    ),
    "fewer rows": (dataset("lead", lambda it: it[1:]), ANSWER, "lead: found", "the 4 rows"),
    "no prediction": (
        edited(lambda file, graph: file.__delitem__("prediction")),
        *(ANSWER, "prediction: the dataset is missing", "float32 of shape (4, 6, 1, 32, 32)"),
    ),
    "shape": (
        dataset("prediction", lambda it: it[..., 1:]),
        ANSWER,
        "prediction: found",
        "32, 32)",
    ),
    "members": (
        dataset("prediction", lambda it: it[:, 1:]),
        ANSWER,
        "found 5 members",
        "allowed: 6",
    ),
    "one member": (dataset("prediction", lambda it: it[:, :1]), ANSWER, "found 1 members", "true"),
    "type": (
        dataset("prediction", lambda it: it.astype(float)),
        *(ANSWER, "prediction: found 'float64'", "allowed: float32"),
    ),
    "NaN": (
        dataset("prediction", with_nan),
        ANSWER,
        "row 1 (re100_seed101",
        "not finite",
        "allowed",
    ),
    "link": (edited(linked), ANSWER, "'prediction' is a link"),
    "truth": (like_truth(lambda it, truth: truth + 0 * it), ANSWER, "is the truth", "allowed"),
    "rounded truth": (
        like_truth(lambda it, truth: truth.astype(np.float16) + 0 * it),
        *(ANSWER, "is the truth"),
    ),
    "scaled truth": (like_truth(lambda it, truth: 1.0005 * truth + 0 * it), ANSWER, "is the truth"),
    "a member is the truth": (like_truth(one_member), ANSWER, "member 4 of row 2", "is the truth"),
    "the mean is the truth": (like_truth(balanced), ANSWER, "the mean of row", "is the truth"),
    "a file twice": (copied_file, "training_seed: ", "seed 3, too", "allowed: one file for each"),
    "a file missing": (
        lambda graph, folder: (folder / "answers" / "forecast-3.h5").unlink(),
        *("answers: training_seed: no file answers case 'forecast' with seed 3", "needed: 3, 4"),
    ),
    "no files": (
        lambda graph, folder: shutil.rmtree(folder / "answers"),
        "answers: holds no answer",
    ),
    "no HDF5": (
        lambda graph, folder: (folder / "answers" / "forecast-3.h5").write_text("fields"),
        "forecast-3.h5",
    ),
    **{
        f"no {key}": (card(f"{key}:", f"other_{key}:"), CARD_FILE, f"{key}: the key is missing")
        for key in ("method", "who", "what", "trained", "training_seeds", "ensemble", "parameters")
    },
    "empty words": (
        card("cost: no training; a millisecond on a laptop", "cost: ''"),
        CARD_FILE,
        "cost",
    ),
    "unknown key": (
        card("who:", "email: a@b\nwho:"),
        CARD_FILE,
        "email: unknown key",
        "allowed: method, who",
    ),
    "taken name": (
        card("method: theirs", "method: flex"),
        CARD_FILE,
        "method: found 'flex'",
        "allowed",
    ),
    "wrong name": (card("method: theirs", "method: ../up"), CARD_FILE, "method", "found '../up'"),
    "number": (card("parameters: null", "parameters: -1"), CARD_FILE, "parameters", "found -1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_nothing_is_written(copied, fault):
    graph, folder = copied
    damage, *words = FAULTS[fault]
    damage(graph, folder)
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")}
    with pytest.raises(FlexbenchError) as error:
        submit_step(graph, answer=folder / "answers", card=folder / "card.yaml")
    told = str(error.value)
    assert "\n" not in told
    for word in words:
        assert word in told, told
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")} == before


def test_an_answer_to_other_settings_is_none_to_these(copied):
    _, folder = copied
    other = Graph.of(configuration(folder / "results", sample={"members": 5, "snapshots": 1}))
    with pytest.raises(FlexbenchError, match="request: found"):
        submit_step(other, answer=folder / "answers", card=folder / "card.yaml")


def test_what_is_too_near_to_the_truth_is_taken_and_doubted(copied):
    graph, folder = copied
    like_truth(lambda it, truth: truth + 0.005 * truth.std() * np.sign(it))(graph, folder)
    taken = submit_step(graph, answer=folder / "answers", card=folder / "card.yaml")
    assert len(taken.doubts) == 1
    assert "forecast-3.h5" in taken.doubts[0]
    assert "nearer than predictions come" in taken.doubts[0]
    samples = graph.layout.samples("forecast", "theirs", 3)
    assert 0.004 < read_receipt(samples)["facts"]["nearest_to_truth"] < 0.006


def test_one_field_is_enough_where_the_card_says_so(copied):
    graph, folder = copied
    card("ensemble: true", "ensemble: false")(graph, folder)
    for path in (folder / "answers").glob("*.h5"):
        with h5py.File(path, "r+") as file:
            fields = file["prediction"][:, :1]
            del file["prediction"]
            file["prediction"] = fields
    submit_step(graph, answer=folder / "answers", card=folder / "card.yaml")
    graph = Graph.of(configuration(folder / "results"))
    assert not graph.is_stochastic("theirs", "forecast")
    score_step(graph, case="forecast", method="theirs", seed=3)
    scores = graph.layout.scores("forecast", "theirs", 3).read_text()
    assert ",crps,," in scores
    assert ",pull" not in scores


# --- what was taken in, and is not that any more ---------------------------------------------


@pytest.fixture
def taken(submitted, tmp_path):
    """A copy of the results with the submission, to be tampered with."""
    shutil.copytree(submitted.layout.root, tmp_path / "results")
    return Graph.of(configuration(tmp_path / "results"))


PLACE = {"case": "forecast", "method": "theirs", "seed": 3}


def rewritten(graph, whose, seed, **labels):
    """A file of samples with other labels, and a receipt that fits its bytes."""
    path = graph.layout.samples("forecast", whose, seed)
    with Samples(path) as samples:
        fields = [samples.ensemble(row) for row in range(len(samples))]
        said, snapshots = replace(samples.labels, **labels), samples.snapshots
    write_samples(path, fields, snapshots=snapshots, shape=fields[0].shape, labels=said)
    receipt = read_receipt(path)
    receipt["outputs"][path.name] = file_digest(path)
    receipt_of(path).write_text(json.dumps(receipt))


def better_file(graph):
    """A file that somebody put in the place of what was taken in."""
    path = graph.layout.samples("forecast", "theirs", 3)
    shutil.copy(graph.layout.samples("forecast", "theirs", 4), path)


def other_card(graph):
    path = graph.layout.submission("theirs")
    path.write_text(path.read_text().replace("A group elsewhere", "Somebody else"))


def other_truth(graph):
    path = graph.layout.trajectory("re100_seed100")
    with h5py.File(path, "r+") as file:
        file["w"][3] = 2 * file["w"][3]


TAMPERED = {
    "samples": (better_file, "seed3.h5: is not the file of its receipt"),
    "no receipt": (
        lambda graph: receipt_of(graph.layout.samples("forecast", "theirs", 3)).unlink(),
        "seed3.h5: has no receipt beside it",
    ),
    "card": (other_card, "theirs.json: is not the file of the receipt of"),
    "truth": (other_truth, "re100_seed100.h5: is not the file of the receipt of"),
    "method": (
        lambda graph: rewritten(graph, "theirs", 3, method="flex"),
        "its labels say method 'flex'",
    ),
    "mark": (
        lambda graph: rewritten(graph, "theirs", 3, mode="denoiser"),
        "mode 'denoiser'; allowed: method 'theirs', training seed 3, submitted",
    ),
}


@pytest.mark.parametrize("fault", TAMPERED)
def test_what_is_not_as_it_was_taken_in_is_not_scored(taken, fault):
    damage, words = TAMPERED[fault]
    score_step(taken, **PLACE)
    damage(taken)
    with pytest.raises(FlexbenchError) as error:
        score_step(taken, **PLACE)
    assert words in str(error.value)
    assert "flexbench submit" in str(error.value)


def test_the_same_holds_of_what_is_drawn_here(taken):
    """A file in the place of a formula's samples, with any label, is none of its samples."""
    place = {"case": "forecast", "method": "persistence", "seed": 0}
    score_step(taken, **place)
    rewritten(taken, "persistence", 0, mode="submitted")
    with pytest.raises(FlexbenchError, match="not submitted"):
        score_step(taken, **place)
    path = taken.layout.samples("forecast", "persistence", 0)
    path.write_bytes(taken.layout.samples("forecast", "theirs", 3).read_bytes())
    with pytest.raises(FlexbenchError, match="is not the file of its receipt"):
        score_step(taken, **place)


def test_settings_that_changed_since_are_told(taken):
    config = configuration(taken.layout.root, sample={"members": 7, "snapshots": 1})
    with pytest.raises(FlexbenchError, match=r"other settings \(members: 6 there, 7 asked for\)"):
        score_step(Graph.of(config), **PLACE)


def test_scores_that_were_written_by_hand_are_not_tabulated(taken):
    path = taken.layout.scores("forecast", "theirs", 3)
    path.write_text(path.read_text().replace(",crps,,0.", ",crps,,0.0"))
    with pytest.raises(FlexbenchError, match="is not the file of its receipt"):
        tabulate_step(taken)
    # With a receipt that fits, but of other samples.
    receipt = read_receipt(path)
    receipt["outputs"][path.name] = file_digest(path)
    receipt["inputs"] = dict.fromkeys(receipt["inputs"], "0" * 64)
    receipt_of(path).write_text(json.dumps(receipt))
    with pytest.raises(FlexbenchError, match="was not made of the samples that were submitted"):
        tabulate_step(taken)


def test_a_file_without_a_submission_is_in_no_table_and_is_told(taken):
    """Only placed by hand, under a name that nobody has."""
    source = taken.layout.samples("forecast", "theirs", 3)
    placed = taken.layout.samples("forecast", "miracle", 0)
    placed.parent.mkdir()
    shutil.copy(source, placed)
    shutil.copy(receipt_of(source), receipt_of(placed))
    graph = Graph.of(configuration(taken.layout.root))
    assert "miracle" not in {job.method for job in graph.jobs}
    assert "samples/forecast/miracle/seed0.h5" in verify(graph, partial=True).leftovers


def test_verify_tells_of_a_card_that_was_edited(taken):
    other_card(taken)
    found = [it for it in verify(taken, partial=True).findings if it.step == "submit"]
    assert len(found) == 6
    assert all("another version of submissions/theirs.json" in it.text for it in found)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "flexbench-submission", "version": 1}'])
def test_a_record_that_is_none_is_told(taken, text):
    path = taken.layout.submission("theirs")
    path.write_text(text)
    with pytest.raises(FlexbenchError, match=r"theirs\.json"):
        Graph.of(configuration(taken.layout.root))


def test_a_name_that_is_taken_later_is_told(taken):
    methods = ["interpolation", "persistence", "theirs"]
    settings = {"theirs": {"network": "persistence"}}
    with pytest.raises(FlexbenchError, match="a method of the configuration has the name 'theirs'"):
        Graph.of(configuration(taken.layout.root, methods=methods, method_settings=settings))


def test_a_run_can_go_without_it_and_a_missing_file_is_told_before(taken):
    config = configuration(taken.layout.root, submitted={})
    assert "theirs" not in {job.method for job in Graph.of(config).jobs}
    taken.layout.samples("forecast", "theirs", 3).unlink()
    with pytest.raises(FlexbenchError, match=r"theirs/seed3\.h5: missing, and no job makes it"):
        admit(taken, keep=False)
    admit(Graph.of(config), keep=False)


def test_a_second_answer_needs_a_word_and_takes_the_place_of_all_of_the_first(taken, world):
    first = sorted(taken.layout.folder.rglob("samples/*/theirs/*.h5"))
    assert len(first) == 6
    with pytest.raises(FlexbenchError, match="submitted already"):
        submit_step(taken, answer=world / "answers", card=world / "card.yaml")
    only = taken.layout.root / "only"
    only.mkdir()
    for seed in (3, 4):
        shutil.copy(world / "answers" / f"forecast-{seed}.h5", only)
    submit_step(taken, answer=only, card=world / "card.yaml", replace=True)
    graph = Graph.of(configuration(taken.layout.root))
    assert {job.case for job in graph.jobs if job.method == "theirs"} == {"forecast"}
    assert len(list(taken.layout.folder.rglob("samples/*/theirs/*.h5"))) == 2
    score_step(graph, **PLACE)
