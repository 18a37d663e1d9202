"""Fields no finer than a panel can show."""

from typing import Any

from numpy.typing import NDArray

# Per side of a map: more would not be seen, and would swell the page.
MAP_POINTS = 512


def thinned(fields: NDArray[Any], *, most: int) -> NDArray[Any]:
    """Every n-th point of fields (..., H, W), so that a side has no more than `most`."""
    step = max(1, -(-max(fields.shape[-2:]) // most))
    return fields[..., ::step, ::step]
