"""DVC as a command: one call at a time, its errors in one line, its files repaired after a kill."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout
from flexbench.runner import run_environment

STAGES = ("data", "train", "evaluate")
_ADVICE = ("Is your cache up to date?", "Having any troubles?", "<http", "https://")
_SHOWN = 4  # lines of an error
ROOT = "results"  # what dvc.yaml versions; a folder below it per tier


def require() -> None:
    """FlexbenchError unless DVC is installed and the checkout is a clone that it can work in."""
    _program()
    for name, why in ((".git", "a version is a git commit"), ("dvc.yaml", "it names the outputs")):
        if not (checkout() / name).exists():
            raise FlexbenchError(f"{checkout()}: no {name} here ({why}); work in a git clone")


def call(*arguments: str, folder: Path) -> str:
    """Run DVC in the checkout, as part of the work in a results folder; what it prints.

    Raises FlexbenchError with DVC's own reason. The process is marked as the folder's, so that it
    is ended where this one was killed; its bookkeeping stays inside the clone.
    """
    own = {"DVC_SITE_CACHE_DIR": str(checkout() / ".dvc" / "tmp" / "site"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [_program(), *arguments],
        cwd=checkout(),
        env=run_environment(folder) | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise FlexbenchError(f"dvc {arguments[0]}: {_reason(done)}")
    return done.stdout


def settings(folder: Path) -> dict[str, str]:
    """DVC's settings from all its files, the nearest one last: {"cache.type": "hardlink,copy"}."""
    lines = call("config", "--list", folder=folder).splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def cache_folder(found: dict[str, str]) -> Path:
    """The cache that these settings name; a relative one starts at `.dvc`."""
    return checkout() / ".dvc" / found.get("cache.dir", "cache")


def remote_of(found: dict[str, str], name: str | None) -> str | None:
    """The remote asked for, or the default one; None where there is none."""
    known = [key.split(".")[1] for key in found if key.startswith("remote.")]
    if name is not None and name not in known:
        allowed = f"allowed: {', '.join(dict.fromkeys(known))}" if known else "there is none yet"
        raise FlexbenchError(f"remote '{name}' is not known to DVC; {allowed}")
    return name or found.get("core.remote")


# --- its files ------------------------------------------------------------------------------


def recorded() -> dict[str, str]:
    """What dvc.lock says of the outputs of the three stages: digest by path.

    {} where there is no file, or none that was written to its end.
    """
    try:
        lock: Any = yaml.safe_load((checkout() / "dvc.lock").read_text(encoding="utf-8"))
        outs = [out for stage in STAGES for out in lock["stages"][stage]["outs"]]
        return {out["path"]: out["md5"] for out in outs}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}


def repair() -> None:
    """Clear what a killed DVC left: a lock file cut short, and locks of processes that are gone.

    The caller holds the checkout, so no other call of ours is at work; a live DVC of the user's
    keeps its locks.
    """
    lock = checkout() / "dvc.lock"
    if lock.exists() and not recorded():
        print("flexbench: dvc.lock was cut short; it is written anew", file=sys.stderr)
        lock.unlink()
    path = checkout() / ".dvc" / "tmp" / "rwlock"
    if not path.is_file() or not Path("/proc").is_dir():
        return
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        owners = [*entries.get("write", {}).values()]
        owners += [owner for readers in entries.get("read", {}).values() for owner in readers]
        alive = any(_is_dvc(int(owner["pid"])) for owner in owners)
    except (ValueError, TypeError, KeyError, AttributeError):
        alive = False
    if not alive:
        path.unlink()


def _is_dvc(pid: int) -> bool:
    """Whether a process is DVC: numbers of dead ones are given to others."""
    with suppress(OSError):
        return b"dvc" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def tier_parameter() -> str:
    """The tier in params.yaml, which dvc.yaml's paths are filled with."""
    try:
        values = yaml.safe_load(_parameters().read_text(encoding="utf-8"))
        return str(values["tier"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        raise FlexbenchError(f"{_parameters()}: needs one line such as `tier: desk`") from None


def set_tier_parameter(tier: str) -> None:
    """Write the tier into params.yaml; comments stay."""
    lines = _parameters().read_text(encoding="utf-8").splitlines()
    lines = [f"tier: {tier}" if line.startswith("tier:") else line for line in lines]
    write_text(_parameters(), "\n".join(lines) + "\n")


def _parameters() -> Path:
    return checkout() / "params.yaml"


# --- the program ----------------------------------------------------------------------------


def _program() -> str:
    """This installation's own DVC, or the one that is found first."""
    own = Path(sys.executable).with_name("dvc")
    found = str(own) if own.exists() else shutil.which("dvc")
    if found is None:
        raise FlexbenchError("DVC is not installed; `pip install -e '.[workflow]'` brings it")
    return found


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """DVC's errors and the files that it names, in one line; not its advice."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_ADVICE)]
    first = next((i for i, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines) - 1)
    told = [line.removeprefix("ERROR: ") for line in lines[max(first, 0) :]]
    more = f" and {len(told) - _SHOWN} more lines" if told[_SHOWN:] else ""
    return " ".join(told[:_SHOWN]) + more if told else f"exit code {done.returncode}"
