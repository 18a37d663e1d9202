"""What a caller's environment may decide: how to reach things, never what is computed or where.

A notebook, a git hook, a container without a home, a batch system, a shell's start-up file: each
hands variables down that mean something else to it. `cleaned` says what a process gets in their
place; every process that this package starts is given `of_child`, and `apply` does the same to
this one, before anything that reads its environment is imported.
"""

import io
import os
import pwd
import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from flexbench.errors import FlexbenchError
from flexbench.paths import checkout

# Of these families everything is taken away but what stands here: what nobody knows decides
# nothing. Names that end in an underscore are families of their own.
_KEPT = {
    # Who commits, and how a remote is reached; not which repository, index or work tree it is.
    "GIT_": (
        *("AUTHOR_", "COMMITTER_", "CONFIG_", "SSL_", "HTTP_"),
        *("SSH", "SSH_COMMAND", "SSH_VARIANT", "ASKPASS", "TERMINAL_PROMPT", "PROXY_COMMAND"),
        *("EXEC_PATH", "TEMPLATE_DIR", "DISCOVERY_ACROSS_FILESYSTEM"),
    ),
    "DVC_": ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"),
    # Which Python this is; not how strict it is, nor how it reads text.
    "PYTHON": (
        *("PATH", "HOME", "USERBASE", "NOUSERSITE", "SAFEPATH", "PLATLIBDIR", "EXECUTABLE"),
        *("DONTWRITEBYTECODE", "PYCACHEPREFIX", "HASHSEED", "UNBUFFERED"),
        *("FAULTHANDLER", "MALLOC"),
    ),
    # Settings of a cluster's plugin, whose jobs compute the same wherever they land.
    "SNAKEMAKE_": ("SLURM_",),
    # Where threads run; how many there are is the configuration's to say.
    "OMP_": ("PLACES", "PROC_BIND", "STACKSIZE"),
    "MKL_": ("CBWR", "THREADING_LAYER", "SERVICE_FORCE_INTEL"),
    "SQUEUE_": (),
    "SCANCEL_": (),
}
_TAKEN_AWAY = {
    *("OPENBLAS_DEFAULT_NUM_THREADS", "CDPATH", "SHELLOPTS", "BASHOPTS", "POSIXLY_CORRECT"),
    # Numbers of lower precision, or networks that are not compiled where they should be.
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHDYNAMO_DISABLE"),
    *("TORCH_COMPILE_DISABLE", "TORCHINDUCTOR_CONFIG_PATH"),
}
# As Snakemake sets them for a job of one core. What computes with the configuration's threads
# asks torch for them (`device.prepare_device`).
_THREADS = (
    *("OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
_SET = {
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,  # matplotlib's own settings, and none of a file's
    "PYTHONUTF8": "1",  # files are UTF-8 whatever the locale
    **dict.fromkeys(_THREADS, "1"),
}


def cleaned(inherited: Mapping[str, str]) -> dict[str, str]:
    """These variables without those that would decide something, and with a home that works."""
    kept = {name: value for name, value in inherited.items() if _may_stay(name)} | _SET
    if "MPLCONFIGDIR" in kept and not _is_writable(Path(kept["MPLCONFIGDIR"])):
        del kept["MPLCONFIGDIR"]
    # Nothing above the checkout is taken for its repository.
    kept["GIT_CEILING_DIRECTORIES"] = str(checkout().parent)
    scripts = Path(sys.executable).parent
    path = kept.get("PATH", os.defpath)
    if (scripts / "flexbench").exists() and path.split(os.pathsep)[0] != str(scripts):
        kept["PATH"] = f"{scripts}{os.pathsep}{path}"  # rules call `flexbench`, and mean this one
    return kept | _homes(kept)


def of_child(inherited: Mapping[str, str] | None = None, **own: str) -> dict[str, str]:
    """The environment of a process that is started: this one's, cleaned, and what is its own."""
    return cleaned(os.environ if inherited is None else inherited) | own


def begin() -> None:
    """Of a verb, before anything heavy is imported: `apply`, and what a program alone can do.

    Where paths are not UTF-8 to Python (a locale of one byte a letter), it is started anew.
    """
    if sys.getfilesystemencoding().lower() != "utf-8":
        words = [sys.executable, "-m", "flexbench", *sys.argv[1:]]
        os.execve(sys.executable, words, of_child())
    apply()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if Path("matplotlibrc").exists():
        _import_matplotlib()


def apply() -> None:
    """Clean this process's own environment, and take back what PYTHONWARNINGS made an error."""
    strict = "PYTHONWARNINGS" in os.environ
    wanted = cleaned(os.environ)
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
    if strict:
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)


def _may_stay(name: str) -> bool:
    family = next((family for family in _KEPT if name.startswith(family)), None)
    if family is None:
        return name not in _TAKEN_AWAY
    inside = name.removeprefix(family)
    return any(
        inside.startswith(kept) if kept.endswith("_") else inside == kept for kept in _KEPT[family]
    )


def _import_matplotlib() -> None:
    """Import it where there is no `matplotlibrc`: one of the working directory comes before all
    else that it looks at, decides colours as it is imported, and ends it where it is not UTF-8."""
    here = Path.cwd()
    os.chdir(_spare_home())
    try:
        import matplotlib.cm  # noqa: F401
    finally:
        os.chdir(here)


# --- a home ---------------------------------------------------------------------------------


def _homes(environment: Mapping[str, str]) -> dict[str, str]:
    """A home that is there, and a folder for caches that can be written to.

    A home that can only be read stays: it may hold the settings of git and DVC.
    """
    found = {}
    user, home = _account()
    home = environment.get("HOME") or home
    if not (os.path.isabs(home) and Path(home).is_dir()):
        home = str(_spare_home())
    found["HOME"] = home
    cache = Path(environment.get("XDG_CACHE_HOME") or Path(home) / ".cache")
    if not (cache.is_absolute() and _is_writable(cache)):
        with suppress(FlexbenchError):  # where nothing can be written, caches are done without
            found["XDG_CACHE_HOME"] = str(_spare_home() / ".cache")
    if not environment.get("USER") and not environment.get("LOGNAME"):
        found["USER"] = user  # `getpass.getuser` fails for a number that no account has
    return found


def _account() -> tuple[str, str]:
    """Name and home of the user; a container's may have neither."""
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid{os.getuid()}", ""
    return account.pw_name, account.pw_dir


def _spare_home() -> Path:
    """A folder in the place of a home that cannot be used: beside Snakemake's own records, or,
    where nobody may write there, a user's own among the temporary files."""
    folder = checkout() / ".snakemake" / "home"
    if _is_writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    try:
        folder = Path(tempfile.gettempdir()) / f"flexbench-home-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FlexbenchError(f"{folder}: {error.strerror}; set HOME to a folder of yours") from None
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise FlexbenchError(f"{folder}: is somebody else's; set HOME to a folder of yours")
    return folder


def _is_writable(folder: Path) -> bool:
    """Whether files can be made there, or in what it would have to be made in; asked by making one,
    which is gone at once: root may write to /proc, too, and cannot."""
    try:
        there = next(it for it in (folder, *folder.parents) if it.exists())
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False
