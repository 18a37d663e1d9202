"""PNG files made small enough to live inside a page."""

import io
from pathlib import Path

_LARGE = 600_000  # bytes; line drawings stay far below, maps do not


def small_png(path: Path) -> bytes:
    """The file's bytes; a large image is reduced to 256 colours made of the suite's own scales."""
    content = path.read_bytes()
    if len(content) <= _LARGE:
        return content
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    with Image.open(io.BytesIO(content)) as image:
        reduced = image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    reduced.save(buffer, format="PNG", optimize=True)
    return min(content, buffer.getvalue(), key=len)


def _palette() -> list[int]:
    """256 RGB triples: both colour scales of the maps, greys for text, and all methods' colours."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    from flexbench.report import style

    methods = [*dict.fromkeys(style.METHOD_COLOURS.values()), *style.OTHER_COLOURS]
    greys = [(level, level, level) for level in np.linspace(0, 1, 20)]
    fixed = [*map(to_rgb, methods), *greys]
    left = 256 - len(fixed)
    signed = colormaps[style.VORTICITY_MAP](np.linspace(0, 1, left // 2))[:, :3]
    amount = colormaps[style.AMOUNT_MAP](np.linspace(0, 1, left - left // 2))[:, :3]
    colours = np.concatenate([np.array(fixed), signed, amount])
    return np.rint(255 * colours).astype(int).ravel().tolist()
