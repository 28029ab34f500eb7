"""From what owners wrote to what is in force: nothing invalid ever widens it."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward.compiling import Compilation, Parameter, Refusal, compiled
from keyward.rule import in_force
from keyward.rules import every
from keyward.settings import Accepted, GlobalSettings, Mode
from tests.builders import MEMBER, NOW, USER_ID

RULES = every()
SETTINGS = "/keyward/settings"
RULE = "/keyward/rules/iam-user-created"
EXEMPTION = "/keyward/exemptions/build"
LATER = NOW + timedelta(days=1)
FOLDER = Path(__file__).parents[2] / "settings"

ENFORCE = {"ceiling": "enforce"}
SAMPLES: dict[str, Any] = {
    "/keyward/" + file.relative_to(FOLDER).with_suffix("").as_posix(): json.loads(file.read_text())
    for file in sorted(FOLDER.rglob("*.json"))
}


def an_exemption(**changes: object) -> dict[str, object]:
    return {
        "owner": "team@example.com",
        "reason": "the vendor supports keys only",
        "ticket": "SEC-1",
        "until": "2027-01-01T00:00:00Z",
        "account": MEMBER,
        "user_id": USER_ID,
        "rules": ["iam-user-created"],
    } | changes


def tree(values: Mapping[str, object], *, version: int = 1) -> dict[str, Parameter]:
    return {
        name: Parameter(
            name=name,
            version=version,
            value=value if isinstance(value, str) else json.dumps(value),
        )
        for name, value in values.items()
    }


def compile_(
    values: Mapping[str, object],
    *,
    previous: Accepted | None = None,
    now: datetime = NOW,
    version: int = 1,
) -> Compilation:
    return compiled(tree(values, version=version), previous=previous, rules=RULES, now=now)


def accepted(values: Mapping[str, object]) -> Accepted:
    compilation = compile_(values)
    assert not compilation.refused
    return compilation.accepted


def only(refused: tuple[Refusal, ...]) -> Refusal:
    assert len(refused) == 1
    return refused[0]


def test_an_empty_tree_only_reports() -> None:
    compilation = compile_({})
    assert compilation.changed
    assert compilation.accepted == Accepted(version=1, compiled_at=NOW)


def test_valid_settings_are_in_force_with_their_versions() -> None:
    values = {SETTINGS: ENFORCE, RULE: {"mode": "enforce"}, EXEMPTION: an_exemption()}
    found = accepted(values)
    assert found.settings.ceiling is Mode.ENFORCE
    assert found.rules == {"iam-user-created": {"mode": "enforce"}}
    assert found.exemptions == {"build": an_exemption()}
    assert found.parameters == {SETTINGS: 1, RULE: 1, EXEMPTION: 1}


def test_the_same_again_changes_nothing() -> None:
    before = accepted({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}, EXEMPTION: an_exemption()})
    stored = Accepted.model_validate_json(before.model_dump_json())
    again = compile_(
        {SETTINGS: ENFORCE, RULE: {"mode": "enforce"}, EXEMPTION: an_exemption()},
        previous=stored,
        now=LATER,
    )
    assert not again.changed
    assert again.accepted == stored


def test_the_version_grows_with_each_change() -> None:
    before = accepted({SETTINGS: {"ceiling": "report"}})
    after = compile_({SETTINGS: ENFORCE}, previous=before, now=LATER, version=2)
    assert after.changed
    assert (after.accepted.version, after.accepted.compiled_at) == (before.version + 1, LATER)


@pytest.mark.parametrize(
    ("name", "good", "bad", "field"),
    [
        (SETTINGS, ENFORCE, {"ceiling": "enforced"}, "ceiling"),
        (SETTINGS, ENFORCE, "{", "JSON"),
        (RULE, {"mode": "report"}, {"mode": "enfroce"}, "mode"),
        (RULE, {"mode": "off"}, {"mood": "enforce"}, "mood"),
        (RULE, {"severity": "low"}, {"severity": "worst"}, "severity"),
        (EXEMPTION, an_exemption(), an_exemption(until="soon"), "until"),
        (EXEMPTION, an_exemption(), an_exemption(rules=["iam-usr-created"]), "rules"),
    ],
)
def test_what_is_invalid_is_refused_by_name_and_the_last_value_stays(
    name: str, good: object, bad: object, field: str
) -> None:
    before = accepted({name: good})
    after = compile_({name: bad}, previous=before, now=LATER, version=7)
    refusal = only(after.refused)
    assert (refusal.parameter, refusal.version) == (name, 7)
    assert refusal.text.startswith(f"{name} version 7: ")
    assert field in refusal.text
    assert not after.changed
    assert after.accepted == before


def test_what_was_never_valid_is_at_its_default() -> None:
    found = compile_({SETTINGS: {"ceiling": "x"}, RULE: "nonsense", EXEMPTION: "{}"})
    assert len(found.refused) == 3
    assert found.accepted == Accepted(version=1, compiled_at=NOW)


def test_one_bad_parameter_holds_up_no_other() -> None:
    found = compile_({SETTINGS: "{", RULE: {"mode": "off"}})
    assert only(found.refused).parameter == SETTINGS
    assert found.accepted.rules == {"iam-user-created": {"mode": "off"}}


def test_what_is_gone_falls_back_to_its_default() -> None:
    before = accepted({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}, EXEMPTION: an_exemption()})
    after = compile_({}, previous=before, now=LATER)
    assert after.accepted == Accepted(version=2, compiled_at=LATER)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("/keyward/rules/iam-usr-created", "did you mean iam-user-created?"),
        ("/keyward/rules/zzz", "see keyward rules"),
        ("/keyward/rules/iam-user-created/more", "no rule"),
        ("/keyward/rules/", "no rule"),
        ("/keyward/baseline/all", "nothing reads it"),
        ("/keyward/Settings", "nothing reads it"),
        ("/keyward/exemptions/Build", "lower-case"),
        ("/keyward/exemptions/a/b", "lower-case"),
        ("/keyward/exemptions/-a", "lower-case"),
        ("/keyward/exemptions/" + "a" * 65, "at most 64"),
    ],
)
def test_a_name_that_nothing_reads_is_refused(name: str, hint: str) -> None:
    found = compile_({name: an_exemption()})
    assert hint in only(found.refused).text
    assert found.accepted == Accepted(version=1, compiled_at=NOW)


def test_existing_enforce_is_refused_until_there_is_a_plan() -> None:
    before = accepted({RULE: {"mode": "report"}})
    after = compile_({RULE: {"mode": "enforce", "existing": "enforce"}}, previous=before)
    assert "plan" in only(after.refused).text
    assert after.accepted == before


def test_a_rule_begins_to_enforce_when_its_mode_does() -> None:
    before = accepted({SETTINGS: ENFORCE, RULE: {"mode": "report"}})
    assert before.enforcing_since == {}
    after = compile_({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}}, previous=before, now=LATER)
    assert after.accepted.enforcing_since == {"iam-user-created": LATER}


def test_a_rule_begins_to_enforce_only_under_a_ceiling_that_lets_it() -> None:
    before = accepted({RULE: {"mode": "enforce"}})
    assert before.enforcing_since == {}
    after = compile_({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}}, previous=before, now=LATER)
    assert after.accepted.enforcing_since == {"iam-user-created": LATER}


def test_another_change_does_not_move_the_beginning() -> None:
    before = accepted({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}})
    after = compile_(
        {SETTINGS: ENFORCE, RULE: {"mode": "enforce", "severity": "low"}},
        previous=before,
        now=LATER,
    )
    assert after.accepted.enforcing_since == {"iam-user-created": NOW}


def test_a_refused_change_does_not_move_the_beginning() -> None:
    before = accepted({SETTINGS: ENFORCE, RULE: {"mode": "enforce"}})
    after = compile_({SETTINGS: ENFORCE, RULE: {"mode": "x"}}, previous=before, now=LATER)
    assert after.accepted.enforcing_since == {"iam-user-created": NOW}


@pytest.mark.parametrize(
    "between", [{SETTINGS: ENFORCE, RULE: {"mode": "report"}}, {RULE: {"mode": "enforce"}}, {}]
)
def test_leaving_enforce_clears_the_beginning(between: dict[str, object]) -> None:
    values = {SETTINGS: ENFORCE, RULE: {"mode": "enforce"}}
    left = compile_(between, previous=accepted(values), now=LATER).accepted
    assert left.enforcing_since == {}
    back = compile_(values, previous=left, now=LATER + timedelta(days=1)).accepted
    assert back.enforcing_since == {"iam-user-created": LATER + timedelta(days=1)}


def test_a_pause_is_carried_over_and_does_not_move_the_beginning() -> None:
    values = {SETTINGS: ENFORCE, RULE: {"mode": "enforce"}}
    paused = accepted(values).model_copy(update={"paused_until": LATER})
    after = compile_(values | {EXEMPTION: an_exemption()}, previous=paused, now=LATER)
    assert after.accepted.paused_until == LATER
    assert after.accepted.enforcing_since == {"iam-user-created": NOW}


def test_an_exemption_that_ended_is_dropped_silently_and_stays_dropped() -> None:
    before = accepted({EXEMPTION: an_exemption(until="2026-11-20T10:00:00Z")})
    assert before.exemptions
    written = {EXEMPTION: an_exemption(until="2026-11-20T10:00:00Z")}
    dropped = compile_(written, previous=before, now=LATER)
    assert (dropped.changed, dropped.refused, dropped.accepted.exemptions) == (True, (), {})
    again = compile_(written, previous=dropped.accepted, now=LATER)
    assert (again.changed, again.refused) == (False, ())


def test_a_new_exemption_that_has_ended_already_is_refused() -> None:
    found = compile_({EXEMPTION: an_exemption(until="2026-11-01T00:00:00Z")})
    assert "field until" in only(found.refused).text
    assert found.accepted.exemptions == {}


def test_an_end_in_the_past_ends_an_exemption_that_was_in_force() -> None:
    before = accepted({EXEMPTION: an_exemption()})
    after = compile_(
        {EXEMPTION: an_exemption(until="2026-11-01T00:00:00Z")},
        previous=before,
        now=LATER,
        version=2,
    )
    assert (after.refused, after.accepted.exemptions) == ((), {})


def test_an_invalid_change_does_not_keep_an_exemption_past_its_end() -> None:
    before = accepted({EXEMPTION: an_exemption(until="2026-11-20T10:00:00Z")})
    after = compile_({EXEMPTION: "{"}, previous=before, now=LATER, version=2)
    assert after.accepted.exemptions == {}


def test_what_another_version_accepted_and_this_one_cannot_read_harms_nobody() -> None:
    before = Accepted(
        version=4,
        settings=GlobalSettings(ceiling=Mode.ENFORCE),
        rules={"iam-user-created": {"mode": "enforce", "new_field": 1}},
        exemptions={"build": {"new_shape": True}},
        enforcing_since={"iam-user-created": NOW},
        parameters={SETTINGS: 1, RULE: 1, EXEMPTION: 1},
    )
    found = compile_({SETTINGS: ENFORCE, RULE: "{", EXEMPTION: "{"}, previous=before, now=LATER)
    assert found.accepted.exemptions == {}
    assert in_force(found.accepted, RULES).mode("iam-user-created", LATER) is Mode.REPORT


def test_the_sample_folder_is_accepted_and_only_reports() -> None:
    found = accepted(SAMPLES)
    assert set(found.rules) == {rule.id for rule in RULES}
    assert found.settings.ceiling is Mode.REPORT
    assert {in_force(found, RULES).rules[rule.id].mode for rule in RULES} == {Mode.REPORT}


def test_the_sample_folder_holds_the_defaults_of_every_rule() -> None:
    typed = in_force(accepted(SAMPLES), RULES).rules
    assert typed == {rule.id: rule.settings() for rule in RULES}


# Mutations: every field of every sample, changed into anything.

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["off", "report", "enforce", "2020-01-01T00:00:00Z", "*", "AIDAX", "\ud800"]),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(SAMPLES))


def paths(value: object, *, to: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    found = [to]
    if isinstance(value, dict):
        for name, item in value.items():
            found += paths(item, to=(*to, name))
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += paths(item, to=(*to, number))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """A sample's name, and its text with one field changed, removed, renamed, or cut short."""
    name = draw(NAMES)
    value = deepcopy(SAMPLES[name])
    path = draw(st.sampled_from(paths(value)[1:]))
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    how = draw(st.sampled_from(["change", "remove", "rename", "cut"]))
    if how == "change":
        holder[path[-1]] = draw(ANYTHING)
    elif how == "remove":
        del holder[path[-1]]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(st.text(min_size=1))] = holder.pop(path[-1])
    text = json.dumps(value)
    return name, text[: draw(st.integers(0, len(text)))] if how == "cut" else text


