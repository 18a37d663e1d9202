"""What the report can draw: the name, title and caption of every figure. Imports nothing heavy."""

from dataclasses import dataclass

from flexbench.config import Config

# What a figure may be drawn from beside the tables: "snapshot" (samples and data), "spectra",
# "logs" (of training), "rollout" (the samples of one method, and the data), "targets" and
# "gradients" (what theory says, measured), or "" (nothing).
SOURCES = ("", "snapshot", "spectra", "logs", "rollout", "targets", "gradients")

# The kinds of case: on the test split, on an evaluation, rolled out; of evaluations of flows like
# the test split's, those with samples that are meant to be calibrated; on the test split, where so
# many ways to draw samples of such flows stand side by side that they are compared; there, of
# residuals, what theory is asked about: targets, and gradients where fields are learnt, too.
KINDS = ("task", "evaluation", "rollout", "calibrated", "samplers", "targets", "gradients")

# Where the page shows the figures of a case, in this order: the one that leads a task, then parts
# that are folded. A case on an evaluation has one part for all of its figures (`part_of`).
LEAD = "lead"
PARTS = {
    "accuracy": "Accuracy by scale and flow",
    "uncertainty": "Is the uncertainty right?",
    "flows": "Other flows",
    "rollout": "Rollouts",
    "sampling": "Other ways to sample",
    "theory": "What theory says of residuals",
    "cost": "Training and cost",
}
SAMPLERS_COMPARED = 4


@dataclass(frozen=True, kw_only=True)
class FigureEntry:
    """One figure, drawn by the module of its name below `report/figures/`.

    title, caption: with the names in braces that `Labels.worded` fills in, case by case; the
    caption says what better looks like. walls: what it goes on with where the flow has walls.
    source: one of SOURCES. of: the KINDS of case that have it. part: LEAD or one of PARTS.
    animated: a GIF, by a rule of its own, and not a PNG with a PDF beside it.
    needs_evaluations: only drawn where flows unlike those of training are evaluated.
    sizes: bytes of each file that it writes, of six methods in the mean: PNG and PDF; of a GIF,
    each frame.
    """

    title: str
    caption: str
    sizes: tuple[int, ...]
    walls: str = ""
    source: str = ""
    of: tuple[str, ...] = ("task",)
    part: str = "accuracy"
    needs_evaluations: bool = False
    animated: bool = False

    def __post_init__(self) -> None:
        """ValueError for a source, a part or a kind of case that there is not."""
        if self.source not in SOURCES:
            raise ValueError(f"source '{self.source}'; allowed: {', '.join(map(repr, SOURCES))}")
        if self.part not in (LEAD, *PARTS):
            raise ValueError(f"part '{self.part}'; allowed: {', '.join((LEAD, *PARTS))}")
        for kind in self.of:
            if kind not in KINDS:
                raise ValueError(f"of '{kind}'; allowed: {', '.join(KINDS)}")

    @property
    def is_map(self) -> bool:
        """Whether it shows fields, whose colours are values."""
        return self.source in ("snapshot", "rollout")


_WALLS = (
    " Grey: outside the flow, that is the solid beyond no-slip walls or the mirror image beyond "
    "free-slip ones; no score counts it, and it sets no end of a scale."
)

