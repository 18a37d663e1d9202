"""The file of findings: `tables/findings.json`, for the page, the end of a run, and comments."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flexbench.errors import FlexbenchError
from flexbench.findings.results import Findings

_FORMAT = TypeAdapter(Findings)


def findings_json(findings: Findings) -> str:
    """As text; ends with a line break."""
    return _FORMAT.dump_json(findings, indent=1).decode() + "\n"


def read_findings(path: Path) -> Findings:
    """FlexbenchError where the file is missing, or is something else."""
    try:
        return _FORMAT.validate_json(path.read_bytes())
    except OSError:
        raise FlexbenchError(f"{path}: no findings; run `flexbench tabulate` first") from None
    except ValidationError as error:
        raise FlexbenchError(f"{path}: no findings ({error.errors()[0]['msg']})") from None
