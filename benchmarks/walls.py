"""Walls against known flows: `python benchmarks/walls.py [--output FOLDER]` (two minutes).

The lid-driven cavity at Re 100 and 400 against Ghia, Ghia and Shin (1982); the decay of shear
between two walls against nu (pi / h)^2; turbulence against itself on a finer grid. All at growing
resolution. With `--output` it writes FOLDER/walls.csv and the figures
FOLDER/images/{cavity,walls-convergence,channels}.png; the documentation shows those in docs.
"""

import argparse
import csv
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

from flexbench.config import SolverSettings
from flexbench.report import style
from flexbench.solver.simulate import Simulation
from flexbench.solver.validation import Cavity, shear_decay_error, turbulence_differences

REFERENCE = Path(__file__).resolve().parent.parent / "tests" / "data" / "ghia1982.csv"

# Grids, and passes of the lid that each goes on for, from the flow of the one before.
PLAN = {
    100: {64: 12, 96: 4, 128: 4, 192: 3},
    400: {64: 30, 96: 15, 128: 10, 192: 8, 256: 4},
}
SHEAR = (24, 48, 96, 144)
MISPRINT = ("v", 0.9063, 400)
# Re, and the flow: grids, time, peak wavenumber of the initial spectrum.
TURBULENCE = {50: ((64, 128, 256), 0.3, 4.0), 500: ((128, 256, 512), 0.5, 10.0)}
COLUMNS = (
    *("flow", "points", "layer_points", "rms_error", "max_error", "last_pass"),
    *("steps", "cpu_seconds"),
)


def reference(reynolds: int) -> dict[str, np.ndarray]:
    """Coordinates and velocities (2, n) of each profile, without the walls' own (exact) values."""
    with REFERENCE.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = {}
    for component in ("u", "v"):
        points = [
            (float(row["coordinate"]), float(row[f"re{reynolds}"]))
            for row in rows
            if row["profile"] == component
        ]
        found[component] = np.array([p for p in points if 0 < p[0] < 1]).T
    return found


def differences(cavity: Cavity, reynolds: int) -> np.ndarray:
    """Velocity - published velocity at all points of both profiles but the misprint."""
    found = []
    for component, (coordinate, published) in reference(reynolds).items():
        computed = np.interp(coordinate, *cavity.profile(component))
        is_misprint = np.zeros(len(coordinate), bool)
        if (component, reynolds) == (MISPRINT[0], MISPRINT[2]):
            is_misprint = coordinate == MISPRINT[1]
            print(
                f"  left out (misprint): v(x = {MISPRINT[1]}) = {computed[is_misprint][0]:.5f}, "
                f"published {published[is_misprint][0]:.5f}"
            )
        found.append((computed - published)[~is_misprint])
    return np.concatenate(found)


def profiles(cavity: Cavity) -> np.ndarray:
    """Velocities (2, n) of both profiles; how much they move tells how steady the flow is."""
    return np.stack([cavity.profile(component)[1] for component in ("u", "v")])


def measure_cavities() -> tuple[list[dict[str, object]], dict[int, Cavity]]:
    """A row per Re and grid, and the finest flow of each Re."""
    rows, finest = [], {}
    for reynolds, plan in PLAN.items():
        cavity = None
        for points, passes in plan.items():
            cavity = cavity.refined(points) if cavity else Cavity(points, reynolds=reynolds)
            start = time.process_time()
            cavity.advance(passes - 1)
            before = profiles(cavity)
            cavity.advance(1)
            seconds = time.process_time() - start
            error = differences(cavity, reynolds)
            values = (
                cavity.equation.layer_points,
                np.sqrt(np.mean(error**2)),
                np.abs(error).max(),
                np.abs(profiles(cavity) - before).max(),
            )
            rows.append(
                {"flow": f"cavity Re {reynolds}", "points": points}
                | dict(zip(COLUMNS[2:6], [f"{value:.4f}" for value in values], strict=True))
                | {"steps": cavity.steps, "cpu_seconds": f"{seconds:.1f}"}
            )
            print(rows[-1], flush=True)
        finest[reynolds] = cavity
    return rows, finest


def measure_shear() -> list[dict[str, object]]:
    """A row per grid; the error is relative to the analytic rate."""
    rows = []
    for points in SHEAR:
        start = time.process_time()
        error = shear_decay_error(points)
        seconds = f"{time.process_time() - start:.1f}"
        row = {"flow": "shear", "points": points, "layer_points": "0.5000"}
        rows.append(row | {"rms_error": f"{abs(error):.4f}", "cpu_seconds": seconds})
        print(rows[-1], flush=True)
    return rows


