"""How sentences write numbers: few digits, an interval in brackets."""

import math

from flexbench.findings.evidence import Ratio

_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def percent(share: float) -> str:
    """ "3.9", "25": hundredths without their sign, of at least two digits."""
    value = 100 * share
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def larger(ratio: Ratio) -> str:
    """By how much what is above is larger: "3.9 % larger (3.5 to 4.3)", or "2.8 times as large"."""
    if ratio.value >= 2:
        return f"{ratio.value:.1f} times as large{_ends(ratio, '{:.1f}')}"
    word = "larger" if ratio.value >= 1 else "smaller"
    return _by_percent(ratio, word, sign=1 if ratio.value >= 1 else -1)


def smaller(ratio: Ratio) -> str:
    """By how much it is smaller: "25 % smaller (24 to 25)"."""
    return _by_percent(ratio, "smaller", sign=-1)


def _by_percent(ratio: Ratio, word: str, *, sign: int) -> str:
    ends = sorted(sign * (end - 1) for end in (ratio.low, ratio.high))
    interval = "" if math.isnan(ends[0]) else f" ({percent(ends[0])} to {percent(ends[1])})"
    return f"{percent(abs(ratio.value - 1))} % {word}{interval}"


def _ends(ratio: Ratio, form: str) -> str:
    if math.isnan(ratio.low):
        return ""
    return f" ({form.format(ratio.low)} to {form.format(ratio.high)})"


def plain(ratio: Ratio) -> str:
    """ "0.754 (0.747 to 0.762)"."""
    return f"{ratio.value:.3g}{_ends(ratio, '{:.3g}')}"


def between(values: list[float], form: str = "{:.2g}") -> str:
    """The smallest and the largest: "2.2 to 6.1"; one where they are written alike."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def amount(value: float, unit: str) -> str:
    """ "24 GFLOPs"."""
    size, prefix = next(((s, p) for s, p in _UNITS if value >= s), (1.0, ""))
    return f"{value / size:.3g} {prefix}{unit}"


def counted(number: int, one: str, many: str = "") -> str:
    """ "one snapshot", "12 snapshots"."""
    return f"one {one}" if number == 1 else f"{number} {many or one + 's'}"
