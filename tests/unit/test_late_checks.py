"""What a job refuses about its settings has been refused before any job.

Every line of the code behind jobs that raises an error about a key of the configuration is found
here, and stands in a table: with settings that bring it about, which are refused early, or with
what it takes to know, which only the job has.
"""

import ast
import re
from pathlib import Path

import pytest

import flexbench
from tests.unit.test_config_misfits import refused

PACKAGE = Path(flexbench.__file__).parent
JOBS = ["steps", "training", "inference", "tasks", "diffusion", "models", "methods.py", "solver"]
JOBS += ["data", "metrics", "sizing"]

SECTIONS = "train|sample|solver|score|diffusion|tasks|data|evaluations|splits|method_settings"
KEYS = "width|patch|degradation|alignment|upsampling|narrow|together|dropout|feedback|leads|mode"
KEYS += "|option|boundary|grid|seed|reynolds|method"
# Some are said in words that the configuration's own checks use, too: `misfit`.
ABOUT_A_KEY = re.compile(
    rf"\bmisfit\b|\b({SECTIONS})\.[a-z{{]|\b({KEYS})\b(?= is|: found| \\?'|: \{{)"
)

# Of settings that the table's refusals start from: a walled flow needs a grid of 64.
WALLS = {"evaluations": {"no_slip": {"boundary": "no_slip"}}}
OFFICIAL = {"tasks": {"superres_x4": {"alignment": "official"}}}

EARLY = {
    "diffusion/sampler.py:Draw.__post_init__": {"sample": {"sampler": "euler"}},
    "data/degrade.py:Degradation.__post_init__": OFFICIAL,
    "inference/ensemble.py:_shape": {"tasks": {"forecast": {"patch": 24}}},
    "inference/rollout.py:Targets.__post_init__": {"evaluations": {"x": {"feedback": "mode"}}},
    "inference/rollout.py:plan_rollouts": {
        "evaluations": {"x": {"leads": 2, "tasks": ["superres_x4"]}}
    },
    "inference/rollout.py:scored_indices": {"sample": {"snapshots": 999}},
    "inference/tiles.py:tile_starts": {"sample": {"overlap": 30}},
    "methods.py:CrpsMethod.loss": {
        "method_settings": {"flex": {"mode": "crps", "together": ["superres_x4", "forecast"]}}
    },
    "methods.py:make_method": {"method_settings": {"unet": {"mode": "dreamer"}}},
    "metrics/spectral.py:wavenumber_bands": {"score": {"bands": 0}},
    "models/flex.py:Flex.__init__": {"tasks": {"forecast": {"patch": 4}}},
    "models/flex.py:build": {"method_settings": {"flex": {"options": {"skips": "odd"}}}},
    "sizing/matching.py:_check_options": {"method_settings": {"flex": {"options": {"skip": 1}}}},
    "sizing/matching.py:_design": {"method_settings": {"unet": {"width": 7}}},
    "sizing/matching.py:_measure_of": {"method_settings": {"unet": {"narrow": True}}},
    "solver/boundary.py:_no_slip": WALLS | {"solver": {"grid": 32, "peak_wavenumber": 3}},
    "solver/boundary.py:start_flow": {"evaluations": {"no_slip": {"boundary": "porous"}}},
    "solver/grid.py:SpectralGrid.__init__": {"solver": {"grid": 2}},
    "solver/initial.py:kraichnan_spectrum": {"solver": {"peak_wavenumber": 30}},
    "solver/simulate.py:Simulation.__init__": {"solver": {"dt": 0.5}},
}

HEADERS = "of a file that a user brings: `plan` opens it too, see test_data_check and its kin"
LATE = {
    "training/distributed.py:process_group": "how many processes were started",
    "training/learner.py:Learner._check_finite": "the loss",
    "training/records.py:Records._validate": "the loss",
    "data/adapters.py:_channel": HEADERS,
    "data/adapters.py:_time": HEADERS,
    "data/adapters.py:_square": HEADERS,
    "data/coordinates.py:Coordinates.refuse_uneven": HEADERS,
    "data/own_data.py:check_sources": HEADERS,
    "data/own_data.py:_check_spacing": HEADERS,
    "data/own_data.py:_refuse_different": HEADERS,
    "data/own_data.py:_check_length": HEADERS,
    "data/own_data.py:_check_gaps": HEADERS,
    "data/source.py:Source.refuse_unwritten": HEADERS,
    "data/well.py:refuse_edges": HEADERS,
    "steps/score.py:_require_labels": "what a file of samples says of itself",
}


def raised(node, name=""):
    """(function, message) of every FlexbenchError below a node."""
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        inner = f"{name}.{child.name}".lstrip(".") if named else name
        if isinstance(child, ast.Raise) and "FlexbenchError" in ast.unparse(child):
            yield inner, ast.unparse(child)
        yield from raised(child, inner)


def about_keys():
    files = [PACKAGE / job for job in JOBS]
    files = [own for it in files for own in ([it] if it.is_file() else sorted(it.rglob("*.py")))]
    return {
        f"{path.relative_to(PACKAGE)}:{function}"
        for path in files
        for function, message in raised(ast.parse(path.read_text()))
        if ABOUT_A_KEY.search(message)
    }


def test_every_check_of_a_key_stands_before_the_jobs_or_says_why_not():
    found = about_keys()
    assert found - set(EARLY) - set(LATE) == set()
    assert (set(EARLY) | set(LATE)) - found == set()


@pytest.mark.parametrize("place", EARLY)
def test_what_a_job_would_refuse_is_refused_before(place, tmp_path):
    assert refused(EARLY[place], tmp_path)
