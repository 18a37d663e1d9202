"""Whether an ensemble takes a diffusion: FLEX beside networks that are asked once."""

from collections.abc import Iterator

from flexbench.findings.evidence import Evidence
from flexbench.findings.results import Sentence
from flexbench.findings.standing import verdict
from flexbench.findings.words import larger, plain, smaller
from flexbench.metrics.comparisons import CENTRAL

# What judges a whole ensemble.
WHOLE = "crps"


def diffusion(evidence: Evidence) -> Iterator[Sentence]:
    """A sentence for each case on the test split's flows that has both, each drawn with noise
    that was fitted to its own errors: so neither is a straw man."""
    for case in evidence.cases:
        if not (evidence.same_flows(case) and evidence.graph.case(case).sample.is_fitted):
            continue
        if not _diffuses(evidence, case, CENTRAL):
            continue
        others = [it for it in evidence.learned(case) if _is_asked_once(evidence, case, it)]
        best = evidence.best(case, others, WHOLE)
        if best is not None:
            yield Sentence(about="diffusion", case=case, text=_told(evidence, case, best))


def _diffuses(evidence: Evidence, case: str, method: str) -> bool:
    return method in evidence.learned(case) and _mode(evidence, method) == "denoiser"


def _is_asked_once(evidence: Evidence, case: str, method: str) -> bool:
    """And has members all the same, so that their CRPS is that of an ensemble."""
    asked_once = _mode(evidence, method) in ("crps", "regressor")
    return asked_once and evidence.graph.is_stochastic(method, case)


def _mode(evidence: Evidence, method: str) -> str:
    """Of what others ran nothing is known."""
    config = evidence.graph.config
    return "" if method in config.submissions else config.method(method).mode


def _told(evidence: Evidence, case: str, best: str) -> str:
    ratio = evidence.to_best(case, best, CENTRAL, WHOLE)
    trainings = min(evidence.trainings(case, it) for it in (best, CENTRAL))
    asked = f"{evidence.case(case)}: does it take a diffusion?"
    flex = evidence.method(CENTRAL)
    other = f"the CRPS of {evidence.method(best)}, which is asked once,"
    said = verdict(ratio, trainings=trainings)
    if ratio is None or said == "untested":
        return f"{asked} Can't tell: too few flows."
    if said == "better":
        return f"{asked} No: {other} is {smaller(ratio)} than that of {flex}'s diffusion."
    if said == "worse":
        return f"{asked} Yes, of what was tried: {other} is {larger(ratio)} than {flex}'s."
    chance = ", which may be chance with one training each" if said == "may be chance" else ""
    return f"{asked} Can't tell: {other} is {plain(ratio)} times that of {flex}{chance}."
