"""Verdicts: that they exclude one another, what they can see, and how often they are wrong."""

import itertools

import numpy as np
import pytest
from scipy import stats

from flexbench.claims.verdict import (
    ALPHA,
    CANNOT_TELL,
    EQUIVALENT,
    FAILS,
    HOLDS,
    Equivalence,
    NonInferiority,
    Superiority,
    conjunction,
    holm,
    judge,
    p_values,
    seeds_to_decide,
    smallest_shift,
    weigh,
)
from flexbench.regression.reference import default_reference, read_reference

STATEMENTS = [
    Superiority(delta=0.0),
    Superiority(delta=0.02),
    Equivalence(margin=0.02),
    NonInferiority(margin=0.03),
]
STUDIES = 2000
# Standard deviations of ln RFNE, measured: over training seeds of one method by task, and over
# test flows of the ratio of two; and what is left of one seed on one flow.
SEED_NOISE = {"superres": 0.007, "forecast": 0.025}
FLOW_NOISE, REST = 0.006, 0.004
STRATA = (4, 4, 4)


def studies(random, *, seeds, noise, effect=0.0, count=STUDIES, flow_noise=FLOW_NOISE, rest=REST):
    """Paired effects (K, S, T); both arms have seeds of their own, so their noise adds up."""
    flows = sum(STRATA)
    of_seeds = np.sqrt(2) * noise * random.normal(size=(count, seeds, 1))
    of_flows = flow_noise * random.normal(size=(count, 1, flows))
    return effect + of_seeds + of_flows + rest * random.normal(size=(count, seeds, flows))


def evidence_of(effects, **own):
    return weigh(effects, **{"strata": STRATA} | own)


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_verdicts_exclude_one_another(statement):
    ends = np.linspace(-0.06, 0.06, 49)
    grid = [(a, b, c) for a, b, c in itertools.product(ends, repeat=3) if a <= b <= c]
    low, value, high = np.array(grid).T
    decided = statement.decided(low, value, high)
    together = np.sum(list(decided.values()), axis=0)
    assert together.max() == 1
    assert together.min() == 0
    assert all(where.any() for where in decided.values())


@pytest.mark.parametrize(
    ("statement", "interval", "verdict"),
    [
        (Superiority(delta=0.02), (0.01, 0.03, 0.05), HOLDS),
        (Superiority(delta=0.02), (0.005, 0.01, 0.019), FAILS),
        (Superiority(delta=0.02), (0.005, 0.015, 0.025), None),
        (Superiority(delta=0.02), (-0.01, 0.03, 0.07), None),
        (Superiority(delta=0.02), (-0.05, -0.03, -0.01), FAILS),
        (Equivalence(margin=0.02), (-0.01, 0.0, 0.01), EQUIVALENT),
        (Equivalence(margin=0.02), (0.03, 0.04, 0.05), FAILS),
        (Equivalence(margin=0.02), (-0.05, -0.04, -0.03), FAILS),
        (Equivalence(margin=0.02), (-0.03, 0.0, 0.01), None),
        (NonInferiority(margin=0.03), (-0.02, 0.03, 0.05), HOLDS),
        (NonInferiority(margin=0.03), (-0.02, 0.0, 0.02), EQUIVALENT),
        (NonInferiority(margin=0.03), (-0.05, -0.045, -0.04), FAILS),
        (NonInferiority(margin=0.03), (-0.04, 0.0, 0.04), None),
    ],
)
def test_what_an_interval_decides(statement, interval, verdict):
    decided = statement.decided(*map(np.array, interval))
    assert [name for name, where in decided.items() if where] == ([verdict] if verdict else [])


def test_what_few_seeds_can_see():
    """In standard deviations of the paired difference: power 80 %, alpha 5 %."""
    known = {3: 3.3, 4: 2.1, 5: 1.7, 6: 1.4, 8: 1.2, 12: 0.9}
    for seeds, shift in known.items():
        assert smallest_shift(seeds - 1) / np.sqrt(seeds) == pytest.approx(shift, abs=0.06)
    # Bonferroni over fourteen.
    for seeds, shift in {5: 3.4, 6: 2.6, 8: 1.9}.items():
        found = smallest_shift(seeds - 1, alpha=0.05 / 14) / np.sqrt(seeds)
        assert found == pytest.approx(shift, abs=0.06)
    # With no end of seeds it is the sum of the two quantiles of a normal distribution.
    assert smallest_shift(1e6) == pytest.approx(stats.norm.ppf([0.975, 0.8]).sum(), abs=1e-3)
    assert np.isnan(smallest_shift(np.nan))


