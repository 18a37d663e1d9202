"""Step `calibrate`: what validation tells of the errors of one method's weights."""

from flexbench.data.observe import open_trajectory
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.inference.calibration import Validation
from flexbench.inference.checkpoint import trained_for
from flexbench.inference.segments import Segments, tensors_digest
from flexbench.provenance import Receipt, file_digest
from flexbench.tasks.loading import load_task


def calibrate_step(graph: Graph, *, fit: str, method: str, seed: int) -> None:
    """Write the fit beside its checkpoint; the same call resumes after any kill."""
    asked = graph.fit(fit, method, seed)
    step = graph.step("calibrate", training=asked.training, fit=fit, method=method, seed=seed)
    receipt = Receipt(step)
    device = prepare_device(graph.config)
    here = graph.case(asked.case)
    trained = trained_for(graph, case=asked.case, method=method, seed=seed, device=device)
    state = graph.layout.state("calibrate", asked.training, method, f"seed{seed}", fit)
    paths = graph.trajectories("validation")
    identity = {
        "slice": step.slice,
        "code": step.code,
        "weights": tensors_digest(trained.method.network.state_dict()),
        "validation": [file_digest(path) for path in paths],
    }
    segments = Segments(state, identity=identity)
    validation = Validation(
        trained.method,
        load_task(graph, asked.case),
        settings=here.sample.model_copy(update={"batch": graph.config.sample.batch}),
        trajectories=[open_trajectory(path, here.settings.observable) for path in paths],
        count=graph.config.calibration.snapshots,
        leads=asked.setting.leads,
        seed=seed,
        segments=segments,
        device=device,
    )
    (weights,) = graph.weights(asked.case, method, seed)
    calibration = validation.fit(fit, file_digest(weights))
    calibration.write(step.outputs[0])
    receipt.write(seed=seed, device=str(device), snapshots=len(validation.rollouts))
    segments.remove()
