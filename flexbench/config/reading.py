"""Reading a configuration: defaults, the tier's YAML, overrides; errors in plain lines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flexbench.config.base import Misfit, unknown_key
from flexbench.config.strict_yaml import NOT_YAML, in_words, parse_yaml, read_yaml
from flexbench.config.tasks import KINDS
from flexbench.config.whole import TIERS, Config
from flexbench.errors import FlexbenchError
from flexbench.nested import ABSENT, differences, merge
from flexbench.paths import checkout

COMMAND_LINE = "command line"


def tier_file(tier: str) -> Path:
    """The YAML of a tier; FlexbenchError names the tiers that exist."""
    if tier not in TIERS:
        raise FlexbenchError(f"tier '{tier}' does not exist; allowed: {', '.join(TIERS)}")
    return checkout() / "workflow" / "config" / f"{tier}.yaml"


class Origin(NamedTuple):
    """Where some of a configuration comes from, by a name that people know, and what it says."""

    name: str
    values: Mapping[str, Any]


def load_config(
    overrides: Mapping[str, Any] | None = None,
    *,
    resolved: Path | None = None,
    origins: Sequence[Origin] = (),
) -> Config:
    """A validated configuration.

    overrides: nested keys that win over the file (`{"tier": "smoke", "train": {"steps": 10}}`).
    resolved: a whole configuration to start from, as a run wrote it; without it, the tier's own
    YAML, or the defaults where the overrides are a whole configuration under a tier's name of their
    own. origins: of the overrides, those that win first; () stands for the command line alone.
    Raises FlexbenchError with one line for every key that is wrong, and for a resolved file that
    leaves a key to a default.
    """
    overrides = _restored(overrides or {})
    tier = str(overrides.get("tier", "desk"))
    whole = resolved is None and tier not in TIERS and {"methods", "tasks"} <= set(overrides)
    source = resolved or (Path("defaults") if whole else tier_file(tier))
    given = {} if whole else read_yaml(source)
    values = merge(given, overrides)
    if values.get("data") is not None and "splits" not in overrides:
        values.pop("splits", None)  # the tier's own, of simulated runs
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        known = [*(origins or [Origin(COMMAND_LINE, overrides)]), Origin(source.name, values)]
        lines = [explain(item, known, whole=Config) for item in error.errors()]
        raise FlexbenchError("\n".join(dict.fromkeys(lines))) from None
    _check_settings_of_methods(config, overrides, given, origins)
    if resolved is not None:
        _check_whole(resolved, given, config, overrides)
    return config


def _check_settings_of_methods(
    config: Config,
    overrides: Mapping[str, Any],
    given: Mapping[str, Any],
    origins: Sequence[Origin],
) -> None:
    """FlexbenchError where settings are given to a method that nothing runs.

    A tier's file may: it has settings for all that users may ask for.
    """
    lists = [config.methods, *(task.methods or [] for task in config.tasks.values())]
    lists += [it.methods or [] for it in config.evaluations.values()]
    known = dict.fromkeys(name for names in lists for name in names)
    for name in overrides.get("method_settings") or {}:
        if name not in known and name not in (given.get("method_settings") or {}):
            place = ["method_settings", name]
            held = (it.name for it in origins if _is_in(it.values, place))
            message = unknown_key(name, known, what="no list of methods has it")
            raise FlexbenchError(f"{next(held, COMMAND_LINE)}: {'.'.join(place)}: {message}")


def _check_whole(
    path: Path, given: Mapping[str, Any], config: Config, overrides: Mapping[str, Any]
) -> None:
    """FlexbenchError where a file that should say everything says a part, and defaults the rest.

    What a run of an older version could not say may be absent where it stands for nothing, or
    decides nothing, so that its results can be read.
    """
    for difference in differences(plain(config), given):
        place = difference.place.split(".")
        said = difference.after is not ABSENT or _is_in(overrides, place)
        later = difference.before in (None, [], {}) or place[0] == "cluster"
        if not said and not later and place[0] != "splits":
            raise FlexbenchError(
                f"{path}: not a resolved configuration: it lacks {difference.place}; a file of "
                "your own, with what differs from its tier, goes with --config"
            )


def read_own(path: Path) -> dict[str, Any]:
    """A user's configuration file; data files in it are found from its own folder."""
    values = read_yaml(path)
    data = values.get("data")
    sources = data.get("sources") if isinstance(data, dict) else None
    for source in (sources if isinstance(sources, dict) else {}).values():
        if isinstance(source, dict) and isinstance(source.get("file"), str):
            source["file"] = str(path.parent.resolve() / Path(source["file"]).expanduser())
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`["train.steps=10", "methods=[flex]"]` as nested keys; values are YAML."""
    nested: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise FlexbenchError(
                f"--set {in_one_line(text)}: expected key=value, such as train.steps=100"
            )
        try:
            parsed = parse_yaml(value)
            for part in reversed(key.split(".")):
                parsed = {part: parsed}
            nested = merge(nested, parsed)
        except NOT_YAML as error:
            raise FlexbenchError(
                f"--set {in_one_line(text)}: the value is not valid YAML ({in_words(error)})"
            ) from None
    return nested


def to_yaml(config: Config) -> str:
    """The configuration, whole, as YAML: over its tier's file it still says the same."""
    return yaml.safe_dump(plain(config), sort_keys=False, width=100)


