"""The registry of claims: what stands in it, and one clear line for what cannot."""

import re

import pytest
import yaml

from flexbench.claims.registry import claim_digests, default_claims, read_claims
from flexbench.claims.verdict import Equivalence, NonInferiority, Superiority
from flexbench.config.reading import load_config, read_own, tier_file
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.provenance import plain


@pytest.fixture
def registered():
    """With a part of its own for each that the file's anchors share."""
    return plain(read_yaml(default_claims()))


def written(path, values):
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_the_fourteen_and_the_public_numbers_are_registered():
    claims = read_claims(default_claims())
    numbers = {int(re.match(r"\d+", name)[0]) for name in claims.claims}
    assert numbers == set(range(15))
    assert "checkpoint" in claims.claims["0"].lacking
    kinds = {type(part.settings.says.statement) for part in claims.parts}
    assert kinds == {Superiority, Equivalence, NonInferiority}
    assert all(part.settings.seeds >= 3 for part in claims.parts)


# Of which the configurations for GPUs say that they leave them out.
STUDY_ALONE = {"flex-slow", "flex-fast", "fno-longer", "flex-xxs-longer"}


@pytest.mark.parametrize("tier", ["lab", "paper"])
def test_larger_tiers_have_the_same_arms(tier):
    config = load_config(read_own(tier_file("study").with_name(f"{tier}-claims.yaml")))
    for name, arm in read_claims(default_claims()).arms.items():
        if name in STUDY_ALONE:
            assert name not in config.methods
            continue
        own = config.method(name)
        assert name in config.methods
        assert (own.network or name) == arm.network
        assert (own.size, own.options, own.diffusion) == (arm.size, arm.options, arm.diffusion)
        assert len(own.together or []) == len(arm.together or [])
        longer = config.train_settings(name).steps > config.train.steps
        assert longer == (arm.equal == "training_flops" or bool(arm.together))
    evaluations = config.evaluations
    assert evaluations["ddim_16"].sample["steps"] == 16
    assert {"calibrated", "members", "velocity_u", "velocity_v", "free_slip", "no_slip"} <= set(
        evaluations
    )
    fields = [task for task in config.tasks.values() if not task.residual]
    assert {task.kind for task in fields} == {"superres", "forecast"}


def test_a_comparison_stands_for_each_task_rival_and_score(registered, tmp_path):
    path = written(tmp_path / "claims.yaml", registered)
    found = [part for part in read_claims(path).parts if part.claim == "2"]
    assert len(found) == len({(it.task, it.against, it.score) for it in found}) == 2 * 2 * 3
    assert {it.against_drawn for it in found} == {found[0].settings.drawn}


def test_the_digest_is_of_what_is_said(registered, tmp_path):
    before = claim_digests(read_claims(default_claims()))
    turned = {key: registered[key] for key in reversed(registered)}
    assert claim_digests(read_claims(written(tmp_path / "a.yaml", turned))) == before
    registered["claims"]["3"]["comparisons"][0]["says"]["margin"] = 0.03
    assert claim_digests(read_claims(written(tmp_path / "b.yaml", registered))) != before


def first(registered, claim="2"):
    return registered["claims"][claim]["comparisons"][0]


BAD = {
    "unknown key": (
        lambda it: first(it).update(sores=["crps"]),
        r"claims\.2\.comparisons\.0\.sores: unknown key; did you mean 'scores'\?",
    ),
    "unknown score": (
        lambda it: first(it).update(scores=["rfne"]),
        r"claims\.2\.comparisons\.0: scores: rfne is none; did you mean 'rfne_\w+'\? \(allowed: ",
    ),
    "unknown task": (
        lambda it: first(it).update(tasks=["forecasts"]),
        r"tasks: forecasts is none; did you mean 'forecast'\? \(allowed: forecast, superres\)",
    ),
    "wrong direction": (
        lambda it: first(it).update(direction="higher"),
        r"direction: found higher, allowed: lower, what is better of rfne_mean",
    ),
    "unknown rival": (
        lambda it: first(it).update(against=["unett"]),
        r"claims\.2\.comparisons: no arm unett; did you mean 'unet'\?",
    ),
    "a method that is none": (
        lambda it: first(it).update(method="perfect"),
        r"claims\.2\.comparisons: no arm perfect",
    ),
    "better than perfect": (
        lambda it: first(it).update(against=["perfect"]),
        r"claims\.2\.comparisons\.0: against: perfect is a score of 1, which takes an equivalence",
    ),
    "a delta of an equivalence": (
        lambda it: first(it, "3")["says"].update(delta=0.01),
        r"claims\.3\.comparisons\.0\.says: equivalence needs margin, and no other number",
    ),
    "no delta": (
        lambda it: first(it)["says"].pop("delta"),
        r"says: superiority needs delta, and no other number",
    ),
    "no reason": (
        lambda it: first(it)["says"].pop("because"),
        r"claims\.2\.comparisons\.0\.says\.because: Field required",
    ),
    "kind": (
        lambda it: first(it)["says"].update(kind="better"),
        r"says: kind: better is none \(allowed: superiority, equivalence, non_inferiority\)",
    ),
    "too few seeds": (
        lambda it: first(it).update(seeds=2),
        r"claims\.2\.comparisons\.0\.seeds: .* greater than or equal to 3, found 2",
    ),
    "a claim of nothing": (
        lambda it: it["claims"]["0"].pop("lacking"),
        r"claims\.0: comparisons, measured or lacking: one of them is needed",
    ),
    "a name that is none": (
        lambda it: it["claims"].update({"first": it["claims"]["0"]}),
        r"claims\.first: ",
    ),
    "an arm's key": (
        lambda it: it["arms"]["unet"].update(netwrok="unet"),
        r"arms\.unet\.netwrok: unknown key; did you mean 'network'\?",
    ),
    "a reserved arm": (
        lambda it: it["arms"].update({"perfect": {}}),
        r"arms\.perfect: this name stands for something else",
    ),
    "a verdict": (
        lambda it: it["claims"]["2"].update(verdict="holds"),
        r"claims\.2\.verdict: unknown key \(allowed: statement, scope, comparisons, measured, la",
    ),
}


@pytest.mark.parametrize("change", BAD)
def test_what_cannot_be_meant_is_one_line(registered, tmp_path, change):
    spoil, line = BAD[change]
    spoil(registered)
    path = written(tmp_path / "claims.yaml", registered)
    with pytest.raises(FlexbenchError) as caught:
        read_claims(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(f"{path}: ")
    assert re.search(line, str(caught.value)), caught.value


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("source: a\nsource: b\n")
    with pytest.raises(FlexbenchError, match="stands twice"):
        read_claims(path)


def test_a_broken_registry_is_refused_before_the_first_job(clone, tmp_path):
    path = clone.folder / "workflow" / "claims.yaml"
    path.write_text(path.read_text().replace("direction: one", "direction: own", 1))
    done = clone.flexbench("plan", *clone.tiny(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"flexbench: error: {path}: claims.4a.comparisons.0.direction: ")
    assert line.endswith("'lower', 'higher' or 'one', found 'own'")
