"""What does not fit, or cannot be meant, is refused before the first job, with its place."""

import re

import pytest

from flexbench.config.reading import Origin, load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.planning.admission import admit, doubts
from flexbench.solver.boundary import PENALISATION
from flexbench.solver.penalised import STABLE_STEP
from flexbench.solver.simulate import Simulation
from flexbench.spec import NO_SLIP_STEP, STABLE_COURANT

BASE = {
    "tier": "smoke",
    "evaluations": None,
    "methods": ["flex", "unet", "interpolation", "persistence"],
    "train": {"steps": 60, "warmup_steps": 5},
}


def refused(overrides, tmp_path):
    """The one line that stands for a configuration, which `plan` and `run` both ask for."""
    from flexbench.nested import merge

    values = merge(merge(BASE, {"root": str(tmp_path)}), overrides)
    with pytest.raises(FlexbenchError) as caught:
        admit(Graph.of(load_config(values)))
    line = str(caught.value)
    assert "\n" not in line
    return line


def formula(folder, body, options):
    """Settings with a user's own formula alone."""
    text = f'TASKS = ("superres",)\n\ndef predict(example, task, *, gain):\n    return {body}\n'
    (folder / "mine.py").write_text(text)
    settings = {"mine": {"options": options}}
    return {
        "methods": ["mine"],
        "baseline_folders": [str(folder)],
        "method_settings": settings,
    }


TOGETHER = {"together": ["superres_x4", "forecast"]}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train": {"steps": 40, "warmup_steps": 50}}, ["train.warmup_steps: found 50", "(40)"]),
        ({"train": {"steps": 4, "warmup_steps": 4}}, ["train.warmup_steps: found 4", "(4)"]),
        (
            {"method_settings": {"unet": {"train": {"steps": 3}}}},
            ["method_settings.unet.train.warmup_steps: found 5", "train.steps (3)"],
        ),
        ({"train": {"batch": 6, "accumulate": 4}}, ["train.batch: found 6", "train.accumulate"]),
        ({"train": {"batch": 6, "processes": 4}}, ["train.batch: found 6", "train.processes (4)"]),
        (
            {"train": {"batch": 5}, "method_settings": {"flex": TOGETHER}},
            ["method_settings.flex.together", "train.batch: found 5"][1:],
        ),
        ({"train": {"learning_rate": 0.5, "weight_decay": 2}}, ["train.weight_decay: found 2"]),
        ({"solver": {"interval": 0.13}}, ["solver: interval (0.13)", "must divide"]),
        ({"solver": {"interval": 1e-9}}, ["interval (1e-09)", "1000000 parts"]),
        ({"solver": {"peak_wavenumber": 30}}, ["solver.grid (64)", "solver.peak_wavenumber (30)"]),
        ({"solver": {"dt": 0.5}}, ["solver.dt (0.5)", "0.0442", "stable"]),
        (
            {
                "solver": {"dt": 0.03, "grid": 64},
                "evaluations": {"no_slip": {"boundary": "no_slip"}},
            },
            ["solver.dt (0.03)", "superres_x4.no_slip", "0.0196"],
        ),
        ({"tasks": {"forecast": {"patch": 4}}}, ["tasks.forecast.patch 4", "multiples of"]),
        (
            {"methods": ["unet"], "tasks": {"superres_x4": {"patch": 4}}},
            ["method 'unet'", "tasks.superres_x4.patch 4"],
        ),
        ({"method_settings": {"unet": {"width": 7}}}, ["method 'unet' on", "width is 7"]),
        ({"method_settings": {"flex": {"width": 3}}}, ["method 'flex' on", "width is 3"]),
        ({"method_settings": {"unet": {"options": {"depht": 2}}}}, ["'unet'", "option 'depht'"]),
        (
            {"method_settings": {"interpolation": {"options": {"kernel": "bicubik"}}}},
            ["'interpolation' on superres_x4 (method_settings.interpolation.options)", "'bicubik'"],
        ),
        (
            {"method_settings": {"interpolation": {"options": {"kernl": "bicubic"}}}},
            ["method_settings.interpolation.options", "interpolation.py:", "'kernl'"],
        ),
        (
            {"method_settings": {"persistence": {"options": {"lead": 1}}}},
            ["'persistence' on forecast", "persistence.py:", "'lead'"],
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else "",
)
def test_settings_that_do_not_fit_together(overrides, words, tmp_path):
    line = refused(overrides, tmp_path)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        ("example.base * gain", {}, ["none named 'gain'", "mine.py needs"]),
        ("example.base * gain", {"gain": "loud"}, ["mine.py:", "TypeError"]),
        ("example.base[..., :gain]", {"gain": 4}, ["mine.py:", "returned", "must be a tensor"]),
        ("example.base[:, gain]", {"gain": 7}, ["mine.py:", "IndexError"]),
    ],
)
def test_a_formula_is_asked_whether_its_options_fit(body, options, words, tmp_path):
    line = refused(formula(tmp_path, body, options), tmp_path)
    for word in ("'mine' on superres_x4 (method_settings.mine.options)", *words):
        assert word in line


