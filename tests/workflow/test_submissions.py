"""Predictions from elsewhere: asked for, made by a script alone, taken in, scored and shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import outside_model
import pytest
import whole_run

from flexbench.config import Config
from flexbench.data.samples import Samples
from flexbench.data.store import Trajectory
from flexbench.findings.output import read_findings
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.metrics.tables import COMPARISONS, COST, LEADERBOARD, LEADS, MATRIX, SCORES
from flexbench.provenance import read_receipt
from flexbench.steps.submit import submit_step
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
