"""Foreign files as tests write them, and what an import makes of them."""

import h5py

from flexbench.config import Config
from flexbench.data.adapters import import_part
from flexbench.data.check import check_trajectory
from flexbench.data.store import Trajectory

T, H, W = 20, 32, 32
WHOLE = {"train": [0, 0.5], "validation": [0.6, 0.7], "test": [0.8, 1]}


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values)
    return path


def config(path, *, tasks=None, sources=None, **data):
    key = {"key": "a"} if data.get("layout", "custom") == "custom" else {}
    values = {
        "methods": ["flex"],
        "tasks": tasks or {"sr": {"kind": "superres", "patch": 16}},
        "data": {
            "sources": sources or {"own": {"file": str(path), "reynolds": 7, **key}},
            "splits": WHOLE,
            **data,
        },
    }
    return Config.model_validate(values)


def imported(settings, path, split="train", source="own"):
    """The trajectory that an import writes; it has to be in the format."""
    file = settings.data.sources[source].file
    out = path.parent / f"{source}_{split}.h5"
    import_part(
        settings.data,
        source=source,
        split=split,
        file=path.parent / file,
        path=out,
        side_step=settings.side_step,
    )
    assert check_trajectory(out) == []
    return Trajectory(out)