def test_a_formula_whose_options_fit_is_accepted(tmp_path):
    own = formula(tmp_path, "example.base * gain", {"gain": 1.5})
    admit(Graph.of(load_config(BASE | own | {"root": str(tmp_path)})))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train": {"steps": 10**29}}, ["train.steps", "1000000000"]),
        ({"train": {"batch": 10**7}}, ["train.batch", "1000000"]),
        ({"train": {"learning_rate": 1e3}}, ["train.learning_rate", "less than or equal to 1"]),
        ({"sample": {"members": 10**9}}, ["sample.members", "1000000"]),
        ({"sample": {"steps": 1e29}}, ["sample.steps"]),
        ({"solver": {"grid": 10**6}}, ["solver.grid", "65536"]),
        ({"solver": {"cfl": 9}}, ["solver.cfl", "1.35"]),
        ({"diffusion": {"shift": 1e300}}, ["diffusion.shift"]),
        ({"threads": 10**6}, ["threads", "4096"]),
        ({"training_seeds": [2**60]}, ["training_seeds.0", "9007199254740992"]),
        ({"splits": {"train": {"reynolds": [1e300]}}}, ["splits.train.reynolds"]),
        ({"score": {"bootstrap": 10**12}}, ["score.bootstrap"]),
        ({"cluster": {"train": {"minutes": 10**12}}}, ["cluster.train.minutes"]),
        (
            {"train": {"steps": 10**9, "batch": 10**6}, "size": "L"},
            ["train", "FLOP", "no machine", "train.steps"],
        ),
        ({"sample": {"members": 10**6, "batch": 10**6}, "solver": {"grid": 16384}}, ["bytes"]),
    ],
    ids=str,
)
def test_numbers_that_cannot_be_meant(overrides, words, tmp_path):
    line = refused(overrides, tmp_path)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "key",
    [
        *("train.steps", "train.batch", "train.learning_rate", "train.betas", "sample.members"),
        *("sample.overlap", "solver.grid", "solver.t_end", "solver.dt", "threads"),
        *("training_seeds", "splits.train.seeds", "score.confidence", "diffusion.shift"),
        *("tasks.forecast.lead", "tasks.superres_x4.factor", "cluster.train.minutes"),
        *("method_settings.unet.width", "evaluations.far.leads", "evaluations.far.reynolds"),
    ],
)
@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_is_no_number(key, flag, tmp_path):
    many = {"train.betas", "training_seeds", "splits.train.seeds", "evaluations.far.reynolds"}
    value = [flag, 0.9] if key == "train.betas" else [flag] if key in many else flag
    for part in reversed(key.split(".")):
        value = {part: value}
    assert key in refused(value, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"method_settings": {"uent": {"size": "S"}}}, ["method_settings.uent", "'unet'?"]),
        ({"method_settings": {"dit": {"size": "S"}}}, ["method_settings.dit", "no list of"]),
        ({"method_settings": {"unet": {"train": {"step": 9}}}}, ["unet.train.step", "'steps'?"]),
        ({"method_settings": {"unet": {"diffusion": {"los": "mse"}}}}, ["diffusion.los", "'loss'"]),
        ({"evaluations": {"far": {"sample": {"member": 9}}}}, ["far.sample.member", "'members'?"]),
        ({"sampel": {"members": 2}}, ["sampel: unknown key", "'sample'?"]),
        ({"tasks": {"forecast": {"paches": 8}}}, ["tasks.forecast.paches", "'patch'?"]),
        ({"evaluations": {"far": {"reynold": [5]}}}, ["evaluations.far.reynold", "'reynolds'?"]),
        ({"cluster": {"trian": {"gpu": True}}}, ["cluster.trian", "'train'?"]),
    ],
    ids=str,
)
def test_the_nearest_key_is_named(overrides, words, tmp_path):
    if "dit" in overrides.get("method_settings", {}):
        overrides = overrides | {"tier": "gate"}
    line = refused(overrides, tmp_path)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("command line", {"train": {"steps": -1}}),
        ("mine.yaml", {"train": {"batch": -1}}),
        ("profile", {"threads": -1}),
        ("smoke.yaml", {}),
    ],
)
def test_an_error_names_the_file_that_holds_the_fault(place, values):
    """Of a value that several give, the one that won."""
    origins = [
        Origin("command line", {"train": {"steps": values.get("train", {}).get("steps", 60)}}),
        Origin("mine.yaml", {"train": {"steps": 5, **values.get("train", {})}}),
        Origin("profile", {"threads": values.get("threads", 1)}),
    ]
    merged = {"tier": "smoke", **values}
    if place == "smoke.yaml":  # what only the tier says does not fit what nobody else changed
        merged |= {"solver": {"t_end": 0.2}}
        origins = [Origin("command line", {"solver": {}})]
    with pytest.raises(FlexbenchError) as caught:
        load_config(merged, origins=origins)
    assert str(caught.value).startswith(f"{place}: ")


def test_a_fixed_step_that_may_be_too_long_is_told_and_one_that_is_not_is_not():
    """At the fields that the runs do start from: a flow may be slower than the fastest."""

    def told(dt):
        return doubts(Graph.of(load_config(BASE | {"solver": {"dt": dt}})))

    (line,) = told(0.04)
    fits = re.search(r"^solver.dt \(0.04\) .* of 10 .* re200_seed1 is 1\.\d+.* (0\.\d+) fits", line)
    assert fits, line
    assert told(float(fits[1])) == []
    assert told(1.05 * float(fits[1]))
    # What the solver itself sees there, on the grid of the run.
    settings = load_config(BASE | {"solver": {"dt": float(fits[1])}}).solver
    u, v = (it := Simulation(settings, reynolds=200, seed=1)).equation.velocity(it.spectrum)
    courant = settings.dt * float((u.abs() + v.abs()).max()) / it.grid.spacing
    assert courant == pytest.approx(STABLE_COURANT, rel=0.05)


def test_the_longest_step_beside_penalised_walls_is_the_solvers():
    assert NO_SLIP_STEP == STABLE_STEP * PENALISATION
