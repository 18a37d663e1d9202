"""Whether this machine is quick at products that are rounded to bfloat16."""

from pathlib import Path

from flexbench.graph import Graph

# Flags of processors with instructions for it: of x86 and Arm, as Linux names them.
_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_PROCESSOR = Path("/proc/cpuinfo")
# Of NVIDIA's driver and AMD's.
_GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def slow_rounding(graph: Graph, *, processor: Path = _PROCESSOR) -> list[str]:
    """A line where networks are asked to compute in bfloat16 here, and would take up to
    ten times as long; none where nobody knows.

    processor: the file in which Linux describes it.
    """
    config = graph.config
    trained = [method for method in config.methods if graph.is_trained(method)]
    keys = []
    if any(config.train_settings(it).precision == "bfloat16" for it in trained):
        keys.append("train.precision")
    if trained and any(it.sample.precision == "bfloat16" for it in config.cases.values()):
        keys.append("sample.precision")
    on_gpu = config.device != "cpu" and any(it.exists() for it in _GPUS)
    if not keys or on_gpu or _has_instructions(processor):
        return []
    instead = " ".join(f"--set {key}=float32" for key in keys)
    return [
        f"{' and '.join(keys)}: bfloat16, for which this processor has no instructions: networks "
        f"may take up to ten times as long here as with {instead}"
    ]


def _has_instructions(processor: Path) -> bool:
    """True, too, where nothing is said of its flags."""
    try:
        text = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    flags = [line for line in text.splitlines() if line.lower().startswith(("flags", "features"))]
    return not flags or bool(_FLAGS & set(flags[0].split()))