def asks_for(text: str, field: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value.get(field) if isinstance(value, dict) else None


@settings(max_examples=300, deadline=None)
@given(mutation=mutated(), enforcing=st.booleans())
def test_no_mutation_of_a_field_raises_or_widens(
    mutation: tuple[str, str], *, enforcing: bool
) -> None:
    mode = "enforce" if enforcing else "report"
    before_values = {
        name: value
        | ({"ceiling": mode} if name == SETTINGS else {})
        | ({"mode": mode} if name.startswith("/keyward/rules/") else {})
        for name, value in SAMPLES.items()
    }
    before = accepted(before_values)
    name, text = mutation
    after = compile_(
        before_values | {name: text}, previous=before, now=NOW + timedelta(hours=1), version=2
    )
    assert {refusal.parameter for refusal in after.refused} <= {name}
    for refusal in after.refused:
        assert refusal.text.startswith(f"{name} version 2: ")
    then, now = in_force(before, RULES), in_force(after.accepted, RULES)
    for rule in RULES:
        written = asks_for(text, "mode" if rule.id in name else "ceiling")
        most = max(
            then.mode(rule.id, NOW).rank, Mode.ENFORCE.rank if written == "enforce" else 0, 1
        )
        assert now.mode(rule.id, NOW).rank <= most
    if after.refused:
        assert (now.accepted.settings, now.rules) == (before.settings, then.rules)
        assert now.exemptions == then.exemptions


@settings(max_examples=200, deadline=None)
@given(
    name=st.text(max_size=80).map("/keyward/".__add__)
    | st.sampled_from([SETTINGS, RULE, EXEMPTION, "/keyward/rules/x", "", "/"]),
    text=st.text() | ANYTHING.map(json.dumps),
)
def test_nothing_that_can_be_written_makes_compiling_fail(name: str, text: str) -> None:
    found = compile_({name: text}, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert len(found.refused) <= 1
    assert found.accepted.version == 1
