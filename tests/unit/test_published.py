"""Claim 0: the public checkpoint's numbers, on a file that is rebuilt in its layout."""

import json
import math
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from official_files import HEADS, PATCH, official, small_network
from torch.nn import functional

from flexbench.metrics.calibration import sigma_ref
from flexbench.published.imported import bring_in
from flexbench.published.score import sigma_ref_member
from flexbench.seeding import generator

FACTOR, SIDE, TIMES = 4, 64, 24
MEMBERS, STEPS = 5, 3
# In this process, whose number of threads stays as the last verb left it.
VERB = ("published", "ours.safetensors", "box.h5", "--threads", 1)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    """The downloaded checkpoint and box, and what an import makes of the first."""
    folder = tmp_path_factory.mktemp("files")
    torch.save(official(network), folder / "theirs.pt")
    bring_in(folder / "theirs.pt", folder / "ours.safetensors", heads=HEADS, use_ema=True)
    rng = np.random.default_rng(2)
    rough = rng.normal(size=(TIMES, SIDE, SIDE)).cumsum(1).cumsum(2)
    fields = (rough / rough.std() + 2).astype(np.float32)
    write(folder / "box.h5", fields)
    return folder


def write(path, fields, name="fields"):
    with h5py.File(path, "w") as file:
        file[name] = fields
    return path


