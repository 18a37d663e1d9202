"""What jobs ask a cluster for, in the words of Snakemake's Slurm plugin."""

from typing import TYPE_CHECKING

from flexbench.config import Needs
from flexbench.graph.rule import Names, Rule

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


def resources(graph: "Graph", rule: Rule, names: Names) -> dict[str, int | str]:
    """runtime [minutes], mem_mb, cpus_per_task, slurm_extra, and those of slurm_account,
    slurm_partition, constraint, qos, gpu, gpu_model, tasks that are needed: what is not here is
    left to the user's profile and --default-resources.

    Resources lie in no slice: another partition makes nothing stale.
    """
    cluster = graph.config.cluster
    needs: Needs = getattr(cluster, rule.section)
    partition = (cluster.gpu_partition if needs.gpu else None) or cluster.partition
    # TERM, to every process of the job but the batch shell: who can, saves its state. Where the
    # limit is short, half of it is for work.
    warning = min(cluster.save_seconds, needs.minutes * 30)
    # A requeued job adds to its log.
    extra = f"--signal=TERM@{warning} --open-mode=append {cluster.extra or ''}".strip()
    wanted: dict[str, int | str | None] = {
        "runtime": needs.minutes,
        "mem_mb": needs.memory_mb,
        # By `threads` alone Snakemake would cut it to the cores of the submitting host.
        "cpus_per_task": rule.cores(graph, names),
        "slurm_account": cluster.account,
        "slurm_partition": partition,
        "constraint": cluster.constraint,
        "qos": cluster.qos,
        "slurm_extra": extra,
    }
    if needs.gpu:
        wanted |= {"gpu": rule.gpus(graph, names), "gpu_model": cluster.gpu_model}
        # One task per job, which may be torchrun; never one per GPU.
        wanted["tasks"] = 0
    return {name: value for name, value in wanted.items() if value is not None}
