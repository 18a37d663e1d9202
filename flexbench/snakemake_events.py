"""Snakemake, which writes down what happens in a run, for whoever watches it.

    python -m flexbench.snakemake_events --logger flexbench --logger-flexbench-descriptor N ...

The rest of the command line is Snakemake's own, and so is the run: this is one of its logger
plugins. A package of its own, by a name that Snakemake looks for, would be found only where it is
installed in some ways; so the plugin is named to it here.

Events go to the open file N, one JSON object a line, {"time", "event", ...}; time: of the clock, in
seconds.

    slots      cores: of this machine; or nodes: jobs of a cluster at once
    planned    jobs: how many of each rule this Snakemake has to run
    started    id, rule, names (its wildcards), log
    finished   id
    failed     id
    again      id: a failed job is tried once more
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from logging import LogRecord
from typing import Any

from snakemake.cli import main
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

NAME = "flexbench"
_AGAIN = re.compile(
    r"Trying to restart job (\d+)\."
)  # the one event that Snakemake has no name for


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    descriptor: int | None = field(
        default=None,
        metadata={"help": "number of the open file that events go to", "type": int},
    )


class LogHandler(LogHandlerBase):
    """Snakemake's own words go where they always go; this writes events beside them."""

    settings: LogHandlerSettings

    writes_to_stream = False
    writes_to_file = False
    has_filter = True  # none: events are wanted whatever Snakemake is told to be quiet about
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        if self.settings.descriptor is None:
            return
        for event in _events(record):
            line = json.dumps({"time": round(record.created, 3), **event}) + "\n"
            with suppress(OSError):  # the run matters more than who watches it
                os.write(self.settings.descriptor, line.encode())


def _events(record: LogRecord) -> Iterator[dict[str, Any]]:
    told = record.__dict__
    match told.get("event"):
        case LogEvent.RESOURCES_INFO:
            yield from (
                {"event": "slots", key: told[key]} for key in ("cores", "nodes") if key in told
            )
        case LogEvent.RUN_INFO:
            jobs = {rule: n for rule, n in told["stats"].items() if rule != "total"}
            yield {"event": "planned", "jobs": jobs}
        case LogEvent.JOB_INFO:
            yield {
                "event": "started",
                "id": told["jobid"],
                "rule": told["rule_name"],
                "names": {str(key): str(value) for key, value in told["wildcards"].items()},
                "log": next(iter(told["log"]), None),
            }
        case LogEvent.JOB_FINISHED:
            yield {"event": "finished", "id": told["job_id"]}
        case LogEvent.JOB_ERROR:
            yield {"event": "failed", "id": told["jobid"]}
        case None:
            if found := _AGAIN.fullmatch(str(record.msg)):
                yield {"event": "again", "id": int(found[1])}


if __name__ == "__main__":
    LoggerPluginRegistry().register_plugin(f"snakemake_logger_plugin_{NAME}", sys.modules[__name__])
    main()