FIGURES: dict[str, FigureEntry] = {
    "maps": FigureEntry(
        sizes=(1_700_000, 1_450_000),
        part=LEAD,
        source="snapshot",
        of=("task", "evaluation", "rollout"),
        title="One test snapshot",
        caption=(
            "{Field} of one test snapshot. First column: the truth, its middle, the base that "
            "residuals are added to, the base's error, and what the methods are given. Then a "
            "column for each method: one ensemble member, its middle, the ensemble mean, the "
            "mean's absolute error, and the ensemble's spread (standard deviation over the "
            "members). Better: a member as sharp as the truth, a pale error, and a spread that is "
            "dark where the error is dark."
        ),
        walls=_WALLS,
    ),
    "spectra": FigureEntry(
        sizes=(190_000, 40_000),
        of=("task", "rollout"),
        source="spectra",
        title="{Density} spectra",
        caption=(
            "Above: {density} per wavenumber of the truth and of the members (mean over members "
            "and snapshots). Better: on the black line up to the largest wavenumber; below it, "
            "fine scales are smoothed away, above it they are noise. Below: {density} of the "
            "ensemble mean's error, as a fraction of the truth's. Better: lower; where it reaches "
            "1, the prediction is worth no more than predicting zero at that scale."
        ),
    ),
    "rfne_by_re": FigureEntry(
        sizes=(31_000, 17_000),
        title="Accuracy by {flow}",
        caption=(
            "Relative Frobenius norm error of the ensemble mean, by {flow} (dots, with intervals "
            "by bootstrap over trajectories). Better: lower. A shaded column is one that no "
            "network was trained on."
        ),
    ),
    "accuracy_cost": FigureEntry(
        sizes=(44_000, 19_000),
        part="cost",
        title="Accuracy against cost",
        caption=(
            "Error of the ensemble mean against what one member of a whole field costs: counted "
            "floating-point operations (left) and seconds of processor time, or of wall time on a "
            "GPU (right; the cost table names the device). "
            "The area of a dot grows with the number of parameters. Better: towards the lower "
            "left. Methods without weights are horizontal lines where their cost is not counted."
        ),
    ),
    "loss": FigureEntry(
        sizes=(84_000, 18_000),
        part="cost",
        source="logs",
        title="Training",
        caption=(
            "Training loss (line, exponentially smoothed; one line per training seed) and "
            "validation loss (dots) against optimiser steps and against wall time. Better: lower, "
            "and validation level with training. A denoiser's loss and a regressor's are "
            "different quantities: compare the shapes of the curves, not their heights."
        ),
    ),
    "target_variance": FigureEntry(
        sizes=(90_000, 20_000),
        part="theory",
        of=("targets",),
        source="targets",
        title="What a network has to say",
        caption=(
            "Left: variance of the regression target v = αε − σx₀, which is α² + σ² Var(x₀), where "
            "a network generates residuals and where it generates the field itself, both divided "
            "by the standard deviation of the field; lines are means over training trajectories, "
            "bands reach from the smallest to the largest. Better: lower, less to learn. Dotted: "
            "divided by its own standard deviation each, as networks here see them, both have the "
            "variance 1 over all flows, by construction. Right: mean square of the best velocity "
            "that x_t allows, estimated for Gaussian data of the same spectrum, which turbulence "
            "is not."
        ),
    ),
    "gradient_noise": FigureEntry(
        sizes=(60_000, 17_000),
        part="theory",
        of=("gradients",),
        source="gradients",
        title="Noise of gradients",
        caption=(
            "The noise scale of gradients, the batch up to which more patches in a step are worth "
            "their compute, when the same network learns residuals (filled) and fields (hollow), "
            "after a part of its steps: geometric mean over training seeds with the 95 % interval "
            "by Student's t; grey: the two trainings of each seed. Better: lower. The loss of "
            "either has its own scale, which the noise scale does not depend on."
        ),
    ),
    "pull": FigureEntry(
        sizes=(142_000, 30_000),
        part="uncertainty",
        of=("task", "calibrated"),
        title="Pull",
        caption=(
            "Whether errors are as large as the ensemble says: how far the truth lies from the "
            "ensemble's mean, in standard deviations of its members, at all points. Black: a "
            "perfect Gaussian ensemble of as many members, √(1 + 1/M) times Student's t with M − 1 "
            "degrees of freedom. Better: bars on the black line. Wider: overconfident; narrower: "
            "underconfident; to one side: biased; a peak above the line with more than its share "
            "beyond ±5: right on average, wrong from place to place, or of heavy tails."
        ),
    ),
    "pull_members": FigureEntry(
        sizes=(83_000, 24_000),
        part="uncertainty",
        of=("task", "calibrated"),
        title="Pull by number of members",
        caption=(
            "Whether more members would help. Left: the width of the pull of the first m members "
            "of each ensemble, and of all; black: that of a perfect ensemble, which narrows with "
            "m as well, because few members know their own spread badly. Right: one over the "
            "other. Better: 1. A line that is level above 1 says that members are too much alike, "
            "however many there are."
        ),
    ),
    "fifths": FigureEntry(
        sizes=(107_000, 28_000),
        part="uncertainty",
        of=("task", "calibrated"),
        title="Calibration by predicted spread",
        caption=(
            "Whether the ensemble is right where it says it is sure, and where it says it is not. "
            "The points of each snapshot are sorted into fifths by the spread that some members "
            "predict there; spread / skill is what the other members and the truth then make of "
            "it, so that a perfect ensemble has 1 in each (grey: 0.9 to 1.1). Better: level, on "
            "the line. Level below it: overconfident everywhere; rising: too sure where it is "
            "surest; falling: not unsure enough where errors are large. An ensemble that does "
            "not know where is level, too: its error contrast, in the tables, is far above 1."
        ),
    ),
    "spread_skill": FigureEntry(
        sizes=(59_000, 21_000),
        part="uncertainty",
        of=("task", "calibrated"),
        title="Spread and skill",
        caption=(
            "Left: spread of the ensemble against the error of its mean, per {flow} (small) and "
            "overall (large). Right: their ratio, overall and by wavenumber band. Both are "
            "corrected for the finite number of members. Better: on the black line. Below it "
            "the ensemble is overconfident, above it underconfident."
        ),
    ),
    "rank": FigureEntry(
        sizes=(49_000, 19_000),
        part="uncertainty",
        of=("task", "calibrated"),
        title="Rank histogram",
        caption=(
            "How often the truth has each rank among the members, relative to how often it should "
            "(1, dashed); whiskers are bootstrap intervals over trajectories. Better: flat. A U "
            "shape: overconfident; a hump: underconfident; a slope: biased."
        ),
    ),
    "coverage": FigureEntry(
        sizes=(47_000, 16_000),
        part="uncertainty",
        title="Coverage",
        caption=(
            "How often the truth falls between two order statistics of the ensemble, against how "
            "often it should (levels that this number of members can attain). Better: on the "
            "diagonal. Below it: overconfident."
        ),
    ),
    "frontier": FigureEntry(
        sizes=(120_000, 26_000),
        part="cost",
        of=("samplers",),
        title="What an ensemble costs",
        caption=(
            "Every sampler of every network, on the same flows, against calls of the network for "
            "one member: error of the ensemble mean, CRPS, and calibration (filled markers: a "
            "sampler that was fitted to validation). Better: towards the lower left above; on the "
            "black line below. Dotted: what is left at most of a Gaussian posterior's spread after "
            "N deterministic steps, cos(π/2N) to the power of N. A network that is asked once and "
            "lies as low as one that is asked sixteen times needs no more steps."
        ),
    ),
    "leads": FigureEntry(
        sizes=(165_000, 22_000),
        part="rollout",
        of=("rollout",),
        title="Rollout",
        caption=(
            "Scores against lead time, each lead predicted from the ones before it; bands are "
            "intervals by bootstrap over trajectories. Dashed: an error as large as the field, the "
            "correlation that ends the correlation time, calibration. Errors above 2 are "
            "cut off. Better: an error that grows late, a correlation that stays, spread/skill (of "
            "all points, and of the worst fifth of them) and pull ratio on the dashed line."
        ),
    ),
    "rollout": FigureEntry(
        sizes=(50_000,),
        part="rollout",
        source="rollout",
        of=("rollout",),
        animated=True,
        title="Rollout, lead by lead",
        caption=(
            "One rollout of the first method that draws ensembles: the truth, one member, which "
            "goes on from its own state, the ensemble mean, and the spread. Better: a member as "
            "sharp as the truth at every lead; a mean that fades where the spread grows."
        ),
        walls=_WALLS,
    ),
    "matrix": FigureEntry(
        sizes=(96_000, 27_000),
        part="flows",
        needs_evaluations=True,
        title="Out of distribution",
        caption=(
            "What the methods make of flows that no network was trained on: other Reynolds "
            "numbers, velocities in place of vorticity, walls. If a formula's error (×, +) "
            "rises from the white rows, which are like the training, to the shaded ones as much "
            "as a network's, the flow is simply harder; if the network's rises more, it does "
            "not generalise. Compare rows of one Reynolds number. Dots: error and correlation "
            "of the ensemble mean, and how wide its pulls are, with intervals by bootstrap over "
            "trajectories. Pull ratios above 20 are cut off. A method without a dot was not run "
            "there. Better: a small error, a correlation and a pull ratio near 1."
        ),
    ),
}


