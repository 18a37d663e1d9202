"""Where a number that grows with the width passes a target, asked of as few widths as possible.

A network of a fixed structure has parameters and FLOPs that are a polynomial of second degree in
its width, but for what is rounded. So the parabola through three known widths says where to ask
next; that the answer is right never rests on it, as both neighbours of the crossing are asked.
"""

import math
from collections.abc import Callable

# Widths that are asked before the search only halves what is left, however the number grows; after
# half as many it doubles, where all have fallen short.
_GUESSES = 12


class NoGrowthError(Exception):
    """At `high`, twice `low` or more, the number is no larger; or `high` is beyond the limit."""

    def __init__(self, low: int, high: int):
        super().__init__(low, high)
        self.low, self.high = low, high


def crossing(
    measure: Callable[[int], int], target: int, *, step: int, largest: int, near: int | None = None
) -> tuple[int, int]:
    """Multiples (low, high) of `step`, next to each other: measure(low) < target <= measure(high).

    Both are `step` where that reaches the target already. near: a guess at one of them.
    Raises NoGrowthError.
    """
    if near is not None:
        low = near - step if measure(near) >= target else near
        if low >= step and measure(low) < target <= measure(low + step):
            return low, low + step
    known = {step: measure(step)}
    if known[step] >= target:
        return step, step
    low, high = step, None
    while high is None or high - low > step:
        width = _next(known, target, low, high, step=step)
        if width > largest:
            raise NoGrowthError(low, width)
        known[width] = measure(width)
        if width >= 2 * low and known[width] <= known[low]:
            raise NoGrowthError(low, width)
        if known[width] < target:
            low = width
        else:
            high = width
    return low, high


def _next(known: dict[int, int], target: int, low: int, high: int | None, *, step: int) -> int:
    """The width to ask next, above `low` and below `high`; high: None: none is known."""
    if len(known) == 1:
        return 2 * low
    if high is not None and len(known) > _GUESSES:
        return (low + high) // (2 * step) * step
    guess = _parabola(known, target) if len(known) > 2 else low * math.sqrt(target / known[low])
    width = int(guess / step) * step
    if high is None:
        return max(width, low + step if len(known) < _GUESSES // 2 else 2 * low)
    return min(max(width, low + step), high - step)


def _parabola(known: dict[int, int], target: int) -> float:
    """Where the parabola through the three widths nearest to the target reaches it."""
    near = sorted(known, key=lambda width: abs(known[width] - target))[:3]
    x0, x1, x2 = sorted(near)
    y0, y1, y2 = (known[x] - target for x in (x0, x1, x2))
    first, second = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    curvature = (second - first) / (x2 - x0)
    slope = second - curvature * (x2 - x1)  # at x1
    root = slope * slope - 4 * curvature * y1
    if root < 0 or slope + math.sqrt(root) == 0:
        return x1
    return x1 - 2 * y1 / (slope + math.sqrt(root))
