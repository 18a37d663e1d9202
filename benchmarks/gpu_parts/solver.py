"""How long a step of the solver takes, beside what its Fourier transforms move."""

from collections.abc import Iterator
from functools import partial

from flexbench.config import SolverSettings
from flexbench.solver.simulate import PRECISIONS, Simulation
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "A Runge-Kutta step of decaying turbulence, at its Courant limit; graph: captured as one CUDA "
    "graph, which the suite does not do. Bytes are the fewest that the step's 16 transforms read "
    "and write: each passes twice, over kept columns (a third of the wavenumbers, read and written "
    "as complex numbers) and over rows (the kept ones as complex numbers, all points as real "
    "ones). ms of bytes is the time of so many at the rate of a large copy in the same process."
)

STAGES, TRANSFORMS = 4, 4
GRIDS, TOY_GRIDS = (256, 512, 1024, 2048), (32,)


def fft_bytes(points: int, itemsize: int) -> int:
    """Bytes that the transforms of a step read and write; itemsize: of a real number."""
    kept = (points - 1) // 3 + 1
    columns = 2 * kept * points * 2 * itemsize
    rows = (kept * 2 + points) * points * itemsize
    return STAGES * TRANSFORMS * (columns + rows)


def cases(bench: Bench) -> Iterator[Case]:
    backend = bench.backend
    rate = backend.copy_rate()

    def measured(points: int, precision: str, graph: bool) -> Numbers:
        settings = SolverSettings(
            grid=points, precision=precision, peak_wavenumber=min(10, points / 12)
        )
        backend.forget_peak()
        simulation = Simulation(settings, reynolds=1000, seed=0, device=backend.device)
        simulation.advance_leg(10.0)
        integrator, state, dt = simulation._integrator, simulation.spectrum, simulation.dt

        def step() -> None:
            integrator.step(state, dt)

        seconds = backend.median_seconds(backend.captured(step) if graph else step)
        moved = fft_bytes(points, PRECISIONS[precision].itemsize)
        return {
            "ms": seconds * 1e3,
            "MB of FFTs": moved / 1e6,
            "ms of bytes": moved / rate * 1e3,
            "ratio": seconds * rate / moved,
            "peak MiB": backend.peak_bytes() / 2**20,
        }

    for points in TOY_GRIDS if bench.dry else GRIDS:
        for precision in PRECISIONS:
            for launch, graph in (("eager", False), ("graph", True)):
                yield Case(
                    f"{points}², {precision}, {launch}",
                    partial(measured, points, precision, graph),
                )


PART = Part(
    name="solver",
    title="A step of the solver",
    about=ABOUT,
    columns={
        "ms": ".3f",
        "MB of FFTs": ".1f",
        "ms of bytes": ".3f",
        "ratio": ".2f",
        "peak MiB": ".0f",
    },
    cases=cases,
    weight=2,
    least=3,
)
