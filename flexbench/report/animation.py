"""Pictures that follow one another, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from flexbench.atomic import replacing

_COLOURS = 128


@dataclass(frozen=True)
class Animation:
    """pictures: in RGB, all of one size; the last one has every colour. milliseconds: of each."""

    pictures: Sequence[Image.Image]
    milliseconds: int

    def write(self, path: Path) -> None:
        """As GIF, atomically; the same pictures give the same bytes."""
        palette = self.pictures[-1].quantize(_COLOURS)
        first, *others = (
            picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures
        )
        with replacing(path) as temporary:
            first.save(
                temporary,
                format="GIF",
                save_all=True,
                append_images=others,
                duration=self.milliseconds,
                loop=0,
            )
