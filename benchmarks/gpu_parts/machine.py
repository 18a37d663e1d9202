"""The machine, and the rates that its other numbers are fractions of."""

from collections.abc import Iterator
from functools import partial

from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "Rates: of a large square matrix product (a multiply-add is two FLOPs), and of a large copy "
    "within the device's memory (bytes read and written, both counted). Later parts take theirs "
    "anew, in their own process."
)


def cases(bench: Bench) -> Iterator[Case]:
    backend = bench.backend

    def product(precision: str) -> Numbers:
        return {"value": f"{backend.product_rate(precision) / 1e12:.4g}"}

    for name, found in backend.facts().items():
        yield Case(name, partial(dict, value=found))
    for precision in ("float32", "tf32", "bfloat16"):
        yield Case(f"product, {precision} [TFLOP/s]", partial(product, precision))
    yield Case("copy [GB/s]", lambda: {"value": f"{backend.copy_rate() / 1e9:.4g}"})


PART = Part(
    name="machine",
    title="The machine",
    about=ABOUT,
    columns={"value": ""},
    cases=cases,
    weight=1,
    least=1,
    needed=True,
)
