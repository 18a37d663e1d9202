"""The parts of `benchmarks/gpu.py`, in the order in which they run."""

from gpu_parts import agreement, desk, ensemble, machine, resume, solver, throughput

# The last one takes what time the others leave.
PARTS = (
    machine.PART,
    agreement.PART,
    throughput.EAGER,
    solver.PART,
    ensemble.PART,
    resume.PART,
    throughput.COMPILED,
    desk.PART,
)
