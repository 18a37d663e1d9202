"""Data of a user's own: the how-to page as it is written, and every method up to the report."""

import html
import json
import re
import shutil
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
import yaml

from flexbench.config.own_data import DataSettings
from flexbench.config.reading import load_config
from flexbench.data.example import write_example
from flexbench.data.store import Trajectory
from flexbench.findings.output import read_findings
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.registry import names
from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure
from flexbench.report.inputs import ReportInputs

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-own-data.md"

SMALL = {"superres_x4": {"kind": "superres", "patch": 16}}
SMALL |= {"forecast": {"kind": "forecast", "lead": 0.25, "patch": 16}}
# Every network file, and every other way to run one. Given widths need not be solved for.
OTHERS = {
    "flex-multi": {"network": "flex", "together": list(SMALL)},
    "unet-regressor": {"network": "unet", "mode": "regressor", "width": 4},
    "interpolation-spectral": {"network": "interpolation", "options": {"kernel": "spectral"}},
}
WIDTHS = {"unet": {"width": 4}, "fno": {"width": 4}, "dit": {"width": 8}, "uvit": {"width": 8}}
LEARNED = ("flex", "flex-multi", "unet", "fno", "dit", "uvit", "unet-regressor")
# Words that are of flows, and not of water in a tank.
FLOWS = ("orticity", "enstrophy", "Enstrophy", "Reynolds", "Re 1", "time unit", "length unit", "π")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def page_values():
    return yaml.safe_load(blocks("yaml")[0])


