"""What is no trained checkpoint is told before anything is built from it."""

from pathlib import Path

import pytest

from flexbench.errors import FlexbenchError
from flexbench.inference.trained import NEEDED, load_trained
from flexbench.models.official_checkpoint import convert
from flexbench.training.checkpoint import save_checkpoint

TINY = Path(__file__).parents[1] / "data" / "flex_tiny.safetensors"


def test_an_imported_checkpoint_is_not_sampled_from(tmp_path):
    path = tmp_path / "final.safetensors"
    convert(TINY, path, heads=4)
    with pytest.raises(FlexbenchError, match="lacks task, problem, normaliser, ") as error:
        load_trained(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NEEDED)
def test_each_key_is_needed(tmp_path, name):
    path = tmp_path / "final.safetensors"
    save_checkpoint(path, {}, {key: None for key in NEEDED if key != name})
    with pytest.raises(FlexbenchError, match=f"lacks {name};"):
        load_trained(path)
