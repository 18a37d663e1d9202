"""What is refused before the first job: all that settings, method files and headers can tell.

Settings alone are held together by `config.checks`; here networks are built without memory,
formulas are called on a small field, the headers of own data and the registered claims are read,
and what no machine could do is named.
"""

from flexbench.claims.registry import default_claims, read_claims
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.rule import Names
from flexbench.planning.costs import cost_of
from flexbench.planning.costs.learn import sampling_flops
from flexbench.planning.facts import RunFacts
from flexbench.planning.formulas import check_formulas
from flexbench.solver.step_count import first_courant
from flexbench.spec import STABLE_COURANT, TRAINING_PASSES

# Beyond what any machine does for one job: the largest trainings so far took some 1e25 FLOP, the
# largest nodes have some TiB of memory, and the largest files some TiB.
MOST_FLOPS = 1e25
MOST_MEMORY = 64 * 2**40
MOST_DISK = 2**50

# What makes the jobs of a rule large.
_KEYS = {
    "simulate": "solver.grid, solver.interval",
    "import_data": "data.sources",
    "train": "train.steps, train.batch, train.accumulate, size",
    "sample": "sample.members, sample.steps, sample.snapshots, sample.batch, size",
}


def admit(graph: Graph, *, keep: bool = True) -> RunFacts:
    """The facts of a graph whose jobs can be done.

    keep: whether sizes that are counted may be written below the results' root.
    Raises FlexbenchError, in one line, naming task, method and key, where a network cannot be
    built, a formula cannot be called with its options, a file of own data is not what the
    configuration says, samples that were submitted are missing, or a job is beyond any machine; or
    for every wrong key of the registered claims, whose digest receipts of samples hold.
    """
    read_claims(default_claims())
    facts = RunFacts.of(graph, keep=keep)
    check_formulas(graph)
    _check_submitted(graph)
    for rule, keys in _KEYS.items():
        cost = cost_of(rule)
        for names in graph.rule(rule).jobs(graph):
            job = " ".join((rule, *names.values()))
            sizes = {
                "FLOP": (_flops(facts, rule, names), MOST_FLOPS),
                "bytes of memory": (cost.memory(facts, names), MOST_MEMORY),
                "bytes on disk": (sum(cost.sizes(facts, names)), MOST_DISK),
            }
            for unit, (found, most) in sizes.items():
                if found > most:
                    raise FlexbenchError(
                        f"{job}: would take {found:.2g} {unit}, and no machine has more than "
                        f"{most:.2g}; look at {keys}"
                    )
    return facts


def _check_submitted(graph: Graph) -> None:
    """FlexbenchError where samples that no job makes are not there."""
    for step in (step for step in graph.steps if step.name == "submit"):
        if not step.outputs[0].is_file():
            raise FlexbenchError(
                f"{step.outputs[0]}: missing, and no job makes it: {step.inputs[0]} says that it "
                "was submitted; `flexbench submit ANSWER --card CARD --replace` brings it back, "
                "--set 'submitted={}' goes without"
            )


def doubts(graph: Graph) -> list[str]:
    """What a run may find wrong in what it is asked for, and nobody can know before: in lines."""
    solver = graph.config.solver
    if solver.dt is None or not graph.all_runs:
        return []
    found = {run.stem: first_courant(solver, run) for run in graph.all_runs}
    above = [stem for stem, courant in found.items() if courant > STABLE_COURANT]
    if not above:
        return []
    worst = max(above, key=lambda stem: found[stem])
    return [
        f"solver.dt ({solver.dt:g}) is too long at the start of {len(above)} of {len(found)} "
        f"simulations: the Courant number of {worst} is {found[worst]:.2f}, and the integrator is "
        f"stable up to {STABLE_COURANT}; they may stop, or be wrong: at most "
        f"{0.99 * solver.dt * STABLE_COURANT / found[worst]:.3g} fits all, null what fits each"
    ]


def _flops(facts: RunFacts, rule: str, names: Names) -> float:
    """Of the networks' passes; 0 where there is no network."""
    method = names.get("method")
    if method is None or facts.graph.is_formula(method):
        return 0.0
    if rule == "sample":
        return sampling_flops(facts, names["case"], method)
    settings, size = facts.train(method), facts.networks[names["training"], method]
    rows = settings.batch * facts.members_learnt(method)
    return TRAINING_PASSES * settings.steps * rows * size.forward
