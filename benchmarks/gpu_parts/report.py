"""The tables: on the terminal, as Markdown, as JSON."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from gpu_parts.part import Part, Row
from gpu_parts.run import Result


def table_of(result: Result) -> Table:
    """One part's table for the terminal."""
    table = Table(title=_title(result), caption=result.part.about, title_justify="left")
    table.add_column("case")
    for header in result.part.columns:
        table.add_column(header, justify="right")
    for row in result.rows:
        cells = _cells(result.part, row)
        table.add_row(row.case, *cells)
    return table


def markdown_of(results: Sequence[Result]) -> str:
    """All parts so far, with what was left out."""
    blocks = []
    for result in results:
        part = result.part
        lines = [f"## {_title(result)}", "", part.about, ""]
        if result.rows:
            lines += [
                f"| case | {' | '.join(part.columns)} |",
                "|---" * (1 + len(part.columns)) + "|",
            ]
            lines += [f"| {row.case} | {' | '.join(_cells(part, row))} |" for row in result.rows]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def json_of(results: Sequence[Result]) -> str:
    """The same, whole numbers and digits."""
    return json.dumps([_facts(result) for result in results], indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Result]], str]] = {".md": markdown_of, ".json": json_of}


def require_format(path: Path) -> Path:
    """The path; FlexbenchError where its ending is none of `FORMATS`."""
    if path.suffix not in FORMATS:
        raise FlexbenchError(f"--output {path}: allowed endings: {', '.join(FORMATS)}")
    return path


def save(results: Sequence[Result], path: Path) -> None:
    """In the format of the path's ending; whole or not at all."""
    write_text(require_format(path), FORMATS[path.suffix](results))


def _title(result: Result) -> str:
    head = f"{result.part.title} ({result.seconds:.0f} s of {result.share:.0f} s)"
    return f"{head} — left out: {result.left_out}" if result.left_out else head


def _cells(part: Part, row: Row) -> list[str]:
    """What stands in the columns; a reason stands in the first."""
    if row.left_out:
        return [f"left out: {row.left_out}", *[""] * (len(part.columns) - 1)]
    return [f"{row.numbers[header]:{how}}" for header, how in part.columns.items()]


def _facts(result: Result) -> dict[str, Any]:
    return {
        "part": result.part.name,
        "title": result.part.title,
        "about": result.part.about,
        "share_seconds": round(result.share, 1),
        "seconds": round(result.seconds, 1),
        "left_out": result.left_out,
        "rows": [
            {"case": row.case, "numbers": row.numbers, "left_out": row.left_out}
            for row in result.rows
        ],
    }
