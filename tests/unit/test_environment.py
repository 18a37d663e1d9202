"""What a caller's environment may decide: a table of variables, and programs that would obey."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flexbench
from flexbench import git
from flexbench.config.reading import load_config
from flexbench.environment import cleaned, of_child
from flexbench.errors import FlexbenchError

PACKAGE = Path(flexbench.__file__).parent

TAKEN_AWAY = {
    "GIT_DIR": "/elsewhere/.git",
    "GIT_WORK_TREE": "/elsewhere",
    "GIT_INDEX_FILE": "/elsewhere/index",
    "GIT_OBJECT_DIRECTORY": "/elsewhere/objects",
    "GIT_COMMON_DIR": "/elsewhere/.git",
    "GIT_NAMESPACE": "other",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OF_NEXT_YEAR": "1",
    "DVC_ROOT": "/elsewhere",
    "DVC_EXP_NAME": "mine",
    "SNAKEMAKE_PROFILE": "theirs",
    "SNAKEMAKE_OUTPUT_CACHE": "/elsewhere",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "ascii",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
    "OMP_THREAD_LIMIT": "1",
    "OMP_DYNAMIC": "true",
    "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_FFT=3",
    "SQUEUE_STATES": "FAILED",
    "NVIDIA_TF32_OVERRIDE": "1",
    "SHELLOPTS": "noexec",
}
REPLACED = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/elsewhere/matplotlibrc",
    "PYTHONUTF8": "0",
    "OMP_NUM_THREADS": "64",
    "OPENBLAS_NUM_THREADS": "64",
    "MKL_NUM_THREADS": "64",
    "MPLCONFIGDIR": "/proc/none",
    "XDG_CACHE_HOME": "/proc/none",
    "GIT_CEILING_DIRECTORIES": "/",
}
KEPT = {
    "PYTHONPATH": "/my/code",
    "PYTHONHASHSEED": "7",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_AUTHOR_NAME": "me",
    "GIT_COMMITTER_EMAIL": "me@home",
    "GIT_SSH_COMMAND": "ssh -i key",
    "GIT_CONFIG_COUNT": "0",
    "DVC_GLOBAL_CONFIG_DIR": "/my/dvc",
    "SNAKEMAKE_SLURM_ACCOUNT": "mine",
    "SLURM_JOB_ID": "12",
    "SBATCH_ACCOUNT": "mine",
    "CUDA_VISIBLE_DEVICES": "1",
    "OMP_PLACES": "cores",
    "AWS_PROFILE": "mine",
    "TZ": "Asia/Tokyo",
    "LC_ALL": "C",
}


@pytest.mark.parametrize(("name", "value"), TAKEN_AWAY.items())
def test_what_would_decide_something_is_taken_away(name, value):
    assert name not in cleaned(os.environ | {name: value})


@pytest.mark.parametrize(("name", "value"), REPLACED.items())
def test_what_has_to_be_something_is_that(name, value):
    assert cleaned(os.environ | {name: value}).get(name) != value


@pytest.mark.parametrize(("name", "value"), KEPT.items())
def test_what_says_how_to_reach_things_stays(name, value):
    assert cleaned(os.environ | {name: value})[name] == value


def test_cleaning_twice_is_cleaning_once():
    once = cleaned(os.environ | TAKEN_AWAY | REPLACED)
    assert cleaned(once) == once


@pytest.mark.parametrize(
    "home", ["", "/dev/null/home", "/proc/nohome", "relative", "~", "/dev/null", "/nowhere/at/all"]
)
def test_a_home_that_is_none_is_replaced(home):
    found = cleaned(os.environ | {"HOME": home} | {"XDG_CACHE_HOME": ""})
    assert Path(found["HOME"]).is_dir()
    assert found["HOME"] != home
    Path(found.get("XDG_CACHE_HOME") or f"{found['HOME']}/.cache").mkdir(exist_ok=True)


def test_a_home_that_can_only_be_read_keeps_its_settings():
    """Root may write anywhere but into /proc, which is a folder all the same."""
    found = cleaned({"HOME": "/proc", "PATH": os.environ["PATH"]})
    assert found["HOME"] == "/proc"
    assert Path(found["XDG_CACHE_HOME"]).parent.is_dir()


def test_a_home_that_works_stays(tmp_path):
    found = cleaned({"HOME": str(tmp_path), "USER": "me"})
    assert found["HOME"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == [], "a cache is made by who needs it"
    assert "XDG_CACHE_HOME" not in found


def test_the_callers_own_variables_win():
    assert of_child({"DVC_ROOT": "theirs"}, DVC_ROOT="ours")["DVC_ROOT"] == "ours"


def started(path):
    """Calls in a source file that start a process, each with the names of what it is given."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name.startswith(("subprocess.", "os.system", "os.popen", "os.spawn", "os.exec")) and (
            name not in ("subprocess.TimeoutExpired", "subprocess.CalledProcessError")
        ):
            yield name, {keyword.arg for keyword in node.keywords}, len(node.args)


