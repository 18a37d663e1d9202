"""Nested mappings: put together, and told apart."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexbench.nested import ABSENT, differences, merge

LEAVES = st.none() | st.integers(-3, 3) | st.text(max_size=2) | st.lists(st.integers(0, 2))
NESTED = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
)
# Machines that test are busy: how long a draw takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MAPPINGS = st.dictionaries(st.sampled_from("abc"), NESTED)


def test_what_differs_is_named_by_its_dotted_key():
    before = {"train": {"steps": 30, "betas": [0.9, 0.99]}, "size": "XS", "gone": 1}
    after = {"train": {"steps": 40, "betas": [0.9, 0.98]}, "size": "XS", "new": None}
    assert list(differences(before, after)) == [
        ("train.steps", 30, 40),
        ("train.betas", [0.9, 0.99], [0.9, 0.98]),
        ("gone", 1, ABSENT),
        ("new", ABSENT, None),
    ]


@patient
@given(MAPPINGS)
def test_nothing_differs_from_itself(values):
    assert not list(differences(values, values))


@patient
@given(MAPPINGS, MAPPINGS)
def test_differences_tell_two_mappings_apart(one, other):
    assert bool(list(differences(one, other))) == (one != other)


@patient
@given(MAPPINGS, MAPPINGS)
def test_what_is_merged_over_something_wins(base, over):
    merged = merge(base, over)
    # What `over` says is there; keys of `base` alone are left as they are.
    assert all(found.before is not ABSENT for found in differences(merged, merge(merged, over)))
    assert {key: merged[key] for key in base.keys() - over.keys()} == {
        key: base[key] for key in base.keys() - over.keys()
    }
    assert merge(merged, over) == merged
