"""A plan as text that is readable on a terminal and in a log."""

from flexbench.planning.costs import CATEGORIES
from flexbench.planning.forecast import Forecast
from flexbench.planning.plan import Plan
from flexbench.planning.stale import grouped

_REASON_LINES = 5  # for each rule


def plan_text(plan: Plan) -> str:
    """All of it; what is left to do comes before the whole where they differ."""
    speed = plan.speed
    source = "default rates" if speed.default else f"measured {speed.measured}"
    lines = [
        f"tier {plan.tier} in {plan.folder}, on {plan.slots.text}",
        f"rates: {source}, {speed.machine}, {speed.device}",
        *(f"data: {text}" for text in plan.data),
        "",
        *_why(plan),
        "",
    ]
    if plan.left.jobs not in (0, plan.everything.jobs):
        lines += _forecast("left to do", plan.left)
    lines += _forecast("the whole tier", plan.everything)
    lines += [f"warning: {text}" for text in plan.warnings]
    return "\n".join(lines)


def _why(plan: Plan) -> list[str]:
    if not plan.stale:
        return ["nothing to do: every output is there and up to date"]
    lines = [f"{len(plan.stale)} of {plan.everything.jobs} jobs would run:"]
    shown: dict[str, int] = {}
    for rule, count, why in grouped(plan.stale):
        shown[rule] = shown.get(rule, 0) + 1
        if shown[rule] <= _REASON_LINES:
            lines.append(f"  {rule:10} {count:4}  {why}")
    for rule, groups in shown.items():
        if groups > _REASON_LINES:
            lines.append(f"  {rule:10}       and for {groups - _REASON_LINES} more reasons")
    return lines


def _forecast(title: str, found: Forecast) -> list[str]:
    columns = f"{'jobs':>6} {'CPU-hours':>10} {'GPU-hours':>10} {'longest':>9} {'memory':>9}"
    lines = [f"{title:16} {columns}"]
    for rule, cost in found.rules.items():
        lines.append(
            f"  {rule:14} {cost.jobs:6} {_hours(cost.cpu_hours):>10} {_hours(cost.gpu_hours):>10} "
            f"{duration(cost.longest_seconds):>9} {size(cost.memory_bytes):>9}"
        )
    cpu = sum(cost.cpu_hours for cost in found.rules.values())
    gpu = sum(cost.gpu_hours for cost in found.rules.values())
    lines.append(f"  {'total':14} {found.jobs:6} {_hours(cpu):>10} {_hours(gpu):>10}")
    disk = ", ".join(
        f"{name} {size(found.disk[name])}" for name in CATEGORIES if found.disk.get(name)
    )
    return [
        *lines,
        f"  time    {duration(found.seconds)}",
        f"  chain   {duration(found.chain_seconds)}: {' > '.join(found.chain)}",
        f"  disk    {size(found.disk_bytes)}: {disk}",
        f"  peak    {size(found.peak_bytes)} in {found.peak_files} files, with restart points and "
        f"temporary files; {found.files} files in the end",
        f"  memory  {size(found.memory_bytes)} at most in one job: {found.largest}",
        "",
    ]


def _hours(hours: float) -> str:
    if not hours:
        return "-"
    return f"{hours:.3f}" if hours < 1 else f"{hours:.1f}" if hours < 100 else f"{hours:,.0f}"


def duration(seconds: float) -> str:
    """12 s, 3.4 min, 5.6 h, 7.8 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    for unit, length in (("min", 60), ("h", 3600)):
        if seconds < 100 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


def size(count: int) -> str:
    """Bytes in decimal units, as disks are sold."""
    for unit, length in (("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if count < 999.5 * length:
            return f"{count / length:.3g} {unit}"
    return f"{count / 10**12:,.3g} TB"
