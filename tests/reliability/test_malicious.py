"""Files and settings that were made to do harm: refused in one line, and nothing in them is run.

The harm is a file, `ran`, in the working directory. Every trap is sprung once by a careless
reader, to show that it would have worked.
"""

import ast
import contextlib
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from flexbench.config.strict_yaml import parse_yaml
from flexbench.data.dummy import write_dummy
from flexbench.data.samples import Labels, Samples, Snapshot, write_samples
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.inference.segments import Segments
from flexbench.metrics.score import score_samples
from flexbench.paths import checkout
from flexbench.training.state import StateFolder, read_state

OFFICIAL = Path(__file__).parents[1] / "data" / "flex_tiny.safetensors"


class Trap:
    """Unpickling it calls `function(argument)`."""

    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


TRAPS = {
    "os.system": Trap(os.system, "touch ran"),
    "eval": Trap(eval, "open('ran', 'w')"),
    "exec": Trap(exec, "open('ran', 'w')"),
    "subprocess": Trap(subprocess.getoutput, "touch ran"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory in which nothing may appear."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path
    assert not list((tmp_path / "here").iterdir()), "something was run"


@pytest.fixture
def call(entry):
    """The command line, in this process: exit code and the lines on standard error."""

    def run(*words):
        code, _, lines = entry(*words)
        return code, lines

    return run


def refused(result, *words):
    code, lines = result
    assert code == 1, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("flexbench: error: ")
    assert lines[0].isprintable()
    for word in words:
        assert word in lines[0]


def spring(careless, *arguments, **options):
    """A careless reader does fall into the trap (what it opens need not be what it wanted)."""
    with contextlib.suppress(Exception):
        careless(*arguments, **options)
    if Path("ran").exists():
        Path("ran").unlink()
        return True
    return False


# --- checkpoints and restart points ---------------------------------------------------------


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("container", ["torch", "torch's old", "bare pickle", "safetensors"])
def test_a_checkpoint_with_a_payload_is_refused(folder, call, trap, container):
    content = {"encoder": {"weight": torch.zeros(2)}, "decoder": TRAPS[trap]}
    source = folder / ("theirs.safetensors" if container == "safetensors" else "theirs.pt")
    if container.startswith("torch"):
        torch.save(content, source, _use_new_zipfile_serialization=container == "torch")
        assert spring(torch.load, source, weights_only=False)
    else:
        source.write_bytes(pickle.dumps(content["decoder"]))
        assert spring(pickle.loads, source.read_bytes())
    refused(call("import-checkpoint", source, folder / "ours.safetensors"), str(source))
    assert not (folder / "ours.safetensors").exists()


def official(**changes):
    """The content of a `.pt` of the authors, as nested dicts."""
    content = {}
    for name, value in load_file(OFFICIAL).items():
        part, _, inner = name.partition(".")
        content.setdefault(part, {})[inner] = torch.from_numpy(value)
    return content | changes


def test_a_checkpoint_that_unpacks_without_end_is_refused(folder, call):
    """A few bytes that claim to be a terabyte: shown over and over, or compressed."""
    content = official()
    content["decoder"]["pos_embed"] = torch.zeros(1).expand(1, 2**20, 2**18)
    torch.save(content, folder / "repeated.pt")
    assert (folder / "repeated.pt").stat().st_size < 20_000_000
    done = call("import-checkpoint", folder / "repeated.pt", folder / "ours.safetensors")
    refused(done, "decoder.pos_embed", "1048576", "more than the file holds")

    torch.save(official(), folder / "plain.pt")
    with (
        zipfile.ZipFile(folder / "plain.pt") as plain,
        zipfile.ZipFile(folder / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    done = call("import-checkpoint", folder / "packed.pt", folder / "ours.safetensors")
    refused(done, "packed.pt", "compressed")


@pytest.mark.parametrize("trap", ["os.system", "eval"])
def test_a_planted_restart_point_of_a_training_is_not_used(folder, trap):
    said = []
    state = StateFolder(folder / "state", "0123456789abcdef", say=said.append)
    state.path.mkdir(parents=True)
    planted = state.path / "step-000000007.pt"
    torch.save({"step": 7, "network": TRAPS[trap]}, planted)
    assert spring(torch.load, planted, weights_only=False)
    with pytest.raises(FlexbenchError, match="not a whole training state"):
        read_state(planted)
    assert state.newest() is None
    assert "the one before it is tried" in said[0]


@pytest.fixture
def settings(folder):
    """Options of a verb for a simulation of a moment, in a root of its own."""
    assignments = (
        *(f"root={folder / 'root'}", "solver.grid=32", "solver.t_start=0"),
        *("solver.t_end=0.2", "solver.interval=0.1", "methods=[flex]", "evaluations=null"),
        *("tasks={superres_x4: {kind: superres, patch: 32}}",),
    )
    return ["--tier", "smoke", *(word for text in assignments for word in ("--set", text))]


def test_a_planted_restart_point_of_a_simulation_is_not_used(folder, call, settings):
    state = folder / "root" / "smoke" / "state" / "simulate" / "re100_seed0" / "state.npz"
    state.parent.mkdir(parents=True)
    np.savez(state, identity=np.array([TRAPS["os.system"]], dtype=object))
    assert spring(lambda: np.load(state, allow_pickle=True)["identity"])
    code, lines = call("simulate", "--re", "100", "--seed", "0", *settings)
    assert code == 0, lines
    trajectory = folder / "root" / "smoke" / "data" / "re100_seed0.h5"
    assert Trajectory(trajectory).shape == (3, 32, 32)


def test_a_planted_segment_of_samples_is_refused(folder):
    segments = Segments(folder / "segments", identity={"a": 1})
    planted = folder / "segments" / "one.npy"
    np.save(planted, np.array([TRAPS["os.system"]], dtype=object))
    assert spring(np.load, planted, allow_pickle=True)
    with pytest.raises(FlexbenchError, match=r"one\.npy: not a readable segment"):
        list(segments.read(["one"]))


# --- HDF5 -----------------------------------------------------------------------------------


@pytest.fixture
def trajectory(folder):
    path = folder / "re100_seed0.h5"
    write_dummy(path, grid=32, times=[0.0, 0.1], reynolds=100.0, seed=0)
    return path


def replace_field(path, make):
    """Put another thing in the place of `/w`."""
    with h5py.File(path, "r+") as file:
        del file["w"]
        make(file)


POINTERS = {
    "an external link": (
        lambda file: file.__setitem__("w", h5py.ExternalLink("x.h5", "/w")),
        "link",
    ),
    "a soft link": (lambda file: file.__setitem__("w", h5py.SoftLink("/time")), "link"),
    "external storage": (
        lambda file: file.create_dataset(
            "w", (2, 32, 32), "<f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        ),
        "other files",
    ),
    "a terabyte of nothing": (
        lambda file: file.create_dataset("w", (2, 2**19, 2**19), "<f4", chunks=(1, 128, 128)),
        "claims",
    ),
    "a type of its own": (
        lambda file: file.create_dataset("w", data=np.zeros((2, 32, 32), "V4")),
        "float32",
    ),
}


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_trajectory_reads_its_own_bytes_alone(trajectory, call, pointer):
    make, word = POINTERS[pointer]
    replace_field(trajectory, make)
    with pytest.raises(FlexbenchError, match=word):
        Trajectory(trajectory)
    code, lines = call("check", trajectory)
    assert code == 1
    assert len(lines) == 1


def linked(file):
    file["prediction"] = h5py.ExternalLink("other.h5", "/prediction")


def stored_elsewhere(file):
    everything = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("prediction", (1, 1, 1, 8, 8), "<f4", external=everything)


@pytest.mark.parametrize(
    ("make", "message"),
    [(linked, "'prediction' is a link"), (stored_elsewhere, "lies in other files")],
)
def test_samples_read_their_own_bytes_alone(folder, make, message):
    """Whoever reads them: figures by `Samples`, scoring by `score_samples`."""
    labels = Labels(
        **{"case": "t", "method": "m", "mode": "denoiser", "training_seed": 0, "sampler": "ddim"},
        **{"steps": 1, "parameters": 1, "flops": 1.0, "calls": 1},
    )
    snapshot = Snapshot(trajectory="re1_seed1", reynolds=1.0, seed=1, index=0, time=0.0)
    field = np.zeros((1, 1, 8, 8), dtype=np.float32)
    path, truth = folder / "seed0.h5", folder / "re1_seed1.h5"
    write_samples(path, [field], snapshots=[snapshot], shape=field.shape, labels=labels)
    write_dummy(truth, grid=8, times=[0.0, 0.1], reynolds=1.0, seed=1)
    shutil.copy(path, folder / "other.h5")
    with h5py.File(path, "r+") as file:
        del file["prediction"]
        make(file)
    with pytest.raises(FlexbenchError, match=message):
        Samples(path)
    with pytest.raises(FlexbenchError, match=message):
        score_samples(path, {truth.stem: truth}, case="t", tier="smoke", bands=1)


# --- YAML and settings ----------------------------------------------------------------------

TAG = "!!python/object/apply:os.system ['touch ran']"


def test_yaml_that_calls_is_refused_wherever_it_is_read(folder, call):
    assert spring(yaml.load, TAG, Loader=yaml.UnsafeLoader)
    file = folder / "config.yaml"
    file.write_text(f"tier: {TAG}\n")
    refused(call("splits", "--resolved", file), "config.yaml", "not valid YAML")
    for key in ("root", "train.steps", "method_settings.flex.options.x", "splits"):
        refused(call("config", "--set", f"{key}={TAG}"), f"--set {key}", "not valid YAML")


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 5000, "&a {b: *a}"])
def test_yaml_without_end_is_refused(call, text):
    code, lines = call("config", "--set", f"train.steps={text}")
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("flexbench: error: ")


def test_a_list_that_grows_by_repetition_is_refused_at_once(folder, call):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 7)]
    (folder / "config.yaml").write_text("\n".join([*levels, "methods: *a6"]))
    code, lines = call("splits", "--resolved", folder / "config.yaml")
    assert code == 1
    assert all(len(line) < 2000 for line in lines)


HARMFUL = [
    "$(touch ran)",
    "`touch ran`",
    "; touch ran",
    "a b",
    "a'b",
    'a"b',
    "a\ntouch ran",
    "../../escaped",
    "/tmp/escaped",
    "..",
    "",
    "-x",
    "{seed}",
    "<script>alert(1)</script>",
    "\x1b[2J",
    "a\u202eb",
    "x" * 300,
]


@pytest.mark.parametrize("name", HARMFUL)
def test_a_name_is_a_name(call, name):
    """Names become folders and words of the rules' shell lines."""
    text = json.dumps(name)
    flex = "{kind: superres, patch: 32}"
    for setting in (
        f"tasks={{{text}: {flex}}}",
        f"methods=[flex, {text}]",
        f"tasks.forecast.methods=[{text}]",
        f"method_settings={{{text}: {{network: flex}}}}",
        f"method_settings.flex.network={text}",
    ):
        code, lines = call("config", "--tier", "smoke", "--set", setting)
        assert code == 1, setting
        assert len(lines) == 1, lines
        assert "a name is up to 64 letters" in lines[0]
        assert lines[0].isprintable()


@pytest.mark.parametrize("root", ["", "a{b}", 'a"b', "a\nb", "a\x1b[2Jb"])
def test_a_root_is_a_path(call, root):
    refused(call("config", "--set", f"root={json.dumps(root)}"), "root", "a path without braces")


def test_a_harmful_root_and_folder_are_quoted(clone, made, folder):
    """All that a path may hold goes through `flexbench run`, Snakemake and its shells unharmed."""
    root = folder / "it's $(touch ran); `touch ran` & x *"
    shutil.copytree(made, root)
    target = root / "smoke" / "data" / "splits.json"
    target.unlink()
    done = clone.flexbench("run", target, *clone.tiny(root), "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert target.is_file()
    assert not list(folder.rglob("ran"))
    assert not list(clone.folder.rglob("ran"))
    assert sorted(path.name for path in folder.iterdir()) == ["here", root.name]


def test_a_target_that_no_rule_is_meant_for_is_refused(shared_clone, folder):
    """Wildcards are taken from targets, so a target could bring words for a shell."""
    for place in ("scores/$(touch ran)/flex/seed0.csv", "figures/x;touch ran;/spectra.png"):
        target = folder / "root" / "smoke" / place
        done = shared_clone.flexbench("run", "-n", target, *shared_clone.tiny(folder / "root"))
        assert done.returncode == 1
        assert "MissingRuleException" in done.stdout + done.stderr


# --- the source -----------------------------------------------------------------------------

FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "marshal.loads"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "shelve.open", "joblib.load"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load"),
    *("pd.read_pickle", "pandas.read_pickle", "subprocess.getoutput", "torch.hub.load"),
}
SOURCES = sorted(
    path
    for part in ("flexbench", "baselines", "benchmarks")
    for path in checkout().joinpath(part).rglob("*.py")
)


def problems(tree):
    """Calls that could run what they read."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name in FORBIDDEN:
            yield name
        if name == "torch.load" and options.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if name == "np.load" and options.get("allow_pickle") != "False":
            yield "np.load without allow_pickle=False"
        if name.startswith("subprocess.") and options.get("shell", "False") != "False":
            yield "shell=True"


def test_no_source_file_runs_what_it_reads():
    """One place runs a user's Python: `registry.load`, for network files, as documented."""
    assert len(SOURCES) > 100
    found = {
        path.relative_to(checkout()).as_posix(): what
        for path in SOURCES
        if (what := list(problems(ast.parse(path.read_text()))))
    }
    # Compiled to be digested, and never run; read by a loader that is the safe one, and stricter.
    assert found == {
        "flexbench/provenance.py": ["compile"],
        "flexbench/config/strict_yaml.py": ["yaml.load"],
    }
    with pytest.raises(yaml.YAMLError, match="python/object"):
        parse_yaml("!!python/object/apply:os.getpid []")
    runs_modules = [path for path in SOURCES if ".exec_module(" in path.read_text()]
    assert [path.name for path in runs_modules] == ["registry.py"]


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "yaml.load(t, Loader=L)",
        "subprocess.run(c, shell=True)",
        "eval(t)",
        "pickle.loads(b)",
    ],
)
def test_the_search_finds(line):
    assert list(problems(ast.parse(line)))


def test_every_word_of_a_rule_is_a_number_a_name_or_quoted():
    """In the shell lines of the rules, wildcards are bounded by a pattern, and paths are quoted."""
    bounded = re.findall(
        r'^    (\w+)=r"(.*)",$', (checkout() / "Snakefile").read_text(), flags=re.M
    )
    patterns = dict(bounded)
    assert set(patterns) >= {"task", "method", "seed", "reynolds", "name"}
    for pattern in patterns.values():
        allowed = [chr(code) for code in range(0x250) if re.fullmatch(pattern, chr(code))]
        assert all(shlex.quote(letter) == letter for letter in allowed), pattern
    words = set()
    for path in (checkout() / "workflow" / "rules").glob("*.smk"):
        words |= set(re.findall(r"\{([a-z.]+(?::q)?)\}", path.read_text()))
    for word in words - {"params.launch"}:
        place, _, name = word.partition(".")
        assert word.endswith(":q") or (name or place) in patterns, word
