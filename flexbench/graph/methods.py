"""What the files of methods say, and whether that fits the configuration."""

from collections.abc import Collection, Iterable, Mapping

from flexbench import registry
from flexbench.config import Config
from flexbench.errors import FlexbenchError
from flexbench.graph.names import Training


def facts_of(config: Config, method: str, place: str) -> registry.Facts:
    """What a method's file says; place: the key that names the method."""
    network = config.method(method).network or method
    try:
        return registry.facts(network, config.baseline_folders)
    except FlexbenchError as error:
        raise FlexbenchError(f"{place}: {error}") from None


def check_training(config: Config, training: Training) -> None:
    """FlexbenchError where what a network is trained with does not fit together."""
    own = config.method(training.method).train
    place = f"method_settings.{training.method}.train" if own else "train"
    config.train_settings(training.method).check(tasks=len(training.tasks), place=place)


def check_theory(config: Config, trainings: Iterable[Training]) -> None:
    """FlexbenchError where gradients are asked for of a method that trains nothing."""
    learning = list(dict.fromkeys(it.method for it in trainings))
    for method in config.theory.methods if config.theory else ():
        if method in config.methods and method not in learning:
            raise FlexbenchError(
                f"theory.methods: '{method}' trains nothing in this configuration; allowed: "
                f"{', '.join(learning) or 'none'}"
            )


def check_together(config: Config, method: str, facts: registry.Facts) -> None:
    """FlexbenchError where a network is to learn tasks together and cannot."""
    together = config.method(method).together
    if together is None:
        return
    registry.require_together(facts)
    for task in together:
        if config.tasks[task].kind not in facts.tasks:
            raise FlexbenchError(
                f"method_settings.{method}.together: '{facts.name}' cannot run on task "
                f"'{task}' ({config.tasks[task].kind}); it does: {', '.join(facts.tasks)}"
            )


def needs_periodic(config: Config, method: str, facts: registry.Facts) -> str | None:
    """The option by which a method takes fields as periodic, where they are not."""
    if config.data is None or config.data.is_periodic:
        return None
    options = config.method(method).options
    for name, value in facts.periodic.items():
        if options.get(name) == value:
            return f"{name}: {value}"
    return None


def left_out(
    config: Config, facts: Mapping[str, registry.Facts], *, evaluated: Collection[str | None]
) -> list[str]:
    """Methods and evaluations that are left out, each with the reason.

    facts: of every method. evaluated: the evaluations that some method runs.
    """
    methods = [
        f"method '{method}' is left out: its option {option} needs periodic fields, and "
        "data.periodic is false, or data.crop given"
        for method in config.methods
        if (option := needs_periodic(config, method, facts[method]))
    ]
    return methods + [
        f"evaluation '{name}' is left out: none of `methods` runs it"
        for name in config.evaluations
        if name not in evaluated
    ]
