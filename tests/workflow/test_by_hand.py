"""Verbs called by hand on files of a run: what was made otherwise is refused, unwritten."""

import shutil

import pytest

TRAIN = "flexbench train superres_x4 flex --seed 0"
SAMPLE = "flexbench sample superres_x4 flex --seed 0"


@pytest.fixture(scope="module")
def root(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("by-hand") / "results"
    shutil.copytree(made, root)
    return root


@pytest.fixture
def call(entry, root):
    """A verb on the run's own settings, and what differs from them."""

    def call(verb, *differing):
        words = [word for text in (f"root={root}", *differing) for word in ("--set", text)]
        return entry(
            *(verb, "superres_x4", "flex", "--resolved", root / "smoke" / "config.yaml", *words)
        )

    return call


def untouched(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


WEIGHTS = [
    ("train.steps=7", "train.steps: 6 there, 7"),
    ("train.learning_rate=0.002", "train.learning_rate: 0.001 there, 0.002"),
    ("train.ema=0.5", "train.ema"),
    ("size=XS", "size: 'XXS' there, 'XS'"),
    ("diffusion.loss=mse", "loss: 'l1' there, 'mse'"),
    ("diffusion.target=x", "target: 'v' there, 'x'"),
    ("diffusion.shift=2", "shift: 1.0 there, 2.0"),
    ("method_settings.flex.options={skips: none}", "skips"),
    ("tasks.superres_x4.factor=2", "factor: 4 there, 2"),
    ("tasks.superres_x4.residual=false", "residual"),
    ("threads=2", "threads: 1 there, 2"),
]
SAMPLES = [
    ("sample.members=3", "members: 2 there, 3"),
    ("sample.steps=3", "steps: 2 there, 3"),
    ("sample.sampler=ddpm", "sampler: 'ddim' there, 'ddpm'"),
    ("sample.overlap=8", "overlap: 0 there, 8"),
    ("sample.batch=8", "batch"),
    ("threads=2", "threads"),
    ("tasks.superres_x4.upsampling=bilinear", "upsampling"),
]


@pytest.mark.parametrize(
    ("verb", "again", "differing", "words"),
    [("sample", TRAIN, *case) for case in WEIGHTS] + [("score", SAMPLE, *case) for case in SAMPLES],
)
def test_what_was_made_with_other_settings_is_refused(call, root, verb, again, differing, words):
    before = untouched(root)
    code, _, errors = call(verb, differing)
    assert code == 1
    assert len(errors) == 1, errors
    assert words in errors[0]
    assert "was made with other settings" in errors[0]
    assert again in errors[0]
    assert untouched(root) == before


def test_what_fits_is_sampled_and_scored_to_the_same_bytes(call, root):
    kept = [root / "smoke" / "samples" / "superres_x4" / "flex" / "seed0.h5"]
    kept += [root / "smoke" / "scores" / "superres_x4" / "flex" / "seed0.csv"]
    before = [path.read_bytes() for path in kept]
    assert call("sample")[0] == call("score")[0] == 0
    assert [path.read_bytes() for path in kept] == before


def test_samples_without_a_receipt_are_not_scored(call, root):
    receipt = root / "smoke" / "samples" / "superres_x4" / "flex" / "seed0.h5.receipt.json"
    aside = receipt.rename(root / "aside.json")
    try:
        code, _, errors = call("score")
    finally:
        aside.rename(receipt)
    assert code == 1
    assert "seed0.h5: has no receipt beside it" in errors[0]
    assert SAMPLE in errors[0]


def test_weights_that_are_not_those_of_their_receipt_are_not_sampled(call, root):
    weights = root / "smoke" / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        code, _, errors = call("sample")
    finally:
        weights.write_bytes(whole)
    assert code == 1
    assert "is not the file of its receipt" in errors[0]