def measure_turbulence() -> list[dict[str, object]]:
    """Rows for each Re, boundary, part of the flow and grid; the error is relative."""
    rows = []
    for reynolds, boundary in product(TURBULENCE, ("periodic", "no_slip")):
        grids, end, peak = TURBULENCE[reynolds]
        start = time.process_time()
        found = turbulence_differences(boundary, grids, reynolds=reynolds, time=end, peak=peak)
        seconds = f"{time.process_time() - start:.1f}"
        for part in ("away", "near"):
            for difference in found:
                row = {"flow": f"{boundary} Re {reynolds}, {part}", "points": difference.points}
                error = f"{getattr(difference, part):.4f}"
                rows.append(row | {"rms_error": error, "cpu_seconds": seconds})
                print(rows[-1], flush=True)
    return rows


def draw_cavity(finest: dict[int, Cavity], images: Path) -> None:
    """The profiles of the finest grids beside the published points."""
    figure = style.new_figure(height=3.6)
    looks = {100: ("#0072B2", "o"), 400: ("#D55E00", "s")}
    for axis, component in zip(figure.subplots(1, 2), ("u", "v"), strict=True):
        for reynolds, cavity in finest.items():
            colour, mark = looks[reynolds]
            label = f"Re {reynolds}, {cavity.points}² points"
            axis.plot(*cavity.profile(component), color=colour, label=label)
            coordinate, published = reference(reynolds)[component]
            dots = {"color": colour, "marker": mark, "linestyle": "none", "markersize": 4}
            axis.plot(coordinate, published, **dots, label=f"Re {reynolds}, Ghia et al.")
            if (component, reynolds) == (MISPRINT[0], MISPRINT[2]):
                wrong = coordinate == MISPRINT[1]
                hollow = {**dots, "color": "black", "markerfacecolor": "none", "markersize": 10}
                axis.plot(coordinate[wrong], published[wrong], **hollow, label="misprint")
        line = "y / L, at x = L / 2" if component == "u" else "x / L, at y = L / 2"
        axis.set(xlabel=line, ylabel=f"{component} / lid speed")
    axis.legend(loc="lower left")
    save(figure, images / "cavity.png")


def draw_convergence(rows: list[dict[str, object]], images: Path) -> None:
    """Errors by resolution, beside slopes of first order."""
    figure = style.new_figure(height=3.4)
    axis = figure.subplots()
    colours = ("#0072B2", "#D55E00", "#009E73")
    for flow, colour in zip(("cavity Re 100", "cavity Re 400", "shear"), colours, strict=True):
        own = [row for row in rows if row["flow"] == flow]
        points = np.array([row["points"] for row in own])
        error = np.array([float(row["rms_error"]) for row in own])
        what = "decay rate, relative" if flow == "shear" else "RMS of both profiles / lid speed"
        axis.plot(points, error, "o-", color=colour, label=f"{flow}: {what}")
        axis.plot(points, error[0] * points[0] / points, ":", color=colour, linewidth=1)
    axis.axhline(0.03, color=style.MUTED, linestyle="--", label="3 %")
    axis.plot([], [], ":", color=style.MUTED, label="first order")
    axis.set(xscale="log", yscale="log", xlabel="grid points per side of the box", ylabel="error")
    ticks = (24, 32, 48, 64, 96, 128, 192, 256)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    save(figure, images / "walls-convergence.png")


def draw_channels(images: Path) -> None:
    """Vorticity with each boundary, Re 1000, 256^2, t = 1.5."""
    figure = style.new_figure(height=3.2)
    settings = SolverSettings(grid=256)
    axes = figure.subplots(1, 3, sharey=True)
    for axis, boundary in zip(axes, ("periodic", "free_slip", "no_slip"), strict=True):
        simulation = Simulation(settings, reynolds=1000, seed=0, boundary=boundary)
        simulation.advance_to(1.5)
        image = axis.imshow(
            simulation.vorticity().numpy(), origin="lower", extent=(0, 2 * np.pi) * 2,
            cmap=style.SIGNED_MAP, vmin=-20, vmax=20,
        )  # fmt: skip
        mask = simulation.equation.mask
        if mask is not None:
            style.grey_out(axis, mask)
        axis.grid(False)
        axis.set(title=boundary, xlabel="x")
    axes[0].set_ylabel("y")
    figure.colorbar(image, ax=axes, label="vorticity", shrink=0.85)
    save(figure, images / "channels.png")


def save(figure, path: Path) -> None:
    figure.savefig(path, dpi=style.raster_dpi(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: print alone")
    output: Path | None = parser.parse_args().output
    torch.set_num_threads(1)
    rows = measure_shear()
    rows += measure_turbulence()
    cavities, finest = measure_cavities()
    rows += cavities
    if output is not None:
        write(output, rows, finest)


def write(output: Path, rows: list[dict[str, object]], finest: dict[int, Cavity]) -> None:
    """The table and the figures."""
    images = output / "images"
    images.mkdir(parents=True, exist_ok=True)
    with (output / "walls.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with style.look():
        draw_cavity(finest, images)
        draw_convergence(rows, images)
        draw_channels(images)


if __name__ == "__main__":
    main()
