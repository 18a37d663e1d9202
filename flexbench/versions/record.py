"""`flexbench record`: a version of one tier's data and results, for git to name."""

import os
from dataclasses import dataclass
from pathlib import Path

from flexbench import git, spares
from flexbench.atomic import write_text
from flexbench.config.reading import tier_file
from flexbench.config.strict_yaml import read_yaml
from flexbench.dry_run import DryRun
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.runner import sole_owner
from flexbench.verify import told_differences, verify
from flexbench.versions import dvc, links

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What was recorded. files, bytes: verified; link: how cache and results share bytes.

    remote: where the bytes went, too; commit: git's name of the version, "" where it was not asked
    for; changed: files of the code that git does not hold as they are.
    """

    files: int
    bytes: int
    link: str
    remote: str | None
    commit: str
    changed: list[str]


def record(
    graph: Graph,
    *,
    remote: str | None = None,
    push: bool = True,
    cache: Path | None = None,
    message: str | None = None,
) -> Recorded:
    """Record a tier's results as they stand; no step is run.

    The graph has to be complete and every receipt true. remote: DVC's name of it; None: its
    default one, if any. cache: a folder for DVC's cache, shared by a group. message: of a git
    commit of just this version's files. Killed at any moment, the same call repairs and goes on.
    Raises FlexbenchError for whatever would keep a clone from restoring it.
    """
    dvc.require()
    folder = results_folder(graph)
    with sole_owner(folder):
        dvc.repair()
        _require_complete(graph)
        checked = verify(graph)
        if not checked.clean:
            raise FlexbenchError(problems(graph, checked.findings) + "; nothing was recorded")
        _require_held(graph)
        if graph.layout.config.read_text(encoding="utf-8") != graph.text:
            write_text(graph.layout.config, graph.text)  # they differ in pace, or in spelling
        if cache is not None:
            _share(cache, folder)
        found = dvc.settings(folder)
        place = dvc.remote_of(found, remote) if push else None
        if dvc.tier_parameter() != graph.config.tier:
            dvc.set_tier_parameter(graph.config.tier)
        link = _commit(graph, found, folder)
        if place:
            dvc.call("push", "--quiet", "--remote", place, *dvc.STAGES, folder=folder)
        return Recorded(
            files=checked.files,
            bytes=checked.bytes,
            link=link,
            remote=place,
            commit=git.commit(small_files(graph), message) if message else "",
            changed=git.changed_code(),
        )


def results_folder(graph: Graph) -> Path:
    """The tier's folder; FlexbenchError where it does not lie where dvc.yaml looks."""
    root = Path(os.path.abspath(checkout() / graph.config.root))
    if root != checkout() / dvc.ROOT:
        raise FlexbenchError(
            f"root: DVC versions {checkout() / dvc.ROOT}, found {root}; "
            "work in a clone that lies where the space is"
        )
    return root / graph.config.tier


def problems(graph: Graph, findings: object) -> str:
    """The first of what `verify` found, in one line."""
    texts = [str(finding) for finding in findings] if isinstance(findings, list) else []
    more = f"; and {len(texts) - _SHOWN} more" if texts[_SHOWN:] else ""
    told = "; ".join(texts[:_SHOWN]) or "not everything was made"
    return f"{graph.layout.folder}: {told}{more}"


def _require_complete(graph: Graph) -> None:
    """FlexbenchError with the number of jobs that a run would do, and why."""
    tier = graph.config.tier
    with DryRun.start(graph, {"tier": tier}) as asked_now:
        found = asked_now.reasons()
    found.pop("all ", None)  # the target, which makes nothing itself
    if not found:
        return
    jobs = f"{len(found)} {'job' if len(found) == 1 else 'jobs'}"
    own = graph.layout.config
    asked = graph.config.model_dump(mode="json")
    changes = told_differences(read_yaml(own), asked) if own.is_file() else []
    if changes:
        raise FlexbenchError(
            f"{own}: {'; '.join(changes[:_SHOWN])} ({jobs} would run); a clone could not restore "
            f"that: write it into {tier_file(tier)}, or run without --set"
        )
    reasons = [f"{key.partition(' ')[0]}: {', '.join(why)}" for key, why in found.items()]
    raise FlexbenchError(
        f"{graph.layout.folder}: {jobs} to be run first, with `flexbench run --tier {tier}` "
        f"({'; '.join(reasons[:_SHOWN])})"
    )


def _require_held(graph: Graph) -> None:
    """FlexbenchError where git does not hold what says what this version is of."""
    networks = [graph.network_file(method) for method in graph.config.methods]
    for path in dict.fromkeys([tier_file(graph.config.tier), *networks]):
        why = git.not_held(path)
        if why is not None:
            raise FlexbenchError(
                f"{path}: {why}, so no clone could restore this version; commit it first (a file "
                "from elsewhere: copy it to baselines/, run again, commit); nothing was recorded"
            )


def _share(cache: Path, folder: Path) -> None:
    """Let DVC keep its cache in a folder that a group writes to."""
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o2775)
    dvc.call("config", "--local", "cache.dir", str(cache.resolve()), folder=folder)
    dvc.call("config", "--local", "cache.shared", "group", folder=folder)


def _commit(graph: Graph, found: dict[str, str], folder: Path) -> str:
    """Let DVC take every output into its cache; returns the kind of link that is used.

    DVC looks at the first kind alone when it commits, so the one that works has to stand there:
    otherwise it copies, and the results take twice their space.
    """
    kinds = [kind.strip() for kind in found.get("cache.type", "reflink,copy").split(",")]
    link = links.first_usable(kinds, cache=dvc.cache_folder(found), folder=folder)
    if link != kinds[0]:
        order = ",".join(kinds[kinds.index(link) :])
        dvc.call("config", "--local", "cache.type", order, folder=folder)
    large = [checkout() / path for path in large_folders(graph)]
    if link == "hardlink":
        spares.lay(folder, large)
    dvc.call("commit", "--quiet", "--force", *dvc.STAGES, folder=folder)
    spares.put_back(folder)
    links.protect(large)
    return link


def large_folders(graph: Graph) -> list[str]:
    """What DVC's cache holds, from the checkout; dvc.yaml says the same (a test compares)."""
    names = ("data", "checkpoints", "samples", "scores", "figures")
    return [f"{dvc.ROOT}/{graph.config.tier}/{name}" for name in names]


def small_files(graph: Graph) -> list[str]:
    """What git holds of a version, from the checkout."""
    names = ["config.yaml", "tables", "report.html", "report.html.receipt.json"]
    names += ["submissions"] if graph.config.submissions else []
    own = [f"{dvc.ROOT}/{graph.config.tier}/{name}" for name in names]
    return ["dvc.lock", "dvc.yaml", "params.yaml", *own]
