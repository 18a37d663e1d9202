"""The trained network of a method on a case, held against what the configuration asks for."""

import torch

from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.inference.trained import Trained, load_trained, rebuild
from flexbench.posterior.model import Calibration
from flexbench.provenance import file_digest, read_receipt, require_settings
from flexbench.tasks.loading import load_task


def trained_for(
    graph: Graph, *, case: str, method: str, seed: int, device: torch.device
) -> Trained:
    """The network as its checkpoint describes it.

    Raises FlexbenchError for a checkpoint that is missing or damaged, of another network or task,
    of other settings, changed since it was trained, or of other statistics.
    """
    here = graph.case(case)
    (path,) = graph.weights(case, method, seed)
    state, metadata = load_trained(path)
    training = graph.training(case, method)
    if metadata["network"] != graph.facts(method).name or metadata["task"] != training:
        raise FlexbenchError(
            f"{path}: holds network '{metadata['network']}' for task '{metadata['task']}'; "
            f"'{graph.facts(method).name}' for '{training}' is needed"
        )
    command = f"flexbench train {training} {method} --seed {seed}"
    made = graph.step("train", training=training, method=method, seed=seed)
    require_settings(made, metadata.get("slice", {}), again=command)
    told = read_receipt(path).get("outputs", {}).get(path.name)
    if told is not None and told != file_digest(path):
        raise FlexbenchError(
            f"{path}: is not the file of its receipt (`flexbench verify` tells more); "
            f"`{command}` makes it anew"
        )
    joint = training != here.task
    scales = metadata["normaliser"][here.task] if joint else metadata["normaliser"]
    # What it learnt is in units of the training's own field, whatever it is applied to.
    if Normaliser(**scales) != load_task(graph, here.task).normaliser:
        raise FlexbenchError(f"{path}: was trained with other statistics; train it again")
    folders = graph.config.baseline_folders
    return rebuild(
        state,
        metadata,
        source=path,
        task=here.task,
        device=device,
        folders=folders,
        precision=here.sample.precision,
    )


def calibration_for(graph: Graph, *, case: str, method: str, seed: int) -> Calibration | None:
    """The fit of that checkpoint that the case's sampler needs; None where it needs none.

    Raises FlexbenchError for one that is missing or damaged, or of another checkpoint or setting.
    """
    setting = graph.case(case).fit
    if setting is None:
        return None
    (path,) = graph.calibrations(case, method, seed)
    (weights,) = graph.weights(case, method, seed)
    command = f"flexbench calibrate {setting.name} {method} --seed {seed}"
    if not path.is_file():
        raise FlexbenchError(f"{path}: missing; run `{command}` first")
    found = Calibration.read(path, again=command)
    if found.setting != setting.name:
        raise FlexbenchError(
            f"{path}: is the fit '{found.setting}'; allowed: {setting.name}; `{command}` makes it"
        )
    denoises = graph.config.method(method).mode == "denoiser"
    times = setting.steps if denoises else 1
    if len(found.models) != times:
        raise FlexbenchError(
            f"{path}: knows {len(found.models)} times of the sampler, allowed: {times}; "
            f"`{command}` makes it anew"
        )
    if found.weights != file_digest(weights):
        raise FlexbenchError(
            f"{path}: is the fit of another checkpoint than {weights.name}; `{command}` makes it "
            "anew"
        )
    fit = graph.fit(setting.name, method, seed)
    made = graph.step(
        "calibrate", training=fit.training, fit=setting.name, method=method, seed=seed
    )
    require_settings(made, read_receipt(path).get("slice", made.slice), again=command)
    return found
