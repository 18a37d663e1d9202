"""How numbers are written: few digits, the same number of decimals for a value and its interval."""

import math

_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def with_interval(value: float, low: float, high: float) -> tuple[str, str]:
    """A value and its interval, such as ("0.243", "[0.231, 0.256]"); "" where an end is missing."""
    if not math.isfinite(value):
        return _not_finite(value), ""
    scientific = value != 0 and not 1e-3 <= abs(value) < 1e5
    decimals = 2 if scientific else _decimals(value)

    def write(number: float) -> str:
        return f"{number:.{decimals}{'e' if scientific else 'f'}}".replace("-", "−")

    if not (math.isfinite(low) and math.isfinite(high)):
        return write(value), ""
    return write(value), f"[{write(low)}, {write(high)}]"


def amount(value: float) -> str:
    """A count with a unit prefix, such as "1.23 M"; "0" and "n/a" as they are."""
    if not math.isfinite(value):
        return "n/a"
    for size, unit in _UNITS:
        if abs(value) >= size:
            return f"{_digits(value / size)} {unit}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if not math.isfinite(seconds):
        return "n/a"
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if abs(seconds) >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{seconds * 1e6:.0f} µs" if seconds else "0 s"


def _digits(value: float) -> str:
    return f"{value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    """Decimals that show three significant digits."""
    if value == 0:
        return 3
    # Rounding first: 9.996 is shown as 10.0.
    return max(0, 2 - math.floor(math.log10(float(f"{abs(value):.2e}"))))


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else ("∞" if value > 0 else "−∞")