def test_the_smallest_visible_effect_is_seen_in_four_of_five():
    """Seeds alone are noisy: the textbook's t test of their means."""
    quiet = {"flow_noise": 0.0, "rest": 0.0}
    for seeds in (3, 6):
        std = np.sqrt(2) * 0.01
        effect = smallest_shift(seeds - 1) * std / np.sqrt(seeds)
        random = np.random.default_rng(seeds)
        effects = studies(random, seeds=seeds, noise=0.01, effect=effect, **quiet)
        found = judge(Superiority(delta=0.0), evidence_of(effects), seeds=3)
        share = found.count(HOLDS) / STUDIES
        assert share == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / STUDIES) + 0.01)


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("task", SEED_NOISE)
def test_false_verdicts_are_rare_and_real_effects_are_found(task, seeds):
    random = np.random.default_rng([seeds, len(task)])
    allowed = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / STUDIES)
    null = evidence_of(studies(random, seeds=seeds, noise=SEED_NOISE[task]))
    found = judge(Superiority(delta=0.0), null, seeds=seeds)
    false = found.count(HOLDS) + found.count(FAILS)
    assert 0 < false <= allowed * STUDIES
    # The truth lies on the margin: to say anything is wrong, on either side.
    for statement, truth in (
        (Equivalence(margin=0.02), 0.02),
        (NonInferiority(margin=0.03), -0.03),
    ):
        found = judge(statement, _shifted(null, truth), seeds=seeds)
        assert STUDIES - found.count(CANNOT_TELL) <= allowed * STUDIES
    visible = float(np.median(null.smallest_visible))
    found = judge(Superiority(delta=visible), _shifted(null, 2 * visible), seeds=seeds)
    assert found.count(HOLDS) >= 0.8 * STUDIES
    found = judge(Superiority(delta=visible), _shifted(null, -2 * visible), seeds=seeds)
    assert found.count(FAILS) >= 0.8 * STUDIES


@pytest.mark.parametrize("score", ["superres_x4.accuracy", "forecast.accuracy"])
def test_flex_against_itself_has_no_verdict(score):
    """Halves of the seeds that the regression gate was trained with, paired by chance."""
    seeds = np.log(read_reference(default_reference("gate")).values(score))
    half = len(seeds) // 2
    drawn = np.random.default_rng(0).permuted(np.tile(seeds, (STUDIES, 1)), axis=1)
    effects = drawn[:, :half] - drawn[:, half : 2 * half]
    # Means over the flows are all that the reference has: each stands for two that agree.
    evidence = evidence_of(effects[:, :, None].repeat(2, axis=2), strata=(2,))
    found = judge(Superiority(delta=0.0), evidence, seeds=half)
    allowed = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / STUDIES)
    assert 0 < STUDIES - found.count(CANNOT_TELL) <= allowed * STUDIES


def _shifted(evidence, effect):
    """The same studies where the truth differs by an effect."""
    return type(evidence)(**vars(evidence) | {"value": evidence.value + effect})


def test_the_interval_holds_both_kinds_of_noise():
    random = np.random.default_rng(1)
    effects = studies(random, seeds=6, noise=0.01, count=1)
    error = evidence_of(effects, resamples=20_000).error[0]
    seeds = effects[0].mean(axis=1).var(ddof=1) / 6
    flows = sum(effects[0].mean(axis=0)[i : i + 4].var(ddof=1) for i in (0, 4, 8)) / 4 / 9
    assert error == pytest.approx(np.sqrt(seeds + flows), rel=0.05)
    assert error > np.sqrt(seeds)
    assert error > np.sqrt(flows)


def test_swapped_arms_flip_and_a_missing_seed_leaves_it_open():
    random = np.random.default_rng(2)
    effects = studies(random, seeds=6, noise=0.007, effect=0.05, count=20)
    there, back = evidence_of(effects), evidence_of(-effects)
    np.testing.assert_allclose(there.value, -back.value)
    np.testing.assert_allclose(there.error, back.error)
    statement = Superiority(delta=0.02)
    assert judge(statement, there, seeds=6) == [HOLDS] * 20
    assert judge(statement, back, seeds=6) == [FAILS] * 20
    fewer = evidence_of(effects[:, 1:])
    assert judge(statement, fewer, seeds=6) == [CANNOT_TELL] * 20
    assert judge(statement, fewer, seeds=5) == [HOLDS] * 20