def test_no_process_is_started_with_an_environment_as_it_came():
    calls = [(path, *call) for path in PACKAGE.rglob("*.py") for call in started(path)]
    assert len(calls) > 8
    for path, name, keywords, arguments in calls:
        assert "env" in keywords or (name == "os.execve" and arguments == 3), (path, name)
        assert not {"text", "universal_newlines"} & keywords, (path, "say encoding='utf-8'")


# --- git ------------------------------------------------------------------------------------


@pytest.fixture
def repositories(tmp_path, monkeypatch):
    """Ours, which stands for the checkout and holds a commit, and another one."""
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.setenv(f"GIT_{name}", "tester")
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
        asked(folder, "init", "--quiet")
        (folder / "file").write_text(folder.name)
        asked(folder, "add", "file")
        asked(folder, "commit", "--quiet", "--message", "first")
    monkeypatch.setattr(git, "checkout", lambda: ours)
    return ours, other


def asked(folder, *arguments):
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=of_child(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "variables",
    [
        ("GIT_DIR",),
        ("GIT_DIR", "GIT_WORK_TREE"),
        ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"),
        ("GIT_INDEX_FILE",),
        ("GIT_OBJECT_DIRECTORY",),
        ("GIT_COMMON_DIR", "GIT_DIR"),
        ("GIT_NAMESPACE",),
        ("GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    ],
    ids="+".join,
)
def test_commits_go_into_the_checkouts_own_repository(repositories, monkeypatch, variables):
    ours, other = repositories
    before = asked(other, "log", "--format=%H")
    values = {"GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git" / "index"}
    values |= {"GIT_OBJECT_DIRECTORY": other / ".git" / "objects"}
    for name in variables:
        monkeypatch.setenv(name, str(values.get(name, other / ".git")))
    assert git.revision() == asked(ours, "rev-parse", "HEAD")
    (ours / "file").write_text("new")
    git.commit(["file"], "second")
    assert asked(ours, "log", "--format=%s").split() == ["second", "first"]
    assert asked(other, "log", "--format=%H") == before
    assert asked(other, "status", "--porcelain") == ""


def test_a_repository_around_the_checkout_is_not_its_own(repositories, monkeypatch):
    ours, _ = repositories
    inside = ours / "copy"
    inside.mkdir()
    monkeypatch.setattr(git, "checkout", lambda: inside)
    monkeypatch.setattr("flexbench.environment.checkout", lambda: inside)
    assert git.revision() is None
    with pytest.raises(FlexbenchError, match="not a git repository"):
        git.commit(["file"], "none")


@pytest.fixture
def ours(repositories):
    return repositories[0]


# What was done to a file of the last commit, or what it is instead, and why a clone lacks it.
HELD = {
    "as it is": (lambda path: None, None),
    "touched": (lambda path: os.utime(path, (0, 0)), None),
    "changed": (lambda path: path.write_text("new"), "it has changed since the last commit"),
    "emptied": (lambda path: path.write_text(""), "it has changed since the last commit"),
    "staged": (
        lambda path: (path.write_text("new"), asked(path.parent, "add", "file")),
        "it has changed since the last commit",
    ),
    "hidden from git": (
        lambda path: (
            asked(path.parent, "update-index", "--assume-unchanged", "file"),
            path.write_text("new"),
        ),
        "it has changed since the last commit",
    ),
    "linked": (
        lambda path: (path.rename(path.with_name("b")), path.symlink_to("b")),
        "git does not hold it",
    ),
    "removed from the index": (lambda path: asked(path.parent, "rm", "--cached", "file"), None),
    "removed for good": (
        lambda path: (
            asked(path.parent, "rm", "--quiet", "--cached", "file"),
            asked(path.parent, "commit", "--quiet", "--message", "gone"),
        ),
        "git does not hold it",
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_whether_git_holds_a_file_as_it_is(ours, name):
    spoil, why = HELD[name]
    spoil(ours / "file")
    assert git.not_held(ours / "file") == why


@pytest.mark.parametrize("ignored", [False, True])
def test_a_new_file_is_not_held(ours, ignored):
    (ours / ".gitignore").write_text("mine.py\n" if ignored else "")
    (ours / "mine.py").write_text("")
    assert git.not_held(ours / "mine.py") == "git does not hold it"


def test_a_file_from_elsewhere_is_not_held(ours, tmp_path):
    assert git.not_held(tmp_path / "mine.py") == "it lies outside of the clone"
    linked = tmp_path / "link"
    linked.symlink_to(ours)
    assert git.not_held(linked / "file") is None


# --- drawing --------------------------------------------------------------------------------

DRAW = """
from flexbench import environment
environment.begin()
import hashlib, sys
from pathlib import Path
from flexbench.report import style
from flexbench.report.figures import save
with style.look():
    figure = style.nothing_to_show("Größe")
    figure.subplots().imshow([[0, 1], [2, 3]], cmap=style.SIGNED_MAP)
path = Path(sys.argv[1])
save(figure, path)
print(hashlib.sha256(path.read_bytes() + path.with_suffix(".pdf").read_bytes()).hexdigest())
"""
NOTEBOOK = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "JPY_PARENT_PID": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "TERM": "xterm-color",
    "PYTHONWARNINGS": "error",
}
UNREADABLE = b"# caf\xe9\nimage.lut: 3\n"
SETTINGS = b"image.lut: 3\nsavefig.dpi: 10\ninteractive: True\ntext.usetex: True\n"


def drawn(folder, environment, rc=None):
    folder.mkdir()
    if rc is not None:
        (folder / "matplotlibrc").write_bytes(rc)
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(folder / "figure.png")],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_a_figure_is_the_same_bytes_whoever_calls(tmp_path):
    (tmp_path / "theirs").write_bytes(SETTINGS)
    plain = drawn(tmp_path / "plain", {})
    theirs = NOTEBOOK | {"MATPLOTLIBRC": str(tmp_path / "theirs"), "HOME": "/proc/none"}
    assert drawn(tmp_path / "notebook", theirs, SETTINGS) == plain


def test_settings_that_matplotlib_cannot_read_are_not_read(tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(UNREADABLE)
    code = "from flexbench import environment as e; e.begin(); import matplotlib.cm as c; print(c)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_text_is_utf8_where_the_locale_knows_ascii_alone(tmp_path):
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "Größe.yaml").write_text("tier: smoke\nroot: Fläche\n", encoding="utf-8")
    words = ["config", "--config", "Größe.yaml", "--output", "Maß.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "flexbench", *words],
        cwd=tmp_path,
        env=os.environ | ascii_alone,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert load_config(resolved=tmp_path / "Maß.yaml").root == "Fläche"
