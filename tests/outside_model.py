"""A model from elsewhere: answers a request with numpy and h5py, and knows nothing of flexbench.

    python outside_model.py REQUESTS ANSWERS [SEED]

It draws a straight line through past snapshots, or repeats coarse points, and adds noise.
"""

import hashlib
import json
import sys
from pathlib import Path

import h5py
import numpy as np


def predict(case, given, lead, random):
    """One member (H, W) of one row. given: (K, h, w)."""
    if case["kind"] == "forecast":
        field = given[-1] + lead * (given[-1] - given[-2])
    else:
        factor = case["answer"]["shape"][-1] // given.shape[-1]
        field = given[0].repeat(factor, axis=0).repeat(factor, axis=1)
    return field + 0.1 * field.std() * random.standard_normal(field.shape)


def answer(case, source, target, seed):
    random = np.random.default_rng(seed)
    with h5py.File(source) as asked, h5py.File(target, "w") as file:
        inputs = asked["inputs"][()]
        file.attrs["format"], file.attrs["format_version"] = "flexbench-answer", 1
        file.attrs["case"], file.attrs["request"] = case["case"], case["request"]
        file.attrs["inputs_sha256"] = hashlib.sha256(inputs.tobytes()).hexdigest()
        file.attrs["units"] = case["answer"]["units"]
        file.attrs["training_seed"] = seed
        for name in ("trajectory", "index", "lead"):
            asked.copy(name, file)
        fields = np.empty(case["answer"]["shape"], np.float32)
        rows = zip(asked["input"][()], asked["lead"][()], strict=True)
        for row, (start, lead) in enumerate(rows):
            for member in range(case["answer"]["members"]):
                fields[row, member, 0] = predict(case, inputs[start], lead, random)
        file["prediction"] = fields


if __name__ == "__main__":
    requests, answers = map(Path, sys.argv[1:3])
    answers.mkdir(exist_ok=True)
    for name, asked in json.loads((requests / "request.json").read_text())["cases"].items():
        for number in map(int, sys.argv[3:] or ["0"]):
            answer(asked, requests / asked["file"], answers / f"{name}-{number}.h5", number)
