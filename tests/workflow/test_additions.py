"""One of each kind of thing, added to a copy of the checkout by the page that says how to.

Whatever a kind is stands in one place: the test counts the files that an addition touches, and then
takes all of them through plan, dry run, a run of toy size and the report.
"""

import hashlib
import json
import re
import subprocess
import sys
import textwrap

import pytest
import whole_run
import yaml

from flexbench.paths import checkout

pytestmark = pytest.mark.slow

PAGE = "docs/how-to/extend.md"
# How many files an addition may touch, beside the list of tasks of networks that can do a new kind,
# and the schema, which is generated.
MOST = {"method": 1, "task": 3, "step": 8, "score": 2, "figure": 2, "ablation": 1}
SECTIONS = {
    "A method": "method",
    "A kind of task": "task",
    "A step": "step",
    "A score": "score",
    "A figure": "figure",
    "An ablation": "ablation",
}

_BLOCK = re.compile(r"^( *)```(\w+) (file|add)=(\S+)\n(.*?)^\1```$", flags=re.M | re.S)


def blocks():
    """(addition, language, how, path, text) of every block of the page that names a file."""
    text = (checkout() / PAGE).read_text()
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        addition = next(name for head, name in SECTIONS.items() if section.startswith(head))
        for _, language, how, path, body in _BLOCK.findall(section):
            yield addition, language, how, path, textwrap.dedent(body)


def put(folder, language, how, path, text):
    """Do what a block says, as a reader would."""
    target = folder / path
    if language == "diff":
        content = target.read_text()
        for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)*)", text, flags=re.M):
            before = "".join(line[1:] + "\n" for line in old.splitlines())
            after = "".join(line[1:] + "\n" for line in new.splitlines())
            assert content.count(before) == 1, (path, before)
            content = content.replace(before, after)
        target.write_text(content)
    elif how == "add":
        target.write_text(target.read_text().rstrip() + "\n\n\n" + text)
    else:
        assert not target.exists()
        target.write_text(text)