@pytest.mark.parametrize(
    ("shape", "strata"), [((1, 2, 12), STRATA), ((1, 1, 12), STRATA), ((1, 6, 3), (1, 1, 1))]
)
def test_no_verdict_where_one_kind_of_noise_is_not_known(shape, strata):
    found = evidence_of(np.full(shape, 0.1) + np.arange(shape[2]) / 1e4, strata=strata)
    assert judge(Superiority(delta=0.0), found, seeds=1) == [CANNOT_TELL]
    assert np.isnan(p_values(Superiority(delta=0.0), found)).all()
    assert seeds_to_decide(Superiority(delta=0.0), found, seeds=3) == [None]


def test_a_missing_number_decides_nothing():
    effects = np.full((2, 3, 12), 0.1) + np.random.default_rng(0).normal(size=(2, 3, 12)) / 1e4
    effects[0, 1, 5] = np.nan
    for statement in STATEMENTS:
        verdicts = judge(statement, evidence_of(effects), seeds=3)
        assert verdicts[0] == CANNOT_TELL
        assert verdicts[1] != CANNOT_TELL


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_p_is_the_level_at_which_the_verdict_changes(statement):
    random = np.random.default_rng(3)
    effects = studies(
        random, seeds=4, noise=0.007, effect=random.normal(0, 0.03, (60, 1, 1)), count=60
    )
    evidence = evidence_of(effects)
    p = p_values(statement, evidence)
    assert ((p < ALPHA).any(), (p > ALPHA).any()) == (True, True)
    for factor, decided in ((1.001, True), (0.999, False)):
        for place in range(60):
            verdict = judge(statement, evidence, seeds=4, alpha=factor * p[place])[place]
            assert (verdict != CANNOT_TELL) == decided


def test_how_many_seeds_would_decide():
    """Of seeds alone: the first n that sees the effect, by the table of what n seeds see."""
    random = np.random.default_rng(4)
    effects = studies(random, seeds=3, noise=0.01, count=50, flow_noise=0.0, rest=0.0)
    evidence = evidence_of(effects, resamples=20_000)
    statement = Superiority(delta=0.0)
    for place, needed in enumerate(seeds_to_decide(statement, evidence, seeds=3)):
        visible = {
            n: smallest_shift(n - 1) * evidence.seed_std[place] / np.sqrt(n) for n in range(3, 1001)
        }
        distance = abs(evidence.value[place])
        expected = next((n for n, size in visible.items() if size <= distance), None)
        assert needed == expected or abs(needed - expected) <= 0.05 * expected
    # What the flows leave open no seed decides.
    noisy = evidence_of(studies(random, seeds=6, noise=0.001, count=1, flow_noise=0.1))
    near = type(noisy)(**vars(noisy) | {"value": np.array([0.01])})
    assert seeds_to_decide(statement, near, seeds=3) == [None]
    assert seeds_to_decide(statement, _shifted(near, 5.0), seeds=8) == [8]


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, EQUIVALENT], HOLDS),
        ([EQUIVALENT], EQUIVALENT),
        ([HOLDS, CANNOT_TELL], CANNOT_TELL),
        ([CANNOT_TELL, FAILS, HOLDS], FAILS),
        ([], CANNOT_TELL),
    ],
)
def test_a_conjunction_needs_every_part(parts, verdict):
    assert {conjunction(order) for order in itertools.permutations(parts)} == {verdict}


def test_holm_is_the_textbooks():
    # 0.01 < 0.05/4 and 0.013 < 0.05/3, but 0.03 > 0.05/2: that one, and all above it, stay open.
    levels = holm(np.array([0.03, 0.01, np.nan, 0.04, 0.013]))
    np.testing.assert_allclose(levels, [0, 0.05 / 4, 0, 0, 0.05 / 3])


def test_holm_rejects_what_every_closed_test_rejects():
    """Holm is the closure of Bonferroni: rejected where every set that holds a test rejects."""
    random = np.random.default_rng(5)
    for _ in range(60):
        p = random.uniform(size=5) ** 4
        places = range(5)
        sets = [s for size in range(1, 6) for s in itertools.combinations(places, size)]
        expected = [
            all(min(p[list(s)]) < ALPHA / len(s) for s in sets if place in s) for place in places
        ]
        assert list(holm(p) > 0) == expected
