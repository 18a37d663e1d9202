"""All that a run found, from its tables."""

from flexbench.findings.evidence import Evidence
from flexbench.findings.limits import cannot_tell
from flexbench.findings.minute import in_one_minute
from flexbench.findings.results import Findings, Numbers
from flexbench.findings.scorecard import scorecard
from flexbench.findings.warnings import warnings


def findings_of(evidence: Evidence) -> Findings:
    """Sentences, scorecard and flags of a run."""
    return Findings(
        tier=evidence.graph.config.tier,
        case_names=evidence.case_names,
        method_names=evidence.method_names,
        minute=in_one_minute(evidence),
        cannot_tell=cannot_tell(evidence),
        scorecard=scorecard(evidence),
        defects=warnings(evidence, defects=True),
        notes=warnings(evidence, defects=False),
        flags=[Numbers.of(flag) for flag in evidence.flags],
    )