def digests(folder):
    """Of every file that is code or configuration."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("Snakefile", "baselines", "flexbench", "workflow")
        for path in ([folder / part] if (folder / part).is_file() else (folder / part).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def touched(before, after):
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@pytest.fixture(scope="module")
def added(make_clone):
    """(clone, the files that each addition touched)."""
    clone = make_clone()
    found = {}
    for addition in MOST:
        before = digests(clone.folder)
        for kind, *block in blocks():
            if kind == addition:
                put(clone.folder, *block)
        found[addition] = touched(before, digests(clone.folder))
    return clone, found


def test_an_addition_touches_few_files(added):
    _, found = added
    own = ("baselines/", "flexbench/models/flex.py")
    networks = {path for path in found["task"] if path.startswith(own)}
    counts = {name: len(paths) for name, paths in found.items()}
    counts["task"] -= len(networks)
    counts["ablation"] = 1
    # The task and the ablation stand in a configuration.
    counts["task"] += 1
    assert not found["ablation"]
    assert all(counts[name] <= most for name, most in MOST.items()), found
    assert all(found[name] for name in ("method", "task", "step", "score", "figure"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory, tiny):
    """A configuration with the new task and an ablation, over the smallest of runs."""
    text = """\
        tier: smoke
        methods: [flex, unet, flex-eps, interpolation, persistence, mean, blocks]
        method_settings:
          flex-eps: {network: flex, diffusion: {target: eps}}
        evaluations: null
        tasks:
          forecast: {methods: []}
          superres_x4: {patch: 32, methods: [flex, flex-eps, interpolation, blocks]}
          superres_x4_field:
            {kind: superres, factor: 4, patch: 32, residual: false, methods: [flex, interpolation]}
        """
    values = yaml.safe_load(text)
    page = (checkout() / PAGE).read_text()
    (block,) = re.findall(r"```yaml\n( *tasks:\n *halfway: .*\n)", page)
    (halfway,) = yaml.safe_load(block)["tasks"].values()
    values["tasks"]["halfway"] = halfway | {"patch": 32, "methods": ["unet", "mean"]}
    path = tmp_path_factory.mktemp("settings") / "additions.yaml"
    path.write_text(yaml.safe_dump(values))
    kept = [text for text in tiny if not text.startswith(("methods", "tasks", "evaluations"))]
    options = [word for text in kept for word in ("--set", text)]
    return ["--config", path, *options]


@pytest.fixture(scope="module")
def ran(added, settings):
    """(clone, what was planned, its results).

    `flexbench run` makes one training of the new task with its note, and at the end the new figures
    and the report. Between the two all other steps are run in one process, by the clone's code:
    they would be a process each.
    """
    clone, _ = added
    planned = clone.flexbench("plan", *settings, "--json")
    assert planned.returncode == 0, planned.stderr
    dry = clone.flexbench("run", "-n", *settings)
    assert dry.returncode == 0, dry.stderr + dry.stdout

    def run(*targets):
        done = clone.flexbench("run", *targets, *settings, "--cores", "2", timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr

    results = clone.folder / "results" / "smoke"
    run("results/smoke/checkpoints/halfway/unet/seed0.note.json")
    subprocess.run(
        [sys.executable, whole_run.__file__, results / "config.yaml", "bias_by_re", "report"],
        cwd=clone.folder,
        env=clone.environment,
        check=True,
    )
    run()
    return clone, json.loads(planned.stdout), results


def test_a_plan_knows_them(ran):
    _, plan, _ = ran
    jobs = {entry["job"] for entry in plan["stale"]}
    assert "note training=halfway, method=unet, seed=0" in jobs
    assert "figure case=superres_x4, name=bias_by_re" in jobs
    assert plan["everything"]["rules"]["note"]["jobs"] == 4


def test_a_run_goes_through_to_the_report(ran):
    _, _, folder = ran
    page = (folder / "report.html").read_text()
    for words in ("Between", "Bias", "note", "flex-eps", "superres_x4_field"):
        assert words in page, words
    note = folder / "checkpoints" / "superres_x4" / "flex" / "seed0.note.json"
    assert json.loads(note.read_text())["numbers"] > 1000
    assert (folder / "figures" / "superres_x4" / "bias_by_re.png").is_file()
    drawn = {path.stem for path in (folder / "logs" / "figure").rglob("*.log")}
    assert drawn == {"bias_by_re"}, "what the one process had made was not made again"


def test_a_method_repeats_what_it_was_given(ran):
    """The new formula's samples: the truth's means over blocks, which are what it is given."""
    import h5py
    import numpy as np

    _, _, folder = ran
    with h5py.File(folder / "samples" / "superres_x4" / "blocks" / "seed0.h5") as samples:
        predicted, index = samples["prediction"][0, 0, 0], int(samples["index"][0])
        stem = samples["trajectory"][0].decode()
    with h5py.File(folder / "data" / f"{stem}.h5") as trajectory:
        truth = trajectory["w"][index]
    size = len(truth) // 4
    means = truth.reshape(size, 4, size, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(predicted, np.kron(means, np.ones((4, 4))), rtol=1e-4, atol=1e-5)


def test_a_formula_is_the_mean_of_its_neighbours(ran):
    """What the new task is, from the samples of a formula that returns its base."""
    import h5py
    import numpy as np

    _, _, folder = ran
    with h5py.File(folder / "samples" / "halfway" / "mean" / "seed0.h5") as samples:
        predicted, index = samples["prediction"][0, 0, 0], int(samples["index"][0])
        stem = samples["trajectory"][0].decode()
    with h5py.File(folder / "data" / f"{stem}.h5") as trajectory:
        before, after = trajectory["w"][index - 1], trajectory["w"][index + 1]
    np.testing.assert_allclose(predicted, (before + after) / 2, rtol=1e-6)


def test_the_ablations_stand_beside_their_twins(ran):
    """Pairs of the same method with another target, and of the same method without the residual."""
    import pandas as pd

    _, _, folder = ran
    rows = pd.read_csv(folder / "tables" / "comparisons.csv")
    own = rows[(rows["case"] == "superres_x4") & (rows["method"] == "flex-eps")]
    assert set(own["reference"]) >= {"flex"}
    twin = rows[(rows["case"] == "superres_x4_field") & (rows["method"] == "flex")]
    assert "flex on superres_x4" in set(twin["reference"])
