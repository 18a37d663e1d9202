"""How much memory each job holds at its fullest: a GPU's, where a network runs there."""

from flexbench.graph import TOGETHER
from flexbench.planning.disk import restart_bytes
from flexbench.planning.facts import RunFacts
from flexbench.planning.jobs import PlannedJob

MIB = 2**20

# A process with its libraries, before it holds any field (measured).
_PROCESS = {
    **{
        "simulate": 255,
        "import_data": 250,
        "splits": 150,
        "statistics": 245,
        "train": 360,
        "sample": 345,
    },
    **{"score": 155, "tabulate": 165, "figure": 200, "animation": 200, "report": 185},
}
# Fields that a step has in memory at once, in multiples of one float32 field.
_SOLVER_FIELDS = 22
_DEGRADE_FIELDS = 14
_SCORE_FIELDS = 40
# Beside what autograd keeps: gradients of it and workspace. Without autograd: what a network holds
# at once, as a fraction of what autograd would keep. Measured on small networks, to within half.
_WITH_GRADIENTS = 2.0
_WITHOUT_AUTOGRAD = 0.6
# The maps prepare a task, and so import what tasks need.
_MAPS = 240 * MIB


def memory_bytes(facts: RunFacts, job: PlannedJob) -> int:
    """Peak of one job's memory: its process, its weights and its fields."""
    return _PROCESS[job.rule] * MIB + round(_own(facts, job))


def _own(facts: RunFacts, job: PlannedJob) -> float:
    names, field = job.wildcards, facts.field_bytes
    if job.rule == "simulate":
        # Snapshots wait in memory for the next restart point, and once more while it is written.
        waiting = min(facts.trajectory_fields, 2**28 + field)
        return _SOLVER_FIELDS * field + 2 * waiting
    if job.rule == "statistics":
        return _DEGRADE_FIELDS * field
    if job.rule == "train":
        return _training(facts, names["task"], names["method"])
    if job.rule == "sample":
        return _sampling(facts, names["case"], names["method"])
    if job.rule == "score":
        # The ensemble in single precision, and sorted; and a few fields in double.
        return (2.5 * facts.members(names["method"], names["case"]) + _SCORE_FIELDS) * field
    if job.rule == "figure" and names["name"] == "maps":
        # The maps hold the whole ensemble of every method.
        methods = {found.method for found in facts.graph.jobs_of(names["case"])}
        return (
            _MAPS + (sum(facts.members(method, names["case"]) for method in methods) + 30) * field
        )
    return 0.0


def _training(facts: RunFacts, task: str, method: str) -> float:
    from flexbench.data.patches import MEMORY_BYTES

    size, settings = facts.network(task, method), facts.train(method)
    rows = settings.batch // (settings.accumulate * settings.processes)
    # bfloat16 halves what autograd keeps, except for what stays in float32.
    share = 0.6 if settings.precision == "bfloat16" else 1.0
    data = sum(
        size
        for size in (facts.data_bytes("train"), facts.data_bytes("validation"))
        if size <= MEMORY_BYTES
    )
    return (
        restart_bytes(facts, task, method)
        + size.state_bytes  # gradients
        + _WITH_GRADIENTS * share * rows * size.saved_bytes
        + data * (task.count(TOGETHER) + 1)  # each task has its own sampler
    )


def _sampling(facts: RunFacts, case: str, method: str) -> float:
    fields = (3 * facts.members(method, case) + _DEGRADE_FIELDS) * facts.field_bytes
    if facts.graph.is_formula(method):
        return fields
    size = facts.network(case, method)
    batch = facts.graph.case(case).sample.batch
    together = min(batch, facts.tiles(case) * facts.members(method, case))
    # The weights twice: as the file holds them and in the network.
    return fields + 2 * size.state_bytes + _WITHOUT_AUTOGRAD * together * size.saved_bytes
