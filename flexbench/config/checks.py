"""What has to fit together in a whole configuration; every check raises `Misfit`.

What a kind of task needs is asked of the task's own settings.
"""

import math
from typing import TYPE_CHECKING

from flexbench.config.base import Misfit
from flexbench.config.cases import Case
from flexbench.config.sections import EvaluationSettings, SplitsSettings
from flexbench.spec import NO_SLIP_GRID, NO_SLIP_STEP, UNSTABLE_STEP, spectrum_misfit

if TYPE_CHECKING:
    from flexbench.config.whole import Config


def check(config: "Config") -> None:
    """All of it: tasks, then methods, then evaluations."""
    if (config.splits is None) == (config.data is None):
        raise Misfit(
            "one of `splits` (simulated) and `data` (your own) is needed", "splits", "data"
        )
    for name in config.submissions:
        if name in (*config.methods, *config.method_settings):
            raise Misfit(
                f"submitted.{name}: a method of this configuration has that name; allowed: others",
                *(f"submitted.{name}", "methods"),
            )
    for name in config.tasks:
        _check_task(config, name)
    for name in config.method_settings:
        config.train_settings(name)
        config.diffusion_settings(name)
        _check_together(config, name)
    for name, evaluation in config.evaluations.items():
        _check_evaluation(config, name, evaluation)


def _check_task(config: "Config", name: str) -> None:
    task, overlap = config.tasks[name], config.sample.overlap
    task.check_overlap(name, overlap, place="sample")
    if config.data is not None:
        task.check_data(name, config.data)
        return
    task.check_grid(name, grid=config.solver.grid, overlap=overlap)
    task.check_interval(name, config.solver.interval)
    _check_trajectories(Case(config=config, task=name))


def _check_together(config: "Config", method: str) -> None:
    """The tasks that one network learns are there and, where the method runs, agree in patch."""
    place = f"method_settings.{method}.together"
    together = config.method_settings[method].together or []
    for task in together:
        if task not in config.tasks:
            allowed = ", ".join(config.tasks)
            raise Misfit(f"{place}: no task '{task}'; allowed: {allowed}", place, "tasks")
    patches = {task: config.tasks[task].patch for task in together}
    if method in config.methods and len(set(patches.values())) > 1:
        found = ", ".join(f"{task} {patch}" for task, patch in patches.items())
        keys = (f"tasks.{task}.patch" for task in together)
        raise Misfit(
            f"{place}: patches differ ({found}); allowed: one for all of them", place, *keys
        )


def _check_evaluation(config: "Config", name: str, evaluation: EvaluationSettings) -> None:
    place = f"evaluations.{name}"
    if name in SplitsSettings.model_fields:
        # Files are held against those of training by the names of splits and evaluations.
        raise Misfit(f"{place}: a split's name; another one is needed", place)
    if evaluation.feedback == "mean" and evaluation.leads == 1:
        raise Misfit(
            f"{place}.feedback: leads is 1, so nothing is fed back; allowed: leads above 1, or no "
            "feedback",
            place,
        )
    missing = [task for task in evaluation.tasks or () if task not in config.tasks]
    if missing:
        allowed = ", ".join(config.tasks)
        raise Misfit(f"{place}.tasks: no task '{missing[0]}'; allowed: {allowed}", place, "tasks")
    tasks = config.tasks_of(evaluation)
    if not tasks:
        raise Misfit(
            f"{place}: leads is {evaluation.leads}, and none of its tasks can be rolled out; "
            "allowed: leads 1, or a forecast among its tasks",
            place,
        )
    for task in tasks:
        case = Case(config=config, task=task, evaluation=name)
        case.task_settings.check_overlap(task, case.sample.overlap, place=f"{place}.sample")
        if config.data is None:
            _check_trajectories(case)
    if config.data is not None:
        _check_not_simulated(name, evaluation)
    else:
        _check_leak(config, name, evaluation)