def plain(config: Config) -> dict[str, Any]:
    """The configuration, whole, as YAML has it."""
    values = config.model_dump(mode="json")
    values["evaluations"] = values["evaluations"] or None  # {} would keep the tier's
    return values


def json_schema() -> str:
    """JSON schema of a complete configuration."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Config.model_json_schema(), indent=2) + "\n"


def _restored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Snakemake hands `--config a=null` over as the word; no key here takes that word as text."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found[key] = _restored(value)
        else:
            found[key] = None if value == "null" else value
    return found


def explain(item: Any, origins: Sequence[Origin], *, whole: type[BaseModel]) -> str:
    """One line for one pydantic error: where it comes from, key, what is wrong, what is allowed.

    origins: those that win first; the last holds all that there is. whole: what was validated.
    """
    location = [in_one_line(str(part)) for part in item["loc"] if part != "[key]"]
    if location[:1] == ["tasks"] and len(location) > 2:
        del location[2]  # the tag of the discriminated union, which users never wrote
    holding = (it.name for it in origins if _is_given(it.values, item, location))
    origin = next(holding, origins[-1].name)
    if item["type"] == "extra_forbidden":
        message = unknown_key(location[-1], _keys_beside(location, whole))
        return f"{origin}: {'.'.join(location)}: {message}"
    message, found = item["msg"].removeprefix("Value error, "), item.get("input")
    if location[:1] != ["cluster"] and item["type"] in (
        "string_pattern_mismatch",
        "string_too_long",
    ):
        message = "a name is up to 64 letters, digits, '_' and '-', the first of them no '-'"
    if item["type"] in ("model_type", "dict_type", "model_attributes_type"):
        message = "a mapping of keys is needed"
    elif item["type"].startswith("union_tag"):
        location.append("kind")
        message, found = f"allowed: {', '.join(KINDS)}", item["ctx"].get("tag")
    shown = "" if isinstance(found, dict | list) else f", found {found!r}"
    return f"{origin}: {'.'.join(location)}{': ' if location else ''}{message}{shown}"


def _is_given(values: Mapping[str, Any], item: Any, location: list[str]) -> bool:
    """Whether these values hold what an error is about."""
    if item["type"] == "missing":
        return _is_in(values, location[:-1])
    # What does not fit together names its keys, from the section on that found it.
    error = item.get("ctx", {}).get("error")
    keys = error.keys if isinstance(error, Misfit) else ()
    places = [[*location, *key.split(".")] for key in keys] or [location]
    return any(_is_in(values, place) for place in places)


def in_one_line(text: str) -> str:
    """Text of a user's for a message of one line: control characters are written out."""
    return text if text.isprintable() else repr(text)[1:-1]


def _is_in(values: Mapping[str, Any], location: Sequence[str]) -> bool:
    """Whether these values hold one at this place of the configuration."""
    value: Any = values
    for part in location:
        if not isinstance(value, Mapping):
            return True  # the place lies inside a list, or another value, that they do hold
        if part not in value:
            return False
        value = value[part]
    return bool(location)


def _keys_beside(location: list[str], whole: type[BaseModel]) -> list[str]:
    """The keys that may stand where the last part of `location` stands."""
    models: list[type[BaseModel]] = [whole]
    for part in location[:-1]:
        # A name of the user's own, as of a task, is no field: what it stands for comes next.
        found = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [own for field in found for own in _models_in(field.annotation)] or models
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a value of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
