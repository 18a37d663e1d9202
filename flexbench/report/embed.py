"""PNG files made small enough to live inside a page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image

from flexbench.errors import FlexbenchError
from flexbench.report import style

_LARGE = 600_000  # bytes; line drawings stay far below, maps do not
_PIXELS_PER_INCH = 110.0  # on the page, so that letters have one size in all figures


@dataclass(frozen=True, kw_only=True)
class EmbeddedImage:
    """An image as a data URI, and the width that it is shown with (CSS pixels)."""

    uri: str
    width: int


def embed_png(path: Path) -> EmbeddedImage:
    """A PNG for the page; a large one is reduced to 256 colours of the suite's own scales."""
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            dots = float(image.info.get("dpi", (style.RASTER_DPI,))[0])
            width = round(image.width / dots * _PIXELS_PER_INCH)
            if len(content) > _LARGE:
                content = min(content, _with_fewer_colours(image), key=len)
    except (OSError, SyntaxError) as error:
        raise FlexbenchError(f"{path}: not a readable PNG ({error}); draw it again") from error
    uri = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    return EmbeddedImage(uri=uri, width=width)


def embed_gif(path: Path) -> EmbeddedImage:
    """An animation for the page, as it is."""
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            width = image.width
    except (OSError, SyntaxError) as error:
        raise FlexbenchError(f"{path}: not a readable GIF ({error}); draw it again") from error
    uri = "data:image/gif;base64," + base64.b64encode(content).decode("ascii")
    return EmbeddedImage(uri=uri, width=width)


def _with_fewer_colours(image: Image.Image) -> bytes:
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    reduced = image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    reduced.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> list[int]:
    """256 RGB triples: both colour scales of the maps, greys for text, and all methods' colours."""
    methods = [*style.METHOD_COLOURS.values(), *(colour for colour, _ in style.OTHER_LOOKS)]
    fixed = [to_rgb(colour) for colour in dict.fromkeys(methods)]
    fixed += [(level, level, level) for level in np.linspace(0, 1, 20)]
    left = 256 - len(fixed)
    signed = colormaps[style.SIGNED_MAP](np.linspace(0, 1, left // 2))[:, :3]
    amount = colormaps[style.AMOUNT_MAP](np.linspace(0, 1, left - left // 2))[:, :3]
    colours = np.concatenate([np.array(fixed), signed, amount])
    return np.rint(255 * colours).astype(int).ravel().tolist()