def _check_not_simulated(name: str, evaluation: EvaluationSettings) -> None:
    """Own data has no other flows than its own."""
    # A configuration that was written out holds every key, at its default or not.
    simulated = ("boundary", "observable", "reynolds", "seeds")
    fields = EvaluationSettings.model_fields
    asked = [key for key in simulated if getattr(evaluation, key) != fields[key].default]
    if asked:
        place = f"evaluations.{name}"
        raise Misfit(
            f"{place}.{asked[0]}: data of your own is not simulated; allowed: "
            "leads, feedback, tasks, methods, sample",
            *(place, "data"),
        )


def _check_leak(config: "Config", name: str, evaluation: EvaluationSettings) -> None:
    """No flow of training or validation is among those that a network has not seen."""
    if evaluation.boundary != "periodic":
        return
    test = config.split("test")
    for split in ("train", "validation"):
        seen = config.split(split)
        both = set(seen.reynolds) & set(evaluation.reynolds or test.reynolds)
        seeds = set(seen.seeds) & set(evaluation.seeds or test.seeds)
        if both and seeds:
            raise Misfit(
                f"leak: Re {min(both):g}, seed {min(seeds)} is in both evaluations.{name} and "
                f"{split}",
                *(f"evaluations.{name}", f"splits.{split}", "splits.test"),
            )


def _check_trajectories(case: Case) -> None:
    """Trajectories that are asked for can be simulated, and hold what is scored of them."""
    if not case.config.methods_of(case.name):
        return
    solver = case.config.solver
    if case.settings.boundary == "no_slip" and solver.grid < NO_SLIP_GRID:
        raise Misfit(
            f"evaluations.{case.evaluation}.boundary: a no-slip channel needs solver.grid of at "
            f"least {NO_SLIP_GRID}, found {solver.grid}",
            *(f"evaluations.{case.evaluation}", "solver.grid"),
        )
    _check_resolved(case)
    _check_span(case)
    _check_stored(case)


def _check_resolved(case: Case) -> None:
    """The grid holds the spectrum that a flow starts from, up to 2 k0; a fixed step is stable."""
    solver = case.config.solver
    if misfit := spectrum_misfit(solver.grid, solver.peak_wavenumber):
        raise Misfit(misfit, "solver.grid", "solver.peak_wavenumber")
    walls = case.settings.boundary == "no_slip"
    longest = (NO_SLIP_STEP if walls else UNSTABLE_STEP) * 2 * math.pi / solver.grid
    if solver.dt is not None and solver.dt > longest * (1 + 1e-9):
        raise Misfit(
            f"solver.dt ({solver.dt:g}): '{case.name}' on a grid of {solver.grid} needs "
            f"{longest:.3g} or less to be stable; null: the largest that is",
            *("solver.dt", "solver.grid"),
        )


def _check_span(case: Case) -> None:
    """The trajectories last from the first snapshot of a window to the last lead."""
    solver, leads = case.config.solver, case.settings.leads
    there, needed = solver.t_end - solver.t_start, case.task_settings.span(leads)
    if needed <= there * (1 + 1e-9):
        return
    keys = [f"tasks.{case.task}.lead", "solver.t_start", "solver.t_end"]
    told = f"{keys[0]} ({case.task_settings.lead_time:g})"
    if case.evaluation is not None:
        keys.append(f"evaluations.{case.evaluation}")
        told = f"evaluations.{case.evaluation}.leads ({leads})"
    raise Misfit(
        f"{told}: its snapshots span {needed:g} time units, and the trajectories "
        f"{there:g} (solver.t_start to t_end)",
        *keys,
    )


def _check_stored(case: Case) -> None:
    """A file holds as many snapshots as are scored, and those that they are made from."""
    solver = case.config.solver
    stored = solver.snapshots
    needed = case.snapshots_needed(case.task_settings.stride(solver.interval))
    if needed <= stored:
        return
    own = case.evaluation is not None and "snapshots" in case.settings.sample
    place = f"evaluations.{case.evaluation}.sample" if own else "sample"
    raise Misfit(
        f"{place}.snapshots ({case.sample.snapshots}): '{case.name}' needs {needed} "
        f"snapshots of a trajectory, and the solver stores {stored}",
        *(f"{place}.snapshots", "solver.t_start", "solver.t_end", "solver.interval"),
        *([f"evaluations.{case.evaluation}"] if case.evaluation else ()),
    )