def like_cases(config: Config, task: str) -> list[str]:
    """The cases of a task on flows like the test split's, one snapshot ahead."""
    return [
        name
        for name, case in config.cases.items()
        if case.task == task and not case.is_shifted and not case.is_rollout
    ]


def figures_of(config: Config, name: str) -> list[str]:
    """Names of the figures that a case has."""
    cases = config.cases
    here = cases[name]
    kinds = {"rollout" if here.is_rollout else "evaluation" if here.evaluation else "task"}
    if kinds == {"evaluation"} and here.sample.is_fitted and not here.is_shifted:
        kinds.add("calibrated")
    if kinds == {"task"}:
        samples = [cases[like].sample for like in like_cases(config, here.task)]
        if len({(sample.sampler, sample.steps) for sample in samples}) >= SAMPLERS_COMPARED:
            kinds.add("samplers")
    if here.evaluation is None and here.task_settings.residual and config.theory is not None:
        kinds.add("targets")
        learnt = [task for task in (name, config.fields_of(name)) if task is not None]
        both = set.intersection(*(set(config.methods_of(task)) for task in learnt))
        if len(learnt) > 1 and both & set(config.theory.methods):
            kinds.add("gradients")
    shifted = any(case.task == here.task and case.is_shifted for case in cases.values())
    return [
        figure
        for figure, entry in FIGURES.items()
        if kinds & set(entry.of) and (shifted or not entry.needs_evaluations)
    ]


def part_of(config: Config, name: str, figure: str) -> str:
    """LEAD or the part of PARTS that shows a figure of a case."""
    case = config.cases[name]
    if case.evaluation is None:
        return FIGURES[figure].part
    return "rollout" if case.is_rollout else "flows" if case.is_shifted else "sampling"