@pytest.fixture
def here(files, tmp_path, monkeypatch, entry):
    """The verbs, in a folder with copies of the files that a test may spoil."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return entry


def refused(result, *words):
    code, _, lines = result
    assert code == 1, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("flexbench: error: ")
    for word in words:
        assert word in lines[0]


# --- the numbers ----------------------------------------------------------------------------


def alpha_sigma(t):
    """The official schedule, s = 1, as `flex-model` writes it."""
    b = math.atan(math.exp(-10))
    a = math.atan(math.exp(10)) - b
    logsnr = torch.tensor(-2 * math.log(math.tan(a * t + b)), dtype=torch.float64)
    return math.sqrt(torch.sigmoid(logsnr)), math.sqrt(torch.sigmoid(-logsnr))


@torch.no_grad()
def notebook(network, field, index, *, steps=STEPS, members=MEMBERS):
    """Members (M, points), truth and base (points,) of a snapshot, by loops over its patches."""
    corners = [(y, x) for y in (0, PATCH) for x in (0, PATCH)]
    truth = torch.stack(
        [torch.from_numpy(field[y : y + PATCH, x : x + PATCH])[None] for y, x in corners]
    )
    base = functional.interpolate(
        truth[..., ::FACTOR, ::FACTOR], size=(PATCH, PATCH), mode="bilinear"
    )
    re = torch.zeros(len(truth), 1)
    found = []
    for member in range(members):
        x = torch.randn(truth.shape, generator=generator(0, "published", index, member))
        for step in range(steps, 0, -1):
            t = torch.full((len(truth),), step / steps)
            (alpha, sigma), (after, less) = (
                alpha_sigma(step / steps),
                alpha_sigma((step - 1) / steps),
            )
            v = network(x, t, re, base)
            x0, eps = alpha * x - sigma * v, alpha * v + sigma * x
            x = after * x0 + less * eps
        found.append(base + x0)
    return torch.stack(found).flatten(1).double().numpy(), *(
        it.flatten().double().numpy() for it in (truth, base)
    )


@pytest.mark.parametrize("channels", [False, True], ids=["THW", "TCHW"])
def test_the_verb_finds_what_a_few_lines_find(here, network, channels):
    with h5py.File("box.h5") as file:
        fields = file["fields"][:]
    if channels:
        write(Path("box.h5"), np.stack([fields, np.full_like(fields, 9)], axis=1))
    code, out, lines = here(*VERB)
    assert (code, lines) == (0, [])
    members, truth, base = notebook(network, fields[0], 0)
    rfne = [np.linalg.norm(it - truth) / np.linalg.norm(truth) for it in members]
    pulls = (members - truth) / members.std(axis=0, ddof=1)
    mean = members.mean(axis=0)
    pull = (mean - truth) / members.std(axis=0, ddof=1)
    written = json.loads(Path("ours.safetensors.published.json").read_text())
    found = written["found"]
    near = {"rel": 1e-4}
    assert found["rfne_of_each_member"] == pytest.approx(rfne, **near)
    assert found["rfne_member"] == pytest.approx(np.mean(rfne), **near)
    assert found["pull_width_of_each_member"] == pytest.approx(pulls.std(axis=1), **near)
    assert found["pull_mean_member"] == pytest.approx(pulls.mean(), **near)
    assert found["rfne"] == pytest.approx(
        np.linalg.norm(mean - truth) / np.linalg.norm(truth), **near
    )
    assert found["pull_width"] == pytest.approx(pull.std(), **near)
    assert found["rfne_interpolated"] == pytest.approx(
        np.linalg.norm(base - truth) / np.linalg.norm(truth), **near
    )
    assert written["claim"] == "0"
    assert written["protocol"]["differs_from_published"] == {}
    assert written["protocol"]["snapshots_trained_on"] == 1
    assert written["perfect"]["pull_width"] == pytest.approx(sigma_ref(5))
    assert "1.236" in out
    assert "1.73" in out
    assert "Not as published" not in out


def test_several_snapshots_have_one_norm_and_batches_change_nothing(here, network):
    words = ("--first", 3, "--snapshots", 2, "--steps", 2, "--output", "own.json")
    with h5py.File("box.h5") as file:
        fields = file["fields"][3:5]
    fields[1] *= 3
    with h5py.File("box.h5", "r+") as file:
        file["fields"][3:5] = fields
    code, out, _ = here(*VERB, *words, "--batch", 3)
    assert code == 0
    parts = [notebook(network, fields[i], 3 + i, steps=2) for i in range(2)]
    members, truth, _ = (np.concatenate(it, axis=-1) for it in zip(*parts, strict=True))
    error = np.linalg.norm(members.mean(axis=0) - truth) / np.linalg.norm(truth)
    found = json.loads(Path("own.json").read_text())
    assert found["found"]["rfne"] == pytest.approx(error, rel=1e-4)
    assert found["protocol"]["snapshots_trained_on"] == 1  # 24 snapshots: 0 to 3 are
    assert found["protocol"]["differs_from_published"] == {"first": 0, "count": 1, "steps": 3}
    assert "Not as published, but with another: first (0 there), count (1 there)" in out
    assert "saw 1 of 2" in out


@pytest.mark.parametrize("members", [8, 20])
def test_a_perfect_ensembles_member_has_that_width(members):
    rng = np.random.default_rng(members)
    x, y = rng.normal(size=(members, 400_000)), rng.normal(size=400_000)
    width = ((x[-1] - y) / x.std(axis=0, ddof=1)).std()
    assert width == pytest.approx(sigma_ref_member(members), rel=0.01)
    assert sigma_ref_member(5) == pytest.approx(math.sqrt(3.2))


# --- what is no checkpoint, and no box ------------------------------------------------------


class Intruder:
    """Pickles to a call that leaves a file behind."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_checkpoint_with_code_is_refused_and_not_run(here, network):
    torch.save(official(network) | {"loss": Intruder()}, "theirs.pt")
    refused(here("import-checkpoint", "theirs.pt", "new.safetensors", "--heads", HEADS), "refused")
    refused(here(*VERB[:1], "theirs.pt", *VERB[2:]), "theirs.pt", "not a readable safetensors")
    assert not Path("ran").exists()
    assert not Path("new.safetensors").exists()
    pickle.loads(pickle.dumps(Intruder()))  # noqa: S301  # the trap does work
    assert Path("ran").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda: Path("ours.safetensors").unlink(), ("ours.safetensors",)),
        (lambda: Path("ours.safetensors").write_bytes(b"none"), ("not a readable safetensors",)),
        (lambda: Path("ours.safetensors.yaml").unlink(), (".yaml: missing", "import-checkpoint")),
        (lambda: Path("box.h5").unlink(), ("box.h5", "No such file")),
        (lambda: Path("box.h5").write_text("none"), ("box.h5: neither HDF5",)),
        (lambda: write(Path("box.h5"), np.ones((2, SIDE, SIDE)), "w"), ("no dataset 'fields'",)),
        (lambda: write(Path("box.h5"), np.ones((SIDE, SIDE))), ("'fields' has shape", "rank 3")),
        (lambda: write(Path("box.h5"), np.ones((2, 70, 64))), ("70 x 64", f"({PATCH})")),
        (lambda: write(Path("box.h5"), np.ones((2, 64, 16))), ("64 x 16", f"({PATCH})")),
        (lambda: write(Path("box.h5"), np.zeros((2, SIDE, SIDE))), ("zero everywhere",)),
        (lambda: lacking(0, 5, 6), ("snapshot 0", "1 of 4096 points", "row 5, column 6")),
        (lambda: write(Path("box.h5"), np.full((2, 64, 64), 1e300)), ("not finite",)),
        (lambda: write(Path("box.h5"), np.full((2, 64, 64), 3e38)), ("predictions are not fin",)),
    ],
)
def test_bad_files_are_told_in_one_line(here, spoil, words):
    spoil()
    refused(here(*VERB), *words)
    assert not Path("ours.safetensors.published.json").exists()


def lacking(*place):
    with h5py.File("box.h5", "r+") as file:
        file["fields"][place] = np.nan


def test_snapshots_that_are_not_there_and_other_options(here):
    refused(here(*VERB, "--first", 23, "--snapshots", 2), "snapshots 23 to 24", "holds 24")
    refused(here(*VERB, "--device", "tpu"), "device", "'tpu'")
    assert here(*VERB, "--members", 3)[0] == 2