@pytest.fixture(scope="module")
def every_method(tmp_path_factory, make_steps):
    """The page's data, smaller, with all methods, made step by step in this process."""
    root = tmp_path_factory.mktemp("own")
    write_example(root / "tank.nc", snapshots=40, height=36, width=44)
    values = page_values()
    values["data"]["sources"]["tank"]["file"] = str(root / "tank.nc")
    values["data"]["block"] = 0.1  # one snapshot: there are only three
    values |= {
        "root": str(root),
        "methods": [*names(), *OTHERS],
        "method_settings": OTHERS | WIDTHS,
        "tasks": SMALL,
        "train": {"steps": 2, "batch": 2, "warmup_steps": 1, "validation_batches": 1},
        "sample": {"members": 6, "steps": 1, "snapshots": 3},
        "score": {"bootstrap": 20},
        "evaluations": {"rollout": {"leads": 3, "methods": ["flex", "persistence"]}},
    }
    (root / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    graph = Graph.of(load_config(values))
    # Figures take most of the time; those that could be wrongly labelled are drawn below.
    make_steps(graph, ["--config", str(root / "config.yaml")], without=("figure",))
    return graph


def test_every_method_runs_on_both_tasks(every_method):
    scores = pd.read_csv(every_method.layout.table("scores"))
    found = {
        task: set(scores.loc[scores["case"] == task, "method"]) for task in set(scores["case"])
    }
    assert found == {
        "superres_x4": {*LEARNED, "interpolation"},
        "forecast": {*LEARNED, "persistence", "extrapolation"},
        "forecast.rollout": {"flex", "persistence"},
    }
    assert scores["value"].notna().all()
    assert {"enstrophy_error", "energy_error"}.isdisjoint(scores["score"])
    (reason,) = every_method.skipped
    assert "'interpolation-spectral' is left out" in reason
    flags = pd.read_csv(every_method.layout.table("red_flags"))
    assert not flags["message"].str.contains("Re ").any()
    found = read_findings(every_method.layout.findings)
    told = [*found.minute, *found.cannot_tell, *found.defects, *found.notes]
    assert found.minute
    assert not any(re.search(r"\bRe \d", sentence.text) for sentence in told)
    assert pd.read_csv(every_method.layout.table("matrix")).empty


def test_one_recording_has_intervals_over_its_time(every_method):
    scores = pd.read_csv(every_method.layout.table("scores"))
    own = scores[scores["score"] == "crps"]
    assert (own["low"] <= own["value"]).all()
    assert (own["value"] <= own["high"]).all()
    assert set(scores["trajectories"]) == {1}
    (sure,) = (
        it for it in read_findings(every_method.layout.findings).minute if it.about == "sure"
    )
    assert "between stretches of time of one test flow, neither those between flows" in sure.text
    assert "stretches of time of one flow" in every_method.layout.report.read_text(encoding="utf-8")


def test_other_examples_of_the_page_are_read():
    _, *others = blocks("yaml")
    assert len(others) == 1
    for text in others:
        DataSettings.model_validate(yaml.safe_load(text)["data"])


def test_every_network_knew_that_the_field_is_not_periodic(every_method):
    from safetensors import safe_open

    for job in every_method.trainings:
        path = every_method.layout.checkpoint(job.name, job.method, job.seed)
        with safe_open(path, "pt") as file:
            told = json.dumps(dict(file.metadata()))
        assert '\\"periodic\\": false' in told, job


def test_figures_are_of_the_users_field(every_method):
    config = every_method.config
    inputs = ReportInputs(layout=every_method.layout, config=config)
    shown = {}
    for case in every_method.cases:
        for name in set(figures_of(config, case)) & {"maps", "spectra", "spread_skill", "leads"}:
            figure = draw_figure(name, inputs, case=case)
            figure.canvas.draw()
            texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
            shown[case, name] = "\n".join(texts)
            for word in FLOWS:
                assert word not in shown[case, name], (case, name)
    for case in every_method.cases:
        assert "water temperature − 20 [°C]" in shown[case, "maps"]
        assert {"x [m]", "y [m]"} <= set(shown[case, "maps"].split("\n"))
        assert "variance per wavenumber\n(Hann window) [(°C)²]" in shown[case, "spectra"]
        assert "[waves per side]" in shown[case, "spectra"]
    assert "skill (error of the mean) [°C]" in shown["forecast", "spread_skill"]
    assert "lead time [s]" in shown["forecast.rollout", "leads"]


def test_the_page_is_about_the_users_field(every_method):
    text = every_method.layout.report.read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    body, definitions = text[: text.index("is taken per snapshot")], text
    assert "CRPS [°C]" in body
    assert "Variance spectra" in body
    assert "Water temperature − 20 of one test snapshot" in body
    for word in FLOWS:
        assert word not in body, word
    assert "the field's" in definitions


# --- the page's own commands ---------------------------------------------------------------


# One task, one formula, which is a file of the user's own.
TOY = ("methods=[mine]", "tasks.superres_x4.methods=[]", "sample.snapshots=2")
TOY += ("score.bootstrap=50",)
PROCESSES = ("import_data", "splits", "statistics", "sample", "score", "tabulate")


@pytest.fixture(scope="module")
def page(make_clone, tmp_path_factory, make_steps):
    """The page's commands and its YAML in a folder of their own: call, results, what a run told.

    `flexbench run` makes all but most figures, which would be a process each: they and the report
    are made in this one, and the last command of the page finds that nothing is left to do.
    """
    clone, folder = make_clone(), tmp_path_factory.mktemp("page")
    text = blocks("yaml")[0]
    (folder / "tank.yaml").write_text(text, encoding="utf-8")
    (folder / "own").mkdir()
    shutil.copy(checkout() / "baselines" / "persistence.py", folder / "own" / "mine.py")
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert commands == [
        "python -m flexbench.data.example tank.nc",
        "flexbench plan --config tank.yaml",
        "flexbench run --config tank.yaml",
    ]

    def call(*words):
        done = clone.call(*words, cwd=folder, timeout=500)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    call("flexbench.data.example", "tank.nc")
    root = folder / "my results"  # a blank in a path is nobody's fault
    settings = (*TOY, f"root={root}", "baseline_folders=[own]")
    own = ["--config", "tank.yaml", *(word for text in settings for word in ("--set", text))]
    assert "import_data" in call("flexbench", "plan", *own).stdout
    results = root / "tank"
    drawn = results / "figures" / "forecast" / "maps.png"
    told = call("flexbench", "run", drawn, "--verbose", "--cores", "2", *own).stderr
    config = results / "config.yaml"
    make_steps(
        Graph.of(load_config(resolved=config)), ["--resolved", str(config)], without=PROCESSES
    )
    done = call("flexbench", "run", *own)
    assert "Nothing to be done" in done.stdout + done.stderr
    return call, results, told


def test_the_page_works_up_to_the_report(page):
    call, results, told = page
    assert (results / "report.html").stat().st_size > 100_000
    call("flexbench", "verify", "--resolved", results / "config.yaml")
    assert "rows 3 to 66, columns 13 to 76; not periodic" in told


def test_each_split_is_its_part_of_the_file(page):
    _, results, _ = page
    spans = {}
    for split in ("train", "validation", "test"):
        trajectory = Trajectory(results / "data" / f"tank_{split}.h5")
        assert not trajectory.periodic
        assert trajectory.grid == 64
        spans[split] = (trajectory.time[0], trajectory.time[-1])
    assert spans == {"train": (0, 17.75), "validation": (19.5, 22.25), "test": (24, 29.75)}
