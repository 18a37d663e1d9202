"""Whether formulas can be called with their options: each that has any is, once, on a small field.

The values of an option are known to the formula alone; to ask it takes milliseconds, and torch.
"""

from flexbench import registry, user_code
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph


def check_formulas(graph: Graph) -> None:
    """FlexbenchError, in one line, naming method, case and key, where a formula's options do not
    fit it."""
    cases = {(job.method, graph.case(job.case).task) for job in graph.jobs}
    for method, task in sorted(cases):
        if not graph.is_formula(method):
            continue
        facts, options = graph.facts(method), graph.config.method(method).options
        place = f"method '{method}' on {task} (method_settings.{method}.options)"
        lacking = [name for name in facts.required if name not in options]
        if lacking:
            raise FlexbenchError(
                f"{place}: found none named '{lacking[0]}', which {facts.path.name} needs"
            )
        if not options:
            continue
        try:
            with user_code.within_time(facts.path, "calling it on a small field"):
                _call(graph, method, task)
        except Exception as error:
            told = str(error) if isinstance(error, FlexbenchError) else user_code.told(error)
            if told is None:
                raise
            raise FlexbenchError(f"{place}: {told}") from None


def _call(graph: Graph, method: str, task: str) -> None:
    """The formula on a domain of one patch, as the job calls it."""
    import torch

    from flexbench.data.normaliser import Normaliser
    from flexbench.data.samples import Snapshot
    from flexbench.inference.predictors import FormulaPredictor
    from flexbench.seeding import generator
    from flexbench.tasks import make_task

    settings, data = graph.task_settings(task), graph.config.data
    problem = make_task(
        settings,
        normaliser=Normaliser(field_std=1.0, residual_std=1.0),
        interval=settings.lead_time or 1.0,
        periodic=data is None or data.is_periodic,
    )
    side = settings.patch + 2 * problem.margin
    fields = torch.randn(1, problem.window, side, side, generator=generator(0, "small field"))
    example = problem.prepare(fields, torch.tensor([1000.0]))
    name = graph.facts(method).name
    predict = registry.load(name, graph.config.baseline_folders).predict
    snapshot = Snapshot(trajectory="small", reynolds=1000.0, seed=0, index=0, time=0.0)
    options = graph.config.method(method).options
    FormulaPredictor(predict, options).predict(example, problem, snapshot)
