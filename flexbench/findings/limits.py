"""What a run cannot tell: whatever it has too little of, or did not do."""

from collections.abc import Callable, Iterator

from flexbench import registry
from flexbench.claims.verdict import FEWEST_SEEDS
from flexbench.findings.evidence import Evidence
from flexbench.findings.names import listed, network_name
from flexbench.findings.results import Sentence
from flexbench.findings.scorecard import not_run
from flexbench.findings.words import amount, between, counted

# More methods than these are counted, not named.
NAMED = 4
# So many test flows have intervals that hardly depend on which flows they happen to be.
MANY_FLOWS = 30


def cannot_tell(evidence: Evidence) -> list[Sentence]:
    """One sentence for each limit."""
    parts: tuple[Callable[[Evidence], Iterator[Sentence]], ...] = (
        _seeds,
        _flows,
        _budget,
        _unresolved,
        _left_out,
    )
    return [sentence for part in parts for sentence in part(evidence)]


def _seeds(evidence: Evidence) -> Iterator[Sentence]:
    each = {
        evidence.trainings(case, method)
        for case in evidence.tasks
        for method in evidence.learned(case)
    }
    if not each:
        return
    fewest = min(each)
    text = f"Each network was trained {between([*map(float, each)], '{:.0f}')} times."
    if fewest == 1:
        text = (
            "Each network was trained once: another training seed could turn a small gap round."
            if max(each) == 1
            else "Some networks were trained once: another seed could turn a small gap round."
        )
    elif fewest < FEWEST_SEEDS:
        text += f" The noise of training is known well from {FEWEST_SEEDS} on."
    yield Sentence(about="seeds", text=text)


def _flows(evidence: Evidence) -> Iterator[Sentence]:
    for case in evidence.tasks[:1]:
        own = evidence.scores[evidence.scores["case"] == case]
        flows, shots = evidence.test_flows(case), int(own["snapshots"].max())
        each = evidence.graph.case(case).sample.snapshots
        text = f"Scores are from {counted(shots, 'snapshot')} of {counted(flows, 'test flow')}"
        decay = "" if evidence.graph.config.data else " of their decay"
        text += f", all at one time{decay}." if each == 1 else "."
        if flows < MANY_FLOWS:
            text += " Rare events, and other flows of the same kind, may look different."
        yield Sentence(about="flows", text=text)


def _budget(evidence: Evidence) -> Iterator[Sentence]:
    """Steps, networks and fields of this tier."""
    config = evidence.graph.config
    trained = [
        (case, method)
        for case in evidence.tasks
        for method in evidence.learned(case)
        if evidence.graph.is_trained(method)
    ]
    if not trained:
        return
    learned = dict.fromkeys(method for _, method in trained)
    steps = [float(config.train_settings(method).steps) for method in learned]
    sizes = [
        size
        for case, method in trained
        if (size := evidence.cost_of(case, method, "parameters")) > 0
    ]
    text = f"Networks were trained for {between(steps, '{:.0f}')} steps"
    if sizes:
        small, large = amount(min(sizes), "").strip(), amount(max(sizes), "").strip()
        text += f" and have {small if small == large else f'{small} to {large}'} parameters"
    grid = "" if config.data else f", on fields of {config.solver.grid} × {config.solver.grid}"
    yield Sentence(
        about="budget",
        text=f"{text}{grid}: what more training or larger networks would change is not known.",
    )


def _unresolved(evidence: Evidence) -> Iterator[Sentence]:
    """Told once for the test split, whatever else is not resolved."""
    flags = [it for it in evidence.flags if it.kind == "unresolved" and it.case in evidence.tasks]
    for flag in flags[:1]:
        config = evidence.graph.config
        learnt = [
            re
            for re in flag.reynolds.split(", ")
            if re in map(_name, config.split("train").reynolds)
        ]
        also = (
            f"; networks learnt from flows at {evidence.flow} {listed(learnt)}, too"
            if learnt
            else ""
        )
        yield Sentence(
            about="resolution",
            text=f"The grid does not resolve {flag.detail} test flows (k_max eta down to "
            f"{flag.value:.2f}, 1 is enough): their smallest scales are partly the solver's{also}.",
        )


def _name(reynolds: float) -> str:
    return f"{reynolds:g}"


def _left_out(evidence: Evidence) -> Iterator[Sentence]:
    config = evidence.graph.config
    missing: dict[str, list[str]] = {}
    for case, method in not_run(evidence):
        missing.setdefault(case, []).append(evidence.method(method))
    alike: dict[tuple[str, ...], list[str]] = {}
    for case, methods in missing.items():
        alike.setdefault(tuple(methods), []).append(case)
    if alike:
        told = [f"{_some(methods)} on {evidence.listed(cases)}" for methods, cases in alike.items()]
        yield Sentence(about="not run", text=f"Not run: {'; '.join(told)}.")
    networks = {config.method(method).network for method in config.methods}
    absent = [
        name
        for name in registry.names(config.baseline_folders)
        if name not in networks and not registry.is_formula(name, config.baseline_folders)
    ]
    if absent:
        names = listed([network_name(name) for name in absent])
        yield Sentence(about="not run", text=f"Not part of this run: {names}.")


def _some(methods: tuple[str, ...]) -> str:
    return listed(list(methods)) if len(methods) <= NAMED else f"{len(methods)} methods"
