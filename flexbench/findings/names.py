"""What people call cases and methods: the one place that names them, for sentences and the page."""

from collections import Counter
from collections.abc import Mapping

from flexbench.config import Config, EvaluationSettings, TaskSettings
from flexbench.metrics.tables import SUBMITTED

# Names of files of networks and formulas; another file's name is its own. A method that is one of
# these with other settings, such as interpolation-spectral, has the rest of its name behind it.
_TITLES = {
    "flex": "FLEX",
    "unet": "U-Net",
    "fno": "FNO",
    "dit": "DiT",
    "uvit": "UViT",
    "interpolation": "interpolation",
    "persistence": "persistence",
    "extrapolation": "extrapolation",
}
# Of a task's difficulty, where it belongs to the name.
_DIFFICULTIES = {"factor": " ×{:g}"}


def network_name(network: str) -> str:
    """By file of a network or formula."""
    return _TITLES.get(network, network)


def method_names(config: Config) -> dict[str, str]:
    """By method of a configuration: "U-Net", "interpolation (spectral)"; of what others ran with
    the mark: "theirs (submitted)"."""
    return {method: _method_name(config, method) for method in config.all_methods}


def _method_name(config: Config, method: str) -> str:
    if method in config.submissions:
        return f"{method} ({SUBMITTED})"
    network = config.method(method).network or method
    rest = method.removeprefix(network)
    if network not in _TITLES or (rest and not rest.startswith("-")):
        return method
    return f"{_TITLES[network]} ({rest[1:].replace('-', ' ')})" if rest else _TITLES[network]


def case_names(config: Config) -> dict[str, str]:
    """By case of a configuration: "Forecast, no-slip walls"; no two are alike."""
    tasks, evaluations = _task_names(config), _evaluation_names(config)
    return {
        name: tasks[case.task]
        if case.evaluation is None
        else f"{tasks[case.task]}, {evaluations[case.evaluation]}"
        for name, case in config.cases.items()
    }


def _task_names(config: Config) -> dict[str, str]:
    """A kind's title; what tells alike tasks apart is added until no two have one name."""

    def brief(settings: TaskSettings) -> str:
        key = settings.difficulty_key
        return settings.title + _DIFFICULTIES.get(key, "").format(settings.difficulty)

    def longer(settings: TaskSettings) -> str:
        key, whole = settings.difficulty_key, "" if settings.residual else ", whole fields"
        told = "" if key in _DIFFICULTIES else f", {key} {settings.difficulty:g}"
        return f"{brief(settings)}{told}{whole}"

    tasks = config.tasks
    return _unlike(
        {name: brief(settings) for name, settings in tasks.items()},
        {name: longer(settings) for name, settings in tasks.items()},
    )


def _evaluation_names(config: Config) -> dict[str, str]:
    """What differs from the test split: its flows, or else how they are sampled."""
    brief, longer = {}, {}
    for name, settings in config.evaluations.items():
        flows, sampling = _flow_words(config, settings), _sampling_words(settings)
        brief[name] = ", ".join(flows or sampling) or name.replace("_", " ")
        longer[name] = ", ".join([*flows, *sampling]) or name.replace("_", " ")
    return _unlike(brief, longer)


def _flow_words(config: Config, settings: EvaluationSettings) -> list[str]:
    found = []
    known = set(config.split("test").reynolds)
    if settings.boundary != "periodic":
        found.append(f"{settings.boundary.replace('_', '-')} walls")
    if settings.observable != "w":
        found.append(f"velocity {settings.observable}")
    if set(settings.reynolds or known) - known:
        flow = config.data.flow if config.data else "Re"
        found.append(f"{flow} {_span(settings.reynolds or [])}")
    if settings.leads > 1:
        mean = " fed with their mean" if settings.feedback == "mean" else ""
        found.append(f"rollout of {settings.leads} steps{mean}")
    return found


def _span(values: list[float]) -> str:
    """Without a comma or "and", which names are listed with."""
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _sampling_words(settings: EvaluationSettings) -> list[str]:
    words = {
        "sampler": "{} sampler",
        "steps": "{} steps",
        "members": "{} members",
        "precision": "in {}",
    }
    found = []
    for key, value in settings.sample.items():
        if key == "overlap":
            found.append("blended tiles" if value else "stitched tiles")
        elif key == "steps" and value == 1:
            found.append("one step")
        else:
            found.append(words.get(key, f"{key} {{}}").format(value))
    return found


def _unlike(brief: Mapping[str, str], longer: Mapping[str, str]) -> dict[str, str]:
    """Brief names; longer ones where those are alike, and with the key where these are, too."""
    told = dict(brief)
    for better in (longer, {key: f"{name} ({key})" for key, name in longer.items()}):
        counts = Counter(told.values())
        told = {key: better[key] if counts[name] > 1 else name for key, name in told.items()}
    return told


def listed(words: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([*filter(None, [", ".join(words[:-1])]), *words[-1:]])
