"""What is asked of a model from elsewhere: the inputs of a case, and a description of the answer.

A request depends on the configuration and on the trajectories alone. It is made anew when an answer
comes, so no file that was handed out has to be trusted.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench import BENCHMARK_VERSION
from flexbench.atomic import write_text
from flexbench.data.newfile import new_hdf5
from flexbench.data.normaliser import Normaliser
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import COLUMNS, Snapshot
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.submitted import FORMAT_VERSION, request_slice
from flexbench.inference.rollout import Rollout, Targets, plan_rollouts
from flexbench.report.inputs import ReportInputs
from flexbench.tasks import Task, make_task

FORMAT = "flexbench-request"
ANSWER_FORMAT = "flexbench-answer"
DESCRIPTION = "request.json"
INPUTS, PREDICTION = "inputs", "prediction"
# Datasets by which an answer says which snapshot each row of it predicts, as the request has them.
IDENTITY = ("trajectory", "index", "lead")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked about one case.

    inputs: (N, K, h, w) float32, physical: what each start gives, the oldest first. input_times:
    (N, K). snapshots: the S targets. starts: (S,) which of the N each is predicted from; a rollout
    has several targets from one start. shape: (M, C, H, W) of the prediction of one target.
    settings: what the configuration says of the case.
    """

    case: str
    tier: str
    meaning: dict[str, Any]
    settings: dict[str, Any]
    inputs: NDArray[np.float32]
    input_times: NDArray[np.float64]
    snapshots: tuple[Snapshot, ...]
    starts: tuple[int, ...]
    shape: tuple[int, int, int, int]
    units: str

    @property
    def file(self) -> str:
        """The name of the file of inputs; an answer's files may have any."""
        return f"{self.case}.h5"

    @cached_property
    def inputs_digest(self) -> str:
        """SHA-256 of the inputs' bytes, little-endian float32, in C order."""
        return hashlib.sha256(self.inputs.astype("<f4").tobytes()).hexdigest()

    @cached_property
    def digest(self) -> str:
        """Of all that is asked: an answer repeats it."""
        asked = json.dumps(self._asked, sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    @property
    def _asked(self) -> dict[str, Any]:
        members, *field = self.shape
        return {
            "format": [FORMAT, FORMAT_VERSION],
            "benchmark_version": str(BENCHMARK_VERSION),
            "case": self.case,
            **self.meaning,
            "settings": self.settings,
            "inputs": {
                "dataset": INPUTS,
                "shape": list(self.inputs.shape),
                "dtype": "float32",
                "units": self.units,
                "times": self.input_times.tolist(),
                "sha256": self.inputs_digest,
            },
            "snapshots": [
                asdict(snapshot) | {"input": start}
                for snapshot, start in zip(self.snapshots, self.starts, strict=True)
            ],
            "answer": {
                "dataset": PREDICTION,
                "shape": [len(self.snapshots), members, *field],
                "dtype": "float32",
                "units": self.units,
                "members": members,
            },
        }

    @property
    def description(self) -> dict[str, Any]:
        """The same for whoever answers, with the digest that an answer repeats."""
        return {"file": self.file, "request": self.digest, **self._asked}

    def write(self, path: Path) -> None:
        """The inputs as plain HDF5: with rows, as in the answer, and without the truth."""
        with new_hdf5(path) as (file, check):
            labels = {"format": FORMAT, "format_version": FORMAT_VERSION, "case": self.case}
            labels |= {"request": self.digest, "units": self.units, "members": self.shape[0]}
            file.attrs.update(labels)
            columns: dict[str, Any] = {
                name: [getattr(snapshot, name) for snapshot in self.snapshots] for name in COLUMNS
            }
            for name, values in columns.items():
                kind = h5py.string_dtype() if COLUMNS[name] is str else COLUMNS[name]
                file.create_dataset(name, data=np.array(values, dtype=kind), track_times=False)
            file.create_dataset("input", data=np.array(self.starts, "<i8"), track_times=False)
            file.create_dataset("input_time", data=self.input_times, track_times=False)
            file.create_dataset(INPUTS, data=self.inputs, dtype="<f4", track_times=False)
            check()


def request_of(graph: Graph, case: str) -> Request:
    """What is asked about a case; FlexbenchError where its trajectories are not there."""
    here = graph.case(case)
    paths = graph.tested(case)
    for path in paths:
        if not path.is_file():
            raise FlexbenchError(
                f"{path}: missing; `flexbench run all_data --tier {graph.config.tier}` makes what "
                "is asked about"
            )
    observable = here.settings.observable
    with open_trajectory(paths[0], observable) as trajectory:
        # Nothing is normalised for a model from elsewhere, so the scales do not matter.
        task = make_task(
            here.task_settings,
            normaliser=Normaliser(1.0, 1.0),
            interval=1.0 if here.task_settings.lead_time is None else trajectory.interval,
            periodic=trajectory.periodic,
        )
        grid, periodic = trajectory.grid, trajectory.periodic
    targets = Targets(
        trajectories=paths,
        snapshots=here.sample.snapshots,
        observable=observable,
        leads=here.settings.leads,
        feedback=here.settings.feedback,
    )
    rollouts = plan_rollouts(task, targets)
    given = [rollout.example(task, 1, None).inputs[0].numpy() for rollout in rollouts]
    times = [_input_times(task, rollout) for rollout in rollouts]
    labels = ReportInputs(layout=graph.layout, config=graph.config).labels(case)
    return Request(
        case=case,
        tier=graph.config.tier,
        meaning={
            "kind": here.task_settings.kind,
            "given": here.task_settings.given,
            "field": labels.field,
            "time_unit": labels.time,
            "flow_parameter": labels.flow,
            "boundary": here.settings.boundary,
            "periodic": periodic,
            "axes": "inputs (start, snapshot from the oldest on, y, x); prediction (row, member, "
            "1, y, x)",
        },
        settings=request_slice(graph, case),
        inputs=np.stack(given),
        input_times=np.array(times),
        snapshots=tuple(snapshot for rollout in rollouts for snapshot in rollout.targets),
        starts=tuple(number for number, rollout in enumerate(rollouts) for _ in rollout.targets),
        shape=(here.sample.members, task.spec.field_channels, grid, grid),
        units=labels.unit,
    )


def _input_times(task: Task, rollout: Rollout) -> list[float]:
    """Times of what a rollout's start gives: of the window without its target, or of the target
    where a window is nothing else."""
    target = rollout.targets[0].index
    first = target - (task.window - 1 - task.ahead) * task.stride
    window = [first + place * task.stride for place in range(task.window)]
    others = [index for index in window if index != target] or [target]
    return [float(rollout.trajectory.time[index]) for index in others]


def write_requests(graph: Graph, folder: Path, *, cases: Iterable[str]) -> list[Request]:
    """A file of inputs for each case, and what they mean and ask for in `request.json`."""
    requests = [request_of(graph, case) for case in cases]
    for request in requests:
        request.write(folder / request.file)
    text = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "tier": graph.config.tier,
        "how_to_answer": _HOW,
        "given_elsewhere": _given_elsewhere(requests),
        "cases": {request.case: request.description for request in requests},
    }
    write_text(folder / DESCRIPTION, json.dumps(text, indent=1) + "\n")
    return requests


