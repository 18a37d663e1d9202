"""Pictures made small enough to live inside a page: WebP, which every browser of today reads.

Line drawings keep every pixel: no smaller files than those of a lossy kind, but clean letters.
Maps are too large for that; they lose what the eye does not see.
"""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageSequence

from flexbench.errors import FlexbenchError
from flexbench.report import style

_QUALITY = 56
_EFFORT = 5  # of 6
_PIXELS_PER_INCH = 110.0  # on the page, so that letters have one size in all figures
# Of maps, which are most of a page, for screens that are a little finer than that.
_MAP_DOTS = 116.0


@dataclass(frozen=True, kw_only=True)
class EmbeddedImage:
    """An image as a data URI, with the size that it is shown at (CSS pixels).

    is_map: some colours are values, which nothing may change. boxes: where those are, each as
    (left, top, width, height) in CSS pixels; of a map without them, everywhere.
    """

    uri: str
    width: int
    height: int
    is_map: bool
    boxes: list[tuple[float, float, float, float]]


def embed_png(path: Path, *, is_map: bool) -> EmbeddedImage:
    """A PNG for the page; FlexbenchError where it is not readable."""
    with _readable(path, "PNG") as image:
        dots = float(image.info.get("dpi", (style.RASTER_DPI,))[0])
        boxes = json.loads(image.info.get(style.PANELS, "[]"))
        picture = image.convert("RGB")
        if is_map and dots > _MAP_DOTS:
            picture = picture.resize(
                (round(picture.width * _MAP_DOTS / dots), round(picture.height * _MAP_DOTS / dots)),
                Image.Resampling.LANCZOS,
            )
            dots = _MAP_DOTS
        return _embedded(picture, _PIXELS_PER_INCH / dots, boxes, is_map=is_map)


def embed_gif(path: Path) -> list[EmbeddedImage]:
    """The pictures of an animation, at their own size; FlexbenchError where it is not readable."""
    with _readable(path, "GIF") as image:
        pictures = [picture.convert("RGB") for picture in ImageSequence.Iterator(image)]
        return [_embedded(picture, 1.0, [], is_map=True) for picture in pictures]


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            yield image
    except (OSError, SyntaxError) as error:
        raise FlexbenchError(f"{path}: not a readable {kind} ({error}); draw it again") from error


def _embedded(
    image: Image.Image, scale: float, boxes: list[list[float]], *, is_map: bool
) -> EmbeddedImage:
    width, height = round(image.width * scale), round(image.height * scale)
    buffer = io.BytesIO()
    how = {"quality": _QUALITY} if is_map else {"lossless": True, "exact": True}
    image.save(buffer, format="WEBP", method=_EFFORT, **how)
    return EmbeddedImage(
        uri="data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"),
        width=width,
        height=height,
        is_map=is_map,
        boxes=[
            (left * width, top * height, (right - left) * width, (bottom - top) * height)
            for left, top, right, bottom in boxes
        ],
    )
