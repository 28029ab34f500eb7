"""Which accounts a baseline selects, and which access that is: by words, ids, paths and tags."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keyward.baselines import (
    Baseline,
    Names,
    Place,
    Selector,
    baselines_of,
    names_in,
    need_tags,
    selecting,
    wanted,
)
from keyward.errors import SettingsError
from keyward.settings import validated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyward.baselines import Baselines

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROOT = "r-ab12"
WORKLOADS = "ou-ab12-workloads"
PROD = "ou-ab12-prod0000"
SANDBOX = "ou-ab12-sandbox0"
GROUP = "1111111111-aaaaaaaa-bbbb-cccc-dddd-000000000001"
GROUP_2 = "aaaaaaaa-bbbb-cccc-dddd-000000000002"
SET = "arn:aws:sso:::permissionSet/ssoins-1111111111111111/ps-1111111111111111"
SET_2 = "arn:aws:sso:::permissionSet/ssoins-1111111111111111/ps-2222222222222222"
NAMES = Names(
    groups={"developers": GROUP, "auditors": GROUP_2},
    permission_sets={"Developer": SET, "ReadOnly": SET_2},
    units={"Workloads": WORKLOADS, "Workloads/Prod": PROD},
)
NO_NAMES = Names()
GIVEN = {"group": "developers", "permission_set": "Developer"}
EVERYTHING = {"everything": True}


def a_baseline(*accounts: Mapping[str, object], **others: object) -> Baseline:
    """A baseline with these selectors, of one assignment unless said otherwise."""
    value = {"accounts": list(accounts) or [EVERYTHING], "assignments": [GIVEN]} | others
    return validated("baseline", Baseline, value)


def in_prod(**others: Any) -> Place:
    """An account in Workloads/Prod, with tags."""
    known: dict[str, Any] = {
        "account": ACCOUNT,
        "parents": (PROD, WORKLOADS, ROOT),
        "tags": {"env": "prod", "team": ""},
    }
    return Place(**(known | others))


def selects(baseline: Baseline, place: Place, names: Names = NAMES) -> bool:
    return selecting({"it": baseline}, place, names) == ("it",)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (EVERYTHING, True),
        ({"ids": [ACCOUNT]}, True),
        ({"ids": [OTHER, ACCOUNT]}, True),
        ({"ids": [OTHER]}, False),
        ({"unit": PROD}, True),
        ({"unit": WORKLOADS}, True),
        ({"unit": ROOT}, True),
        ({"unit": SANDBOX}, False),
        ({"unit": "r-other"}, False),
        ({"unit": PROD, "children": False}, True),
        ({"unit": WORKLOADS, "children": False}, False),
        ({"unit": ROOT, "children": False}, False),
        ({"unit": "Workloads/Prod"}, True),
        ({"unit": "Workloads/Prod", "children": False}, True),
        ({"unit": "Workloads"}, True),
        ({"unit": "Workloads", "children": False}, False),
        ({"unit": "workloads"}, False),
        ({"unit": "Prod"}, False),
        ({"tags": {"env": "prod"}}, True),
        ({"tags": {"env": "*"}}, True),
        ({"tags": {"team": ""}}, True),
        ({"tags": {"team": "*"}}, True),
        ({"tags": {"env": "test"}}, False),
        ({"tags": {"env": "Prod"}}, False),
        ({"tags": {"env": ""}}, False),
        ({"tags": {"Env": "prod"}}, False),
        ({"tags": {"owner": "*"}}, False),
        ({"tags": {"env": "prod", "team": "*"}}, True),
        ({"tags": {"env": "prod", "team": "x"}}, False),
        ({"unit": WORKLOADS, "tags": {"env": "prod"}}, True),
        ({"unit": WORKLOADS, "tags": {"env": "test"}}, False),
        ({"unit": SANDBOX, "tags": {"env": "prod"}}, False),
        ({"unit": WORKLOADS, "ids": [ACCOUNT]}, True),
        ({"unit": SANDBOX, "ids": [ACCOUNT]}, False),
        ({"unit": WORKLOADS, "ids": [OTHER]}, False),
    ],
)
def test_a_selector_selects_where_all_of_it_holds(
    selector: Mapping[str, object], *, expected: bool
) -> None:
    assert selects(a_baseline(selector), in_prod()) is expected
    # The same as an exclusion from everything; nobody knows where an unknown path is.
    unknown = selector.get("unit") in {"workloads", "Prod"}
    if selector != EVERYTHING:
        spared = selects(a_baseline(EVERYTHING, exclude=[selector]), in_prod())
        assert spared is (not expected and not unknown)


def test_an_account_at_the_root_is_in_no_unit() -> None:
    place = in_prod(parents=(ROOT,))
    assert selects(a_baseline({"unit": ROOT, "children": False}), place)
    assert not selects(a_baseline({"unit": WORKLOADS}), place)


def test_any_of_the_selectors_is_enough_to_select_and_to_exclude() -> None:
    baseline = a_baseline({"unit": SANDBOX}, {"ids": [ACCOUNT]})
    assert selects(baseline, in_prod())
    spared = a_baseline(EVERYTHING, exclude=[{"unit": SANDBOX}, {"tags": {"env": "prod"}}])
    assert not selects(spared, in_prod())
    assert selects(spared, in_prod(tags={}))


def test_a_unit_that_nobody_knows_selects_nothing_and_the_other_selectors_do() -> None:
    place = in_prod()
    assert not selects(a_baseline({"unit": "Workloads/Prod"}), place, NO_NAMES)
    assert selects(a_baseline({"unit": "Workloads/Prod"}, {"ids": [ACCOUNT]}), place, NO_NAMES)


def test_with_an_exclusion_that_nobody_knows_nothing_is_selected() -> None:
    baseline = a_baseline({"ids": [ACCOUNT]}, EVERYTHING, exclude=[{"unit": "Workloads/Gone"}])
    assert not selects(baseline, in_prod())
    assert not selects(baseline, in_prod(parents=(SANDBOX, ROOT)))


def test_tags_that_were_not_read_select_nothing_and_spare_what_they_may() -> None:
    place = in_prod(tags=None)
    assert not selects(a_baseline({"tags": {"env": "*"}}), place)
    assert not selects(a_baseline(EVERYTHING, exclude=[{"tags": {"env": "test"}}]), place)
    elsewhere = {"unit": SANDBOX, "tags": {"env": "test"}}
    assert selects(a_baseline(EVERYTHING, exclude=[elsewhere]), place)


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([EVERYTHING], False),
        ([{"unit": PROD}], False),
        ([{"unit": ROOT}], False),
        ([{"tags": {"env": "*"}}], False),
        ([{"ids": [ACCOUNT]}], True),
        ([{"ids": [ACCOUNT], "unit": PROD}], True),
        ([{"ids": [ACCOUNT], "unit": SANDBOX}, EVERYTHING], False),
        ([EVERYTHING, {"ids": [ACCOUNT]}], True),
        ([{"ids": [OTHER]}], False),
    ],
)
def test_an_account_that_goes_by_its_id_alone_has_to_be_named(
    accounts: list[dict[str, object]], *, expected: bool
) -> None:
    assert selects(a_baseline(*accounts), in_prod(by_id_only=True)) is expected


def test_an_account_that_is_named_is_excluded_all_the_same() -> None:
    baseline = a_baseline({"ids": [ACCOUNT]}, exclude=[{"tags": {"env": "prod"}}])
    assert not selects(baseline, in_prod(by_id_only=True))


def test_all_baselines_that_select_an_account_are_named_in_order() -> None:
    baselines = {
        "z": a_baseline(),
        "a": a_baseline({"unit": PROD}),
        "m": a_baseline({"unit": SANDBOX}),
    }
    assert selecting(baselines, in_prod(), NAMES) == ("a", "z")


def test_tags_may_decide_where_any_selector_has_some() -> None:
    assert not need_tags([a_baseline(), a_baseline({"unit": PROD}, exclude=[{"ids": [OTHER]}])])
    assert need_tags([a_baseline(), a_baseline({"tags": {"env": "*"}})])
    assert need_tags([a_baseline(exclude=[{"tags": {"env": "*"}}])])


def test_names_to_look_up_are_those_that_are_no_ids() -> None:
    baseline = a_baseline(
        {"unit": "Workloads"},
        {"unit": ROOT},
        exclude=[{"unit": "Workloads/Prod"}, {"unit": SANDBOX}],
        assignments=[
            GIVEN,
            {"group": GROUP, "permission_set": "ReadOnly"},
            {"group": GROUP_2, "permission_set": SET},
        ],
    )
    assert names_in([baseline, a_baseline()]) == Names(
        groups={"developers": ""},
        permission_sets={"Developer": "", "ReadOnly": ""},
        units={"Workloads": "", "Workloads/Prod": ""},
    )


# What is wanted


def test_what_is_wanted_has_ids_and_the_names_that_people_call_it_by() -> None:
    baselines = {"it": a_baseline(assignments=[GIVEN, {"group": GROUP_2, "permission_set": SET_2}])}
    (one, other), unknown = wanted(baselines, ["it"], NAMES)
    assert unknown == ()
    assert (one.key, one.group_name, one.permission_set_name) == (
        (SET, GROUP),
        "developers",
        "Developer",
    )
    assert (other.key, other.group_name, other.permission_set_name) == (
        (SET_2, GROUP_2),
        None,
        None,
    )


@pytest.mark.parametrize("order", [("named", "by-id"), ("by-id", "named")])
def test_the_same_access_by_name_and_by_id_is_one_with_its_name(order: tuple[str, str]) -> None:
    baselines = {
        "named": a_baseline(),
        "by-id": a_baseline(assignments=[{"group": GROUP, "permission_set": SET}]),
    }
    (found,), _ = wanted(baselines, order, NAMES)
    assert (found.group_name, found.permission_set_name) == ("developers", "Developer")
    assert found.baselines == order


def test_names_that_nobody_knows_are_told_and_hold_up_no_other() -> None:
    baselines = {
        "a": a_baseline(
            assignments=[
                {"group": "nobody", "permission_set": "Gone"},
                {"group": "nobody", "permission_set": "Developer"},
                GIVEN,
            ]
        ),
        "b": a_baseline(assignments=[{"group": "nobody", "permission_set": SET}]),
    }
    found, unknown = wanted(baselines, ["a", "b"], NAMES)
    assert [it.key for it in found] == [(SET, GROUP)]
    assert unknown == (
        "group nobody (baseline a)",
        "permission set Gone (baseline a)",
        "group nobody (baseline b)",
    )


def test_a_baseline_that_this_version_cannot_read_selects_nothing() -> None:
    value: dict[str, object] = {"accounts": [EVERYTHING], "assignments": [GIVEN]}
    assert set(baselines_of({"new": value | {"more": 1}, "it": value})) == {"it"}


# What is no baseline


def refusal(value: Mapping[str, object]) -> str:
    with pytest.raises(SettingsError) as refused:
        validated("it", Baseline, dict(value))
    return str(refused.value)


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([], "field accounts: "),
        ([{}], "field accounts.0: it selects nothing"),
        ([EVERYTHING, {}], "field accounts.1: it selects nothing"),
        ([{"everything": False}], "field accounts.0: it selects nothing"),
        ([{"ids": [], "tags": {}}], "field accounts.0: it selects nothing"),
        ([{"children": True}], "field accounts.0: it selects nothing"),
        ([EVERYTHING | {"ids": [ACCOUNT]}], "field accounts.0: everything: true says it all"),
        ([EVERYTHING | {"unit": PROD}], "field accounts.0: everything: true says it all"),
        ([EVERYTHING | {"tags": {"a": "b"}}], "field accounts.0: everything: true says it all"),
        ([{"ids": [ACCOUNT], "children": False}], "field accounts.0: children goes with unit"),
        ([EVERYTHING | {"children": False}], "field accounts.0: children goes with unit"),
        ([{"id": [ACCOUNT]}], "field accounts.0.id: Extra inputs"),
        ([{"ids": ["11112222333"]}], "field accounts.0.ids.0: "),
        ([{"ids": ["1111-2222-3333"]}], "field accounts.0.ids.0: "),
        ([{"ids": [111122223333]}], "field accounts.0.ids.0: "),
        ([{"ids": ACCOUNT}], "field accounts.0.ids: "),
        ([{"unit": ""}], "field accounts.0.unit: "),
        ([{"unit": "ou-ab12-short"}], "field accounts.0.unit: ou-ab12-short is no id of an OU"),
        ([{"unit": PROD.upper()}], "is no id of an OU"),
        ([{"unit": f"arn:aws:organizations::{ACCOUNT}:ou/o-a/{PROD}"}], "is no id of an OU"),
        ([{"unit": f"{ROOT}/{PROD}"}], "is no id of an OU"),
        ([{"unit": f"Workloads/{PROD}"}], "is no id of an OU"),
        ([{"unit": "/Workloads"}], "field accounts.0.unit: a name in its path is empty"),
        ([{"unit": "Workloads/"}], "field accounts.0.unit: a name in its path is empty"),
        ([{"unit": "Workloads//Prod"}], "field accounts.0.unit: a name in its path is empty"),
        ([{"unit": "Workloads / Prod"}], "white space"),
        ([{"unit": "a/b/c/d/e/f"}], "field accounts.0.unit: its path has 6 names"),
        ([{"unit": "a" * 129}], "field accounts.0.unit: a name in its path is longer than 128"),
        ([{"tags": {"": "x"}}], "field accounts.0.tags"),
        ([{"tags": {"a" * 129: "x"}}], "field accounts.0.tags"),
        ([{"tags": {"a*": "x"}}], "field accounts.0.tags: a*: no account's tag"),
        ([{"tags": {"env": "prod*"}}], "field accounts.0.tags: env: no account's tag is prod*"),
        ([{"tags": {"env": "a,b"}}], "field accounts.0.tags: env: no account's tag is a,b"),
        ([{"tags": {"env": "x" * 257}}], "field accounts.0.tags.env: "),
        ([{"tags": {"env": None}}], "field accounts.0.tags.env: "),
        ([{"tags": {str(n): "x" for n in range(11)}}], "field accounts.0.tags: "),
        ([{"ids": [ACCOUNT]}] * 51, "field accounts: "),
    ],
)
def test_a_selector_that_selects_nothing_or_cannot_be_is_refused_by_its_field(
    accounts: list[dict[str, object]], expected: str
) -> None:
    assert expected in refusal({"accounts": accounts, "assignments": [GIVEN]})


@pytest.mark.parametrize(
    "unit",
    [
        ROOT,
        PROD,
        "r-and-d",
        "Research & Development",
        "ou-prod",
        "a/b/c/d/e",
        "Entwicklung/Übergang",
        "a" * 128,
    ],
)
def test_an_id_or_a_path_of_names_is_taken(unit: str) -> None:
    assert a_baseline({"unit": unit}).accounts[0].unit == unit


@pytest.mark.parametrize("value", ["", "*", "x" * 256, "a b_.:/=+-@", "Übung"])
def test_a_tag_that_accounts_may_have_is_taken(value: str) -> None:
    assert a_baseline({"tags": {"a b": value}}).accounts[0].tags == {"a b": value}


@pytest.mark.parametrize(
    ("accounts", "exclude", "expected"),
    [
        ([{"ids": [ACCOUNT, OTHER]}], [{"ids": [OTHER]}], f"0 spares account {OTHER}"),
        ([{"unit": PROD, "ids": [OTHER]}], [{"ids": [OTHER]}], f"0 spares account {OTHER}"),
        ([EVERYTHING], [EVERYTHING], "0 spares all that accounts.0 selects"),
        ([{"unit": PROD}], [{"tags": {"a": "b"}}, EVERYTHING], "1 spares all that accounts.0"),
        ([{"unit": PROD}], [{"unit": PROD}], "0 spares all that accounts.0 selects"),
        ([{"unit": "Workloads"}], [{"unit": "Workloads"}], "0 spares all that accounts.0"),
        ([{"unit": PROD, "children": False}], [{"unit": PROD}], "0 spares all that accounts.0"),
        ([EVERYTHING, {"unit": PROD}], [{"unit": PROD}], "0 spares all that accounts.1"),
        ([{"tags": {"a": "b", "c": "d"}}], [{"tags": {"a": "b"}}], "0 spares all"),
        ([{"tags": {"a": "b"}}], [{"tags": {"a": "*"}}], "0 spares all"),
        ([{"unit": PROD, "tags": {"a": "b"}}], [{"unit": PROD}], "0 spares all"),
        (
            [{"ids": [ACCOUNT], "unit": PROD}],
            [{"ids": [ACCOUNT, OTHER], "unit": PROD}],
            "0 spares all",
        ),
    ],
)
def test_what_is_excluded_again_for_sure_is_refused(
    accounts: list[dict[str, object]], exclude: list[dict[str, object]], expected: str
) -> None:
    text = refusal({"accounts": accounts, "exclude": exclude, "assignments": [GIVEN]})
    assert f"field exclude: {expected}" in text


@pytest.mark.parametrize(
    ("accounts", "exclude"),
    [
        ([EVERYTHING], [{"ids": [ACCOUNT]}]),
        ([{"unit": PROD}], [{"unit": PROD, "children": False}]),
        ([{"unit": PROD}], [{"unit": "Workloads/Prod"}]),
        ([{"unit": WORKLOADS}], [{"unit": PROD}]),
        ([{"tags": {"a": "*"}}], [{"tags": {"a": "b"}}]),
        ([{"tags": {"a": "b"}}], [{"tags": {"a": "b", "c": "d"}}]),
        ([{"ids": [ACCOUNT]}], [{"ids": [ACCOUNT], "tags": {"frozen": "*"}}]),
        ([{"ids": [ACCOUNT]}], [{"ids": [OTHER]}]),
    ],
)
def test_what_may_leave_some_is_taken(
    accounts: list[dict[str, object]], exclude: list[dict[str, object]]
) -> None:
    assert len(a_baseline(*accounts, exclude=exclude).exclude) == len(exclude)


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        ([], "field assignments: "),
        ([{"group": "developers"}], "field assignments.0.permission_set: Field required"),
        ([GIVEN | {"groups": "x"}], "field assignments.0.groups: Extra inputs"),
        ([GIVEN | {"group": ""}], "field assignments.0.group: "),
        ([GIVEN | {"group": " developers"}], "field assignments.0.group: white space"),
        ([GIVEN | {"group": GROUP[:-1]}], "field assignments.0.group: "),
        ([GIVEN | {"group": "a" * 32}], "is no id of a group"),
        (
            [GIVEN | {"group": f"arn:aws:identitystore:::group/{GROUP_2}"}],
            "field assignments.0.group: ",
        ),
        ([GIVEN | {"group": "x" * 1025}], "field assignments.0.group: "),
        ([GIVEN | {"permission_set": SET + "1"}], "field assignments.0.permission_set: "),
        ([GIVEN | {"permission_set": "ssoins-1/ps-1"}], "field assignments.0.permission_set: "),
        ([GIVEN | {"permission_set": "Read Only"}], "field assignments.0.permission_set: "),
        ([GIVEN | {"permission_set": "x" * 33}], "field assignments.0.permission_set: "),
        ([GIVEN, GIVEN], "field assignments: 1 is 0 again (Developer for developers)"),
        ([GIVEN, GIVEN | {"group": "Developers"}], "field assignments: 1 is 0 again"),
        ([GIVEN, GIVEN | {"permission_set": "DEVELOPER"}], "field assignments: 1 is 0 again"),
        (
            [
                {"group": GROUP, "permission_set": SET},
                GIVEN,
                {"group": GROUP.upper(), "permission_set": SET},
            ],
            "field assignments: 2 is 0 again",
        ),
        (
            [GIVEN | {"group": str(number)} for number in range(101)],
            "field assignments: ",
        ),
    ],
)
def test_an_assignment_that_cannot_be_or_stands_twice_is_refused_by_its_field(
    assignments: list[dict[str, object]], expected: str
) -> None:
    assert expected in refusal({"accounts": [EVERYTHING], "assignments": assignments})


@pytest.mark.parametrize("name", ["AWSReadOnlyAccess", "a.b,c=d+e@f_g-h", "x" * 32])
def test_any_name_that_identity_center_takes_may_be_a_permission_sets(name: str) -> None:
    assigned = GIVEN | {"permission_set": name}
    assert a_baseline(assignments=[assigned]).assignments[0].permission_set == name


def test_a_field_that_is_none_is_refused_by_name() -> None:
    value = {"accounts": [EVERYTHING], "assignments": [GIVEN], "exclusiv": True}
    assert "field exclusiv: Extra inputs" in refusal(value)


# Properties, over few accounts, units and tags, so that much of it meets.

PATHS = ("Workloads", "Workloads/Prod", "Nowhere")
UNITS = (ROOT, WORKLOADS, PROD, SANDBOX, *PATHS)
SELECTORS = st.one_of(
    st.just(Selector(everything=True)),
    st.builds(
        lambda ids, unit, children, tags: (ids, unit, children or unit is None, tags),
        st.lists(st.sampled_from([ACCOUNT, OTHER]), unique=True).map(tuple),
        st.none() | st.sampled_from(UNITS),
        st.booleans(),
        st.dictionaries(st.sampled_from(["env", "team"]), st.sampled_from(["prod", "*", "x"])),
    )
    .filter(lambda it: bool(it[0] or it[1] or it[3]))
    .map(lambda it: Selector(ids=it[0], unit=it[1], children=it[2], tags=it[3])),
)
ASSIGNMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "group": st.sampled_from(["developers", "auditors", "nobody", GROUP, GROUP_2]),
            "permission_set": st.sampled_from(["Developer", "ReadOnly", "Gone", SET, SET_2]),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda it: (it["group"], it["permission_set"]),
)
PLACES = st.builds(
    Place,
    account=st.sampled_from([ACCOUNT, OTHER]),
    parents=st.sampled_from([(ROOT,), (WORKLOADS, ROOT), (PROD, WORKLOADS, ROOT), (SANDBOX, ROOT)]),
    tags=st.none()
    | st.dictionaries(st.sampled_from(["env", "team"]), st.sampled_from(["prod", "y", ""])),
    by_id_only=st.booleans(),
)


def tried(
    accounts: Iterable[Selector],
    exclude: Iterable[Selector] = (),
    assignments: Iterable[Mapping[str, str]] = (GIVEN,),
) -> Baseline:
    """The baseline of these; what is none is not tried."""
    value: dict[str, object] = {
        "accounts": [json.loads(it.model_dump_json()) for it in accounts],
        "exclude": [json.loads(it.model_dump_json()) for it in exclude],
        "assignments": list(assignments),
    }
    try:
        return validated("tried", Baseline, value)
    except SettingsError:
        assume(False)  # noqa: FBT003 - hypothesis' own
        raise


SOME = st.lists(SELECTORS, min_size=1, max_size=3)
SPARED = st.lists(SELECTORS, max_size=2)

# Baselines that would be refused are left out: so it is with many.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@PATIENT
@given(accounts=SOME, exclude=SPARED, more=SELECTORS, place=PLACES)
def test_a_selector_more_never_takes_an_account_away(
    accounts: list[Selector], exclude: list[Selector], more: Selector, place: Place
) -> None:
    if selects(tried(accounts, exclude), place):
        assert selects(tried([*accounts, more], exclude), place)


@PATIENT
@given(accounts=SOME, exclude=SPARED, more=SELECTORS, place=PLACES)
def test_an_exclusion_more_never_brings_an_account(
    accounts: list[Selector], exclude: list[Selector], more: Selector, place: Place
) -> None:
    if selects(tried(accounts, [*exclude, more]), place):
        assert selects(tried(accounts, exclude), place)


@PATIENT
@given(accounts=SOME, exclude=SPARED, assignments=ASSIGNMENTS, place=PLACES, data=st.data())
def test_the_order_of_selectors_and_assignments_never_matters(
    accounts: list[Selector],
    exclude: list[Selector],
    assignments: list[dict[str, str]],
    place: Place,
    data: st.DataObject,
) -> None:
    one = tried(accounts, exclude, assignments)
    other = tried(
        data.draw(st.permutations(accounts)),
        data.draw(st.permutations(exclude)),
        data.draw(st.permutations(assignments)),
    )
    assert selects(one, place) == selects(other, place)
    assert one.selectors == other.selectors
    found, unknown = wanted({"it": one}, ["it"], NAMES)
    again, unknown_again = wanted({"it": other}, ["it"], NAMES)
    assert set(found) == set(again)
    assert set(unknown) == set(unknown_again)


def keys(baselines: Baselines, selected: Iterable[str]) -> set[tuple[str, str]]:
    found, _ = wanted(baselines, selected, NAMES)
    every = [it.key for it in found]
    assert len(every) == len(set(every))
    return set(every)


@PATIENT
@given(one=ASSIGNMENTS, other=ASSIGNMENTS)
def test_baselines_add_up(one: list[dict[str, str]], other: list[dict[str, str]]) -> None:
    every = [Selector(everything=True)]
    both = {"one": tried(every, (), one), "other": tried(every, (), other)}
    assert keys(both, both) == keys(both, ["one"]) | keys(both, ["other"])
    found, _ = wanted(both, both, NAMES)
    for access in found:
        assert set(access.baselines) == {name for name in both if access.key in keys(both, [name])}


@settings(max_examples=500, deadline=None)
@given(spared=SELECTORS, selector=SELECTORS, place=PLACES)
def test_what_surely_covers_a_selector_selects_all_that_it_does(
    spared: Selector, selector: Selector, place: Place
) -> None:
    place = replace(place, by_id_only=False)
    if spared.covers(selector) and selects(tried([selector]), place):
        assert selects(tried([spared]), place)