_HOW = [
    "Each case has one HDF5 file here. Dataset `inputs` holds what a model may know, in physical "
    "units; the datasets trajectory, reynolds, seed, index, time, lead and input have a row for "
    "each snapshot that is to be predicted: `input` is the row of `inputs` that it starts from.",
    "Predict each row from its own row of `inputs`, the Reynolds number and the times; not from "
    "other rows, other cases, or a simulation of the same flow.",
    "Answer each case that you want with one HDF5 file for each training seed. It has a dataset "
    "`prediction`, float32, of the shape below, in the same units, without NaN, and copies of the "
    "datasets trajectory, index and lead.",
    f"Its attributes are format ('{ANSWER_FORMAT}'), format_version ({FORMAT_VERSION}), case, "
    "request (the digest below), inputs_sha256 (of the bytes of `inputs` as you read them), units, "
    "and training_seed (a whole number, yours).",
    "A lead above 1 goes on from the same inputs: lead 2 is one step behind lead 1.",
    "Members of an ensemble are equally likely. A model that predicts one field gives one member "
    "and says `ensemble: false` in its card.",
]


def _given_elsewhere(requests: Sequence[Request]) -> list[str]:
    """Which cases ask for snapshots that a row of another case, or of the same, gives whole: for
    whoever hands out both."""
    given: dict[tuple[str, float], set[str]] = {}
    for request in requests:
        if request.inputs.shape[-1] < request.shape[-1]:
            continue  # a coarser field is not the truth
        for snapshot, start in zip(request.snapshots, request.starts, strict=True):
            for time in request.input_times[start].tolist():
                given.setdefault((snapshot.trajectory, time), set()).add(request.case)
    found = {
        (request.case, by)
        for request in requests
        for snapshot in request.snapshots
        for by in given.get((snapshot.trajectory, snapshot.time), ())
    }
    return [f"inputs of {by} hold snapshots that {asked} asks for" for asked, by in sorted(found)]
