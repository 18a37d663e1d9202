"""`flexbench restore`: the data and results of the version that git has checked out."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.runner import run_owned, snakemake_command, sole_owner, with_options
from flexbench.verify import verify
from flexbench.versions import dvc
from flexbench.versions.record import problems, results_folder


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is back, and verified. remote: where missing bytes came from, None: the cache."""

    files: int
    bytes: int
    remote: str | None


def restore(graph: Graph, *, remote: str | None = None, force: bool = False) -> Restored:
    """Bring back the large files of a version, check them, and date them for Snakemake.

    remote: DVC's name of it; None: its default one, if any, else the cache alone. force: results
    that no recorded version holds may be overwritten. Afterwards `snakemake -n` has nothing to do;
    a change of settings or code is noticed as ever. Raises FlexbenchError where anything is not
    what its receipt says; then no date is changed, and Snakemake will not trust the files.
    """
    dvc.require()
    folder = results_folder(graph)
    tier = graph.config.tier
    record = dvc.recorded()
    if not record:
        raise FlexbenchError(
            f"{checkout() / 'dvc.lock'}: this commit holds no recorded version; check out one that "
            "does, "
            f"or make one: `flexbench run --tier {tier}`, `flexbench record --tier {tier}`"
        )
    if not any(Path(path).is_relative_to(f"{dvc.ROOT}/{tier}") for path in record):
        held = next(iter(record)).split("/")[1]
        raise FlexbenchError(f"this commit holds a version of tier '{held}', not of '{tier}'")
    with sole_owner(folder):
        dvc.repair()
        _require_small_files(record)
        found = dvc.settings(folder)
        place = dvc.remote_of(found, remote)
        _fetch(place, folder, force=force)
        checked = verify(graph)
        broken = [folder / it.path for it in checked.findings if it.kind == "changed"]
        if broken:
            _fetch_anew(broken, place, folder)
            checked = verify(graph)
        if not checked.clean:
            raise FlexbenchError(
                problems(graph, checked.findings) + "; restored, but not marked as up to date"
            )
        _touch(tier, folder)
    return Restored(files=checked.files, bytes=checked.bytes, remote=place)


def _require_small_files(record: dict[str, str]) -> None:
    """FlexbenchError unless the files that git holds are those of the version."""
    for path, digest in record.items():
        file = checkout() / path
        if digest.endswith(".dir"):
            continue
        if not file.is_file():
            raise FlexbenchError(f"{file}: not there; bring it back with `git checkout -- {path}`")
        with file.open("rb") as opened:
            if hashlib.file_digest(opened, "md5").hexdigest() != digest:
                raise FlexbenchError(
                    f"{file}: not as in the recorded version; keep it by recording one of "
                    f"your own, or take the version's by `git checkout -- {path}`"
                )


def _fetch(remote: str | None, folder: Path, *, force: bool) -> None:
    """Let DVC bring the files: from its cache, and what is not there from the remote."""
    forced = ["--force"] if force else []
    asked = ["pull", "--remote", remote] if remote else ["checkout"]
    try:
        dvc.call(*asked, *forced, *dvc.STAGES, folder=folder)
    except FlexbenchError as error:
        if "confirmation" in str(error):
            raise FlexbenchError(
                f"{error}; no version holds what is there now: keep it with `flexbench record`, "
                "or give it up with --force"
            ) from None
        if remote is None:
            raise FlexbenchError(
                f"{error}; there is no remote to bring it from: "
                "`dvc remote add --default NAME FOLDER` names one"
            ) from None
        raise


def _fetch_anew(broken: list[Path], remote: str | None, folder: Path) -> None:
    """Bring files again that came out of the cache with other bytes than they went in with.

    Somebody wrote through a link. DVC trusts a cache object that is read-only, and checks (and
    throws away) one that is not, and of another date than it remembers; the link's mode and date
    are the object's. The file itself has to go: DVC remembers it as what it had linked.
    """
    for path in broken:
        path.chmod(0o644)
        os.utime(path)
        path.unlink()
    _fetch(remote, folder, force=True)


def _touch(tier: str, folder: Path) -> None:
    """Let Snakemake take every file as made just now, with today's settings and code.

    All of them: without --forceall it records nothing of a rule without inputs, and would not
    notice a changed setting of the solver.
    """
    command = snakemake_command({"tier": tier}, targets=[], cores=None, profile=None, dry_run=False)
    if run_owned(with_options(command, "--touch", "--forceall", "--quiet", "all"), folder):
        raise FlexbenchError(f"{folder}: restored, but `snakemake --touch` failed")
