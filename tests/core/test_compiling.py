"""From what owners wrote to what is in force: nothing invalid ever widens it."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward.compiling import Compilation, Parameter, Refusal, compiled, digest_of
from keyward.livedeny import MARK
from keyward.rule import in_force
from keyward.rules import every
from keyward.settings import Accepted, GlobalSettings, Mode
from keyward.sweep import ConfirmedPlan
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
        ("/keyward/baselines/all", "/keyward/baseline/<name>"),
        ("/keyward/baseline/All", "lower-case"),
        ("/keyward/baseline/a/b", "lower-case"),
        ("/keyward/baseline/a--b", "lower-case"),
        ("/keyward/baseline/", "lower-case"),
        ("/keyward/baseline/" + "a" * 65, "at most 64"),
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


def a_plan(*, rule: str = "iam-user-created", at: datetime = NOW, **shown: object) -> ConfirmedPlan:
    """A plan of the rule with these settings, which was confirmed."""
    (model,) = (it.settings for it in RULES if it.id == rule)
    terms = model.model_validate(shown).terms
    return ConfirmedPlan(rule=rule, digest="d", count=3, by="ana", at=at, terms=terms)


def with_plan(
    values: Mapping[str, object],
    plan: ConfirmedPlan | None,
    *,
    previous: Accepted | None = None,
    now: datetime = NOW,
) -> Compilation:
    plans = {plan.rule: plan} if plan else {}
    return compiled(tree(values), previous=previous, rules=RULES, now=now, plan_of=plans.get)


EXISTING = {"mode": "enforce", "existing": "enforce"}
DAYS = timedelta(days=GlobalSettings().sweeps.plan_days)


def test_a_refusal_for_want_of_a_plan_says_how_to_make_one() -> None:
    refused = only(with_plan({RULE: EXISTING}, None).refused)
    assert "keyward sweep --plan --rule iam-user-created" in refused.text
    assert "field existing" in refused.text


@pytest.mark.parametrize(
    ("age", "refused"), [(timedelta(0), 0), (DAYS, 0), (DAYS + timedelta(seconds=1), 1)]
)
def test_a_plan_counts_for_some_days(age: timedelta, refused: int) -> None:
    found = with_plan({RULE: EXISTING}, a_plan(at=NOW - age))
    assert len(found.refused) == refused
    assert found.accepted.rules == ({} if refused else {"iam-user-created": EXISTING})
    assert all(f"{NOW - age:%Y-%m-%d}" in it.text for it in found.refused)


def test_how_long_a_plan_counts_is_a_setting_that_holds_at_once() -> None:
    values = {RULE: EXISTING, SETTINGS: {"sweeps": {"plan_days": 1}}}
    assert "within 1 days" in only(with_plan(values, a_plan(at=NOW - DAYS)).refused).text
    values[SETTINGS] = {"sweeps": {"plan_days": 30}}
    assert not with_plan(values, a_plan(at=NOW - timedelta(days=30))).refused


def test_the_plan_of_another_rule_is_none() -> None:
    other = "/keyward/rules/iam-access-key-created"
    found = with_plan({RULE: EXISTING, other: EXISTING}, a_plan())
    assert only(found.refused).parameter == other


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (EXISTING, False),
        (EXISTING | {"severity": "low"}, False),
        (EXISTING | {"mode": "report", "hours": 1}, False),
        (EXISTING | {"mode": "off"}, False),
        ({"mode": "enforce", "hours": 1}, False),
        (EXISTING | {"hours": 1}, True),
    ],
)
def test_what_enforces_already_needs_a_new_plan_only_to_do_more(
    value: dict[str, object], *, refused: bool
) -> None:
    rule = "idc-session-too-long"
    name, plan = f"/keyward/rules/{rule}", a_plan(rule=rule)
    before = with_plan({name: EXISTING}, plan).accepted
    found = with_plan({name: value}, plan, previous=before, now=NOW + 100 * DAYS)
    assert [it.parameter for it in found.refused] == ([name] if refused else [])
    assert all("keyward sweep --plan" in it.text for it in found.refused)
    assert found.accepted.rules == {rule: EXISTING if refused else value}


def test_a_plan_counts_for_the_settings_that_it_was_made_by() -> None:
    rule = "idc-session-too-long"
    name, wider = f"/keyward/rules/{rule}", EXISTING | {"hours": 1}
    (text,) = (it.text for it in with_plan({name: wider}, a_plan(rule=rule)).refused)
    assert "other settings" in text
    assert not with_plan({name: wider}, a_plan(rule=rule, hours=1)).refused
    assert not with_plan({name: EXISTING | {"severity": "low"}}, a_plan(rule=rule)).refused
    before = with_plan({name: EXISTING}, a_plan(rule=rule)).accepted
    found = with_plan({name: wider}, a_plan(rule=rule), previous=before)
    assert found.accepted.rules == {rule: EXISTING}
    older = a_plan(rule=rule).model_copy(update={"terms": None})
    assert with_plan({name: EXISTING}, older).refused, "nobody knows what it was made by"


def test_what_only_reported_meanwhile_needs_a_plan_to_enforce_again() -> None:
    before = with_plan({RULE: EXISTING}, a_plan()).accepted
    lowered = with_plan({RULE: EXISTING | {"mode": "report"}}, None, previous=before).accepted
    again = with_plan({RULE: EXISTING}, None, previous=lowered)
    assert only(again.refused).parameter == RULE
    assert again.accepted.rules["iam-user-created"]["mode"] == "report"
    assert not with_plan({RULE: EXISTING}, a_plan(), previous=lowered).refused


def test_where_only_the_hub_can_tell_it_passes_and_is_named() -> None:
    found = compiled(tree({RULE: EXISTING}), previous=None, rules=RULES, now=NOW, plan_of=None)
    assert (found.refused, found.unconfirmed) == ((), ("iam-user-created",))
    assert found.accepted.rules == {"iam-user-created": EXISTING}
    assert with_plan({RULE: EXISTING}, a_plan()).unconfirmed == ()


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


# The catalogue of permission sets

SETS = "/keyward/permission-sets/"
DEVELOPER = SETS + "Developer"
PART = DEVELOPER + "/inline-policy/"
AN_ENTRY: dict[str, Any] = {
    "description": "Builds and runs things",
    "managed_policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    "session_hours": 4,
}
A_POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": ["iam:*", "sso:*"], "Resource": "*"}],
}


def in_parts(policy: object, *, cuts: tuple[int, ...] = (10, 20)) -> dict[str, str]:
    """The parts of an inline policy, cut at these places."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    ends = (0, *cuts, len(text))
    return {
        f"{PART}{number}": text[start:end] for number, (start, end) in enumerate(pairwise(ends), 1)
    }


def test_a_permission_set_is_in_the_catalogue_as_written_without_comments() -> None:
    found = accepted({DEVELOPER: {"$comment": "why", **AN_ENTRY}})
    assert found.permission_sets == {"Developer": AN_ENTRY}
    assert found.parameters == {DEVELOPER: 1}
    assert in_force(found, RULES).catalogue["Developer"].session_seconds == 4 * 3600


@pytest.mark.parametrize("cuts", [(), (1,), (10, 20, 30)])
def test_an_inline_policy_in_parts_is_put_together(cuts: tuple[int, ...]) -> None:
    parts = in_parts({"$comment": "why", **A_POLICY}, cuts=cuts)
    found = accepted({DEVELOPER: AN_ENTRY, **parts})
    assert found.permission_sets == {"Developer": {**AN_ENTRY, "inline_policy": A_POLICY}}
    assert found.parameters == dict.fromkeys([DEVELOPER, *parts], 1)


def test_ten_parts_are_put_together_by_number_and_not_by_name() -> None:
    parts = in_parts(A_POLICY, cuts=tuple(range(5, 60, 5)))
    assert len(parts) == 12
    found = accepted({DEVELOPER: AN_ENTRY, **parts})
    assert found.permission_sets["Developer"]["inline_policy"] == A_POLICY


def without(values: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


WHOLE = {**AN_ENTRY, "inline_policy": A_POLICY}
PARTED: dict[str, object] = {DEVELOPER: AN_ENTRY, **in_parts(A_POLICY)}
DIGEST = digest_of(json.dumps(A_POLICY))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({DEVELOPER: "{"}, "not valid JSON"),
        ({DEVELOPER: {"session_hours": 13}}, "field session_hours"),
        ({DEVELOPER: {"inline_policy": {"Statement": []}}}, "field inline_policy"),
        (without(PARTED, f"{PART}2"), "none is 2"),
        (without(PARTED, f"{PART}1"), "none is 1"),
        (without(PARTED, f"{PART}3"), "field inline_policy: not valid JSON"),
        ({**PARTED, DEVELOPER: WHOLE}, "stands in the entry and in parts"),
        ({**PARTED, f"{PART}3": "[]"}, "field inline_policy: not valid JSON"),
        ({DEVELOPER: AN_ENTRY, f"{PART}1": "[]"}, "field inline_policy: expected a JSON object"),
        ({DEVELOPER: {**AN_ENTRY, "inline_policy_sha256": DIGEST}}, "complete: push it again"),
        (
            {**PARTED, DEVELOPER: {**AN_ENTRY, "inline_policy_sha256": "0" * 64}},
            "complete: push it again",
        ),
        (
            {
                DEVELOPER: {
                    "inline_policy": {
                        **A_POLICY,
                        "Statement": {**A_POLICY["Statement"][0], "Sid": f"{MARK}0123"},
                    }
                }
            },
            "Keyward's own",
        ),
    ],
)
def test_an_invalid_entry_or_part_keeps_the_whole_of_what_was_accepted(
    values: Mapping[str, object], expected: str
) -> None:
    before = accepted(PARTED)
    after = compile_(values, previous=before, now=LATER, version=7)
    refusal = only(after.refused)
    assert (refusal.parameter, refusal.version) == (DEVELOPER, 7)
    assert refusal.text.startswith(f"{DEVELOPER} version 7")
    assert expected in refusal.text
    assert not after.changed
    assert after.accepted == before


def test_a_refusal_names_the_versions_of_all_parts() -> None:
    found = compile_({**PARTED, f"{PART}3": "x"})
    assert only(found.refused).text.startswith(
        f"{DEVELOPER} version 1 (with inline-policy parts of versions 1, 1, 1): field inline_policy"
    )


def test_parts_with_their_digest_are_accepted_and_the_digest_is_not_kept() -> None:
    found = accepted({**PARTED, DEVELOPER: {**AN_ENTRY, "inline_policy_sha256": DIGEST}})
    assert found.permission_sets == {"Developer": WHOLE}


def test_with_a_digest_no_mixture_of_an_old_and_a_new_policy_is_ever_in_force() -> None:
    """Each mixture is a valid policy, and the one without the deny grants more than either."""
    deny = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    head, tail = json.dumps({**A_POLICY, "Statement": ["x"]}).split('"x"')

    def pushed(first: object, second: object) -> dict[str, object]:
        texts = (f"{head}{json.dumps(first)},", f"{json.dumps(second)}{tail}")
        digest = digest_of("".join(texts))
        return {
            DEVELOPER: {"inline_policy_sha256": digest},
            f"{PART}1": texts[0],
            f"{PART}2": texts[1],
        }

    old, new = pushed(deny, allow), pushed(allow, deny)
    before = accepted(old)
    for written in ([1], [2], [1, 2]):
        mixed = old | {f"{PART}{number}": new[f"{PART}{number}"] for number in written}
        assert compile_(mixed, previous=before, now=LATER).accepted == before
    done = compile_(new, previous=before, now=LATER)
    assert (done.changed, done.refused) == (True, ())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (f"{SETS}Develop+er", "letters, digits"),
        (f"{SETS}Développeur", "letters, digits"),
        (f"{SETS}{'x' * 33}", "at most 32"),
        (f"{SETS}.hidden", "no dot"),
        (f"{SETS}..", "no dot"),
        (SETS, "expected a name"),
        (f"{PART}1", f"expected {DEVELOPER}"),
        (f"{PART}0", "nothing reads it"),
        (f"{PART}01", "nothing reads it"),
        (f"{PART}one", "nothing reads it"),
        (f"{PART}", "nothing reads it"),
        (f"{DEVELOPER}/other/1", "nothing reads it"),
        (f"{DEVELOPER}/", "nothing reads it"),
    ],
)
def test_what_belongs_to_no_permission_set_is_refused_by_name(name: str, hint: str) -> None:
    refusal = only(compile_({name: AN_ENTRY}).refused)
    assert (refusal.parameter, refusal.version) == (name, 1)
    assert refusal.text.startswith(f"{name} version 1: ")
    assert hint in refusal.text


@pytest.mark.parametrize("name", ["D", "Developer_1.2-x", "x" * 32])
def test_a_name_of_32_letters_digits_and_marks_is_taken(name: str) -> None:
    assert set(accepted({SETS + name: AN_ENTRY}).permission_sets) == {name}


def test_an_entry_that_is_gone_leaves_the_catalogue_even_where_parts_are_left() -> None:
    before = accepted(PARTED)
    after = compile_(without(PARTED, DEVELOPER), previous=before, now=LATER)
    assert {refusal.parameter for refusal in after.refused} == {f"{PART}{n}" for n in (1, 2, 3)}
    assert (after.accepted.permission_sets, after.accepted.parameters) == ({}, {})


def test_of_two_names_that_differ_in_case_alone_neither_is_taken() -> None:
    found = compile_({DEVELOPER: AN_ENTRY, SETS + "developer": AN_ENTRY})
    assert found.accepted.permission_sets == {}
    assert {refusal.parameter for refusal in found.refused} == {DEVELOPER, SETS + "developer"}
    assert all("upper and lower case" in refusal.text for refusal in found.refused)


def test_a_name_in_force_stays_when_another_comes_that_differs_in_case_alone() -> None:
    before = accepted({DEVELOPER: AN_ENTRY})
    changed = {**AN_ENTRY, "session_hours": 2}
    after = compile_({DEVELOPER: changed, SETS + "DEVELOPER": AN_ENTRY}, previous=before, now=LATER)
    assert only(after.refused).parameter == SETS + "DEVELOPER"
    assert after.accepted.permission_sets == {"Developer": changed}


@pytest.mark.parametrize(
    ("entry", "field", "hint"),
    [
        ("arn:aws:iam::aws:policy/ReadOnlyAcess", "managed_policies.1", "mean ReadOnlyAccess?"),
        ("arn:aws:iam::aws:policy/Billing", "managed_policies.1", "job-function/Billing?"),
        ("arn:aws:iam::aws:policy/zzzzzzzz", "managed_policies.1", "one that AWS has"),
    ],
)
def test_a_policy_that_aws_does_not_have_is_refused(entry: str, field: str, hint: str) -> None:
    known = AN_ENTRY["managed_policies"]
    text = only(compile_({DEVELOPER: {"managed_policies": [*known, entry]}}).refused).text
    assert f"field {field}: AWS has no managed policy {entry.rpartition('/')[2]}" in text
    assert hint in text


def test_a_boundary_that_aws_does_not_have_is_refused() -> None:
    boundary = {"managed_policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAcess"}
    text = only(compile_({DEVELOPER: {"boundary": boundary}}).refused).text
    assert "field boundary.managed_policy_arn: " in text


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_policies_are_known_in_every_partition(partition: str) -> None:
    arn = f"arn:{partition}:iam::aws:policy/job-function/Billing"
    assert accepted({DEVELOPER: {"managed_policies": [arn]}}).permission_sets


def test_only_policies_that_were_not_accepted_yet_are_asked_for() -> None:
    asked = []

    def exists(arn: str) -> bool:
        asked.append(arn.rpartition("/")[2])
        return True

    def compile_with(*policies: str, previous: Accepted | None) -> Accepted:
        arns = [f"arn:aws:iam::aws:policy/{policy}" for policy in policies]
        return compiled(
            tree({DEVELOPER: {"managed_policies": arns}}),
            previous=previous,
            rules=RULES,
            now=NOW,
            policy_exists=exists,
        ).accepted

    first = compile_with("New", previous=None)
    compile_with("New", "Newer", previous=first)
    assert asked == ["New", "Newer"]


def test_what_changes_in_the_catalogue_is_to_be_checked_until_somebody_did() -> None:
    others = {SETS + "ReadOnly": AN_ENTRY, SETS + "Billing": AN_ENTRY}
    before = accepted({DEVELOPER: AN_ENTRY, **others})
    was_before = NOW - timedelta(seconds=1)
    assert before.unchecked == dict.fromkeys(["Developer", "ReadOnly", "Billing"], was_before)
    checked = before.model_copy(update={"unchecked": {"ReadOnly": NOW}})
    changed = {DEVELOPER: {"session_hours": 2}, SETS + "ReadOnly": AN_ENTRY}
    after = compile_(changed, previous=checked, now=LATER).accepted
    assert after.unchecked == {"Developer": LATER, "ReadOnly": NOW}
    assert compile_({}, previous=after, now=LATER).accepted.unchecked == {}


def test_a_permission_set_that_stays_as_it_was_needs_no_check() -> None:
    before = accepted({DEVELOPER: AN_ENTRY}).model_copy(update={"unchecked": {}})
    for value in ({**AN_ENTRY, "$comment": "x"}, "{"):
        after = compile_({DEVELOPER: value}, previous=before, now=LATER)
        assert after.accepted.unchecked == {}


@pytest.mark.parametrize(
    ("values", "age", "expected"),
    [
        ({**PARTED, f"{PART}3": "x"}, timedelta(seconds=119), True),
        ({**PARTED, f"{PART}3": "x"}, timedelta(minutes=2), False),
        (without(PARTED, DEVELOPER, f"{PART}2", f"{PART}3"), timedelta(seconds=1), True),
        ({DEVELOPER: {"inline_policy_sha256": DIGEST}}, timedelta(seconds=1), True),
        ({DEVELOPER: {"session_hours": 13}}, timedelta(seconds=1), False),
    ],
)
def test_what_spans_parameters_may_be_unfinished_for_two_minutes(
    values: Mapping[str, object], age: timedelta, *, expected: bool
) -> None:
    written = {name: replace(it, modified=NOW - age) for name, it in tree(values).items()}
    found = compiled(written, previous=None, rules=RULES, now=NOW)
    assert [refusal.may_be_unfinished for refusal in found.refused] == [expected]


# Baselines: which groups hold which permission sets in which accounts

BASELINES = "/keyward/baseline/"
EVERYONE = BASELINES + "everyone"
PROD = BASELINES + "prod"
RESTRICTED = "/keyward/rules/idc-admin-assignment-restricted"
GROUP = "1111111111-aaaaaaaa-bbbb-cccc-dddd-000000000001"
OU = "ou-ab12-prod0000"
ADMINISTRATOR: dict[str, object] = {
    "managed_policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]
}


def a_baseline(*accounts: dict[str, object], **changes: object) -> dict[str, object]:
    """Everywhere, developers as Developer, unless said otherwise."""
    return {
        "accounts": list(accounts) or [{"everything": True}],
        "assignments": [{"group": "developers", "permission_set": "Developer"}],
    } | changes


def test_a_baseline_is_in_force_as_written_without_comments() -> None:
    found = accepted({EVERYONE: {"$comment": "why", **a_baseline()}})
    assert found.baselines == {"everyone": a_baseline()}
    assert found.parameters == {EVERYONE: 1}
    assert set(in_force(found, RULES).baselines) == {"everyone"}


@pytest.mark.parametrize("name", ["a", "all-accounts", "1", "a" * 64])
def test_a_baseline_is_called_in_lower_case_words(name: str) -> None:
    assert set(accepted({BASELINES + name: a_baseline()}).baselines) == {name}


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ({}, "field accounts: Field required"),
        (a_baseline(exclusive="yes"), "field exclusive: "),
        (a_baseline(acounts=[]), "field acounts: "),
        (a_baseline({}), "field accounts.0: it selects nothing"),
        (a_baseline({"ids": [MEMBER]}, exclude=[{"ids": [MEMBER]}]), "field exclude: "),
        (a_baseline(assignments=[]), "field assignments: "),
    ],
)
def test_an_invalid_baseline_is_refused_by_field_and_the_last_one_stays(
    bad: object, expected: str
) -> None:
    others = {PROD: a_baseline({"unit": OU})}
    before = accepted({EVERYONE: a_baseline(), **others})
    after = compile_({EVERYONE: bad, **others}, previous=before, now=LATER, version=1)
    refusal = only(after.refused)
    assert refusal.parameter == EVERYONE
    assert refusal.text.startswith(f"{EVERYONE} version 1: ")
    assert expected in refusal.text
    assert not after.changed
    assert after.accepted == before


def test_an_invalid_baseline_holds_up_no_other_and_nothing_else() -> None:
    found = compile_({EVERYONE: "{", PROD: a_baseline({"unit": OU}), RULE: {"mode": "off"}})
    assert only(found.refused).parameter == EVERYONE
    assert set(found.accepted.baselines) == {"prod"}
    assert set(found.accepted.rules) == {"iam-user-created"}


def test_a_baseline_that_was_invalid_is_looked_at_once_it_is_not() -> None:
    before = compile_({EVERYONE: "{"}).accepted
    after = compile_({EVERYONE: a_baseline()}, previous=before, now=LATER, version=2).accepted
    assert (after.baselines, after.unrolled) == ({"everyone": a_baseline()}, {"everyone": LATER})


def test_a_baseline_that_is_deleted_is_gone() -> None:
    before = accepted({EVERYONE: a_baseline(), PROD: a_baseline({"unit": OU})})
    after = compile_({PROD: a_baseline({"unit": OU})}, previous=before, now=LATER).accepted
    assert (set(after.baselines), set(after.parameters)) == ({"prod"}, {PROD})


def test_baselines_that_change_are_to_be_looked_at_until_somebody_did() -> None:
    others = {BASELINES + "a": a_baseline(), BASELINES + "b": a_baseline()}
    before = accepted({PROD: a_baseline({"unit": OU}), **others})
    assert before.unrolled == dict.fromkeys(["prod", "a", "b"], NOW - timedelta(seconds=1))
    told = before.model_copy(update={"unrolled": {"a": NOW}})
    changed = {PROD: a_baseline({"unit": "Workloads"}), BASELINES + "a": a_baseline()}
    after = compile_(changed, previous=told, now=LATER).accepted
    assert after.unrolled == {"prod": LATER, "a": NOW}
    assert compile_({}, previous=after, now=LATER).accepted.unrolled == {}


@pytest.mark.parametrize("value", [{**a_baseline(), "$comment": "x"}, "{"])
def test_a_baseline_that_stays_as_it_was_needs_no_look(value: object) -> None:
    before = accepted({EVERYONE: a_baseline()}).model_copy(update={"unrolled": {}})
    after = compile_({EVERYONE: value}, previous=before, now=LATER)
    assert after.accepted.unrolled == {}


def test_a_set_of_the_catalogue_goes_by_its_own_upper_and_lower_case() -> None:
    text = only(compile_({DEVELOPER: AN_ENTRY, EVERYONE: assigning("developer")}).refused).text
    assert text.startswith(f"{EVERYONE} version 1: field assignments.0.permission_set: developer ")
    assert "expected Developer" in text


@pytest.mark.parametrize(
    "name",
    [
        "Developer",
        "Develope",
        "AWSReadOnlyAccess",
        "arn:aws:sso:::permissionSet/ssoins-1111111111111111/ps-1111111111111111",
    ],
)
def test_a_set_that_the_catalogue_does_not_have_may_be_in_identity_center(name: str) -> None:
    found = accepted({DEVELOPER: AN_ENTRY, EVERYONE: assigning(name)})
    assert set(found.baselines) == {"everyone"}


def assigning(name: str, group: str = "developers", *accounts: dict[str, object]) -> dict[str, Any]:
    return a_baseline(*accounts, assignments=[{"group": group, "permission_set": name}])


HERE: tuple[dict[str, object], dict[str, object]] = (
    {"unit": OU},
    {"ids": ["111122223333", "555566667777"]},
)
SPARED = [{"tags": {"frozen": "*"}}, {"ids": [MEMBER]}]


def test_of_two_baselines_for_the_same_accounts_of_which_one_is_exclusive_neither_is_taken() -> (
    None
):
    found = compile_(
        {
            EVERYONE: a_baseline(*HERE, exclude=SPARED, exclusive=True),
            PROD: a_baseline(
                {"ids": ["555566667777", "111122223333"]}, HERE[0], exclude=SPARED[::-1]
            ),
            BASELINES + "z": a_baseline(*HERE),
        }
    )
    assert found.accepted.baselines == {"z": a_baseline(*HERE)}
    one, other = found.refused
    assert (one.parameter, other.parameter) == (EVERYONE, PROD)
    for refusal, problem in (
        (one, f"is true here and false in {PROD}, for the very same accounts"),
        (other, f"is false here and true in {EVERYONE}, for the very same accounts"),
    ):
        assert refusal.text.startswith(f"{refusal.parameter} version 1: field exclusive: {problem}")


@pytest.mark.parametrize(
    "other",
    [
        a_baseline(*HERE, exclude=SPARED, exclusive=True),
        a_baseline(*HERE),
        a_baseline(*HERE, exclude=SPARED[:1]),
        a_baseline(HERE[0], exclude=SPARED),
        a_baseline(HERE[0] | {"children": False}, HERE[1], exclude=SPARED),
        a_baseline({"unit": "Prod"}, HERE[1], exclude=SPARED),
        a_baseline(HERE[0] | {"tags": {"a": "b"}}, HERE[1], exclude=SPARED),
    ],
)
def test_baselines_for_other_accounts_or_equally_exclusive_may_stand_together(
    other: dict[str, object],
) -> None:
    one = a_baseline(*HERE, exclude=SPARED, exclusive=True)
    assert set(accepted({EVERYONE: one, PROD: other}).baselines) == {"everyone", "prod"}


@pytest.mark.parametrize(("first", "second"), [(EVERYONE, PROD), (PROD, EVERYONE)])
def test_a_baseline_in_force_stays_when_one_comes_that_contradicts_it(
    first: str, second: str
) -> None:
    before = accepted({first: a_baseline(exclusive=True)})
    comes = {first: a_baseline(exclusive=True), second: a_baseline()}
    after = compile_(comes, previous=before, now=LATER)
    assert only(after.refused).parameter == second
    assert not after.changed
    again = compile_({second: a_baseline()}, previous=after.accepted, now=LATER)
    assert again.refused == ()
    assert again.accepted.baselines == {second.removeprefix(BASELINES): a_baseline()}


def test_a_change_that_contradicts_another_baseline_leaves_both_as_they_were() -> None:
    before = accepted({EVERYONE: a_baseline(), PROD: a_baseline()})
    changed = {EVERYONE: a_baseline(exclusive=True), PROD: a_baseline()}
    after = compile_(changed, previous=before, now=LATER)
    assert only(after.refused).parameter == EVERYONE
    assert after.accepted == before
    both = compile_(changed | {PROD: a_baseline(exclusive=True)}, previous=before, now=LATER)
    assert both.refused == ()


def test_what_a_refused_baseline_was_before_is_contradicted_in_turn() -> None:
    """The first is invalid and stays exclusive everywhere: the second must not come beside it."""
    before = accepted({EVERYONE: a_baseline(exclusive=True)})
    after = compile_({EVERYONE: "{", PROD: a_baseline()}, previous=before, now=LATER)
    assert {refusal.parameter for refusal in after.refused} == {EVERYONE, PROD}
    assert after.accepted == before
    third = BASELINES + "third"
    clash = {
        EVERYONE: a_baseline({"unit": OU}),
        PROD: a_baseline({"unit": OU}, exclusive=True),
        third: a_baseline(),
    }
    after = compile_(clash, previous=before, now=LATER)
    assert {refusal.parameter for refusal in after.refused} == set(clash)
    assert after.accepted == before


def reserving(**settings: object) -> dict[str, object]:
    """Administrator in the catalogue, and a rule that reserves an account and an OU."""
    rule = {"mode": "enforce", "accounts": [MEMBER], "organizational_units": [OU], **settings}
    return {SETS + "Administrator": ADMINISTRATOR, DEVELOPER: AN_ENTRY, RESTRICTED: rule}


@pytest.mark.parametrize(
    ("selector", "where"),
    [
        ({"ids": ["111122223333", MEMBER]}, MEMBER),
        ({"unit": OU}, OU),
        ({"unit": OU, "children": False}, OU),
        ({"unit": OU, "tags": {"a": "b"}}, OU),
    ],
)
def test_a_baseline_that_gives_what_a_rule_takes_away_again_is_refused(
    selector: dict[str, object], where: str
) -> None:
    baseline = assigning("Administrator", GROUP, {"unit": "Other"}, selector)
    refusal = only(compile_({EVERYONE: baseline, **reserving()}).refused)
    assert refusal.parameter == EVERYONE
    assert (
        f"field assignments.0: gives Administrator to group {GROUP} in {where} (accounts.1), where "
        f"{RESTRICTED} takes it away again"
    ) in refusal.text


ESCALATING = {
    "inline_policy": {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": "*"},
    }
}
NO_IAM: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"},
}


@pytest.mark.parametrize(
    ("baseline", "others"),
    [
        pytest.param(
            assigning("Administrator", GROUP, {"unit": OU}), {"mode": "report"}, id="only told"
        ),
        pytest.param(
            assigning("Administrator", GROUP, {"unit": OU}),
            {"allowed_principals": [GROUP]},
            id="allowed",
        ),
        pytest.param(assigning("Administrator", "admins", {"unit": OU}), {}, id="group by name"),
        pytest.param(assigning("Administrator", GROUP, {"unit": "Prod"}), {}, id="unit by path"),
        pytest.param(assigning("Administrator", GROUP), {}, id="not by id"),
        pytest.param(assigning("Administrator", GROUP, {"ids": ["111122223333"]}), {}, id="others"),
        pytest.param(assigning("Developer", GROUP, {"unit": OU}), {}, id="smaller set"),
        pytest.param(assigning("Unknown", GROUP, {"unit": OU}), {}, id="unknown set"),
        pytest.param(
            assigning("Administrator", GROUP, {"unit": "Other"}, {"tags": {"a": "b"}}),
            {},
            id="tags",
        ),
    ],
)
def test_what_the_rule_lets_be_or_nobody_can_tell_here_is_taken(
    baseline: dict[str, object], others: dict[str, object]
) -> None:
    found = accepted({EVERYONE: baseline, **reserving(**others)})
    assert set(found.baselines) == {"everyone"}


@pytest.mark.parametrize(
    ("entry", "reach", "refused"),
    [
        (ADMINISTRATOR, "admin", True),
        (ADMINISTRATOR, "indirect", True),
        (ESCALATING, "escalation", True),
        (ESCALATING, "admin", False),
        (ADMINISTRATOR | {"inline_policy": NO_IAM}, "indirect", False),
        (
            ADMINISTRATOR
            | {"boundary": {"managed_policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
            "indirect",
            False,
        ),
        (AN_ENTRY, "indirect", False),
    ],
)
def test_a_set_counts_by_what_the_catalogue_shows_of_it(
    entry: dict[str, object], reach: str, *, refused: bool
) -> None:
    values = reserving(reach=reach) | {SETS + "Some": entry}
    found = compile_({EVERYONE: assigning("Some", GROUP, {"unit": OU}), **values})
    assert [refusal.parameter for refusal in found.refused] == ([EVERYONE] if refused else [])


def test_a_baseline_in_force_stays_and_is_told_of_where_a_rule_begins_to_take_it_away() -> None:
    baseline = assigning("Administrator", GROUP, {"unit": OU})
    before = accepted({EVERYONE: baseline, **reserving(mode="report")})
    after = compile_({EVERYONE: baseline, **reserving()}, previous=before, now=LATER)
    assert only(after.refused).parameter == EVERYONE
    assert after.accepted.baselines == before.baselines
    assert after.accepted.rules["idc-admin-assignment-restricted"]["mode"] == "enforce"


def test_the_sample_baselines_call_groups_and_sets_as_the_sample_catalogue_does() -> None:
    found = accepted(SAMPLES)
    groups = {entry.get("group") for entry in found.permission_sets.values()}
    baselines = in_force(found, RULES).baselines
    assert len(baselines) >= 4
    for baseline in baselines.values():
        for assigned in baseline.assignments:
            assert assigned.permission_set in found.permission_sets
            assert assigned.group in groups
    selectors = [it for one in baselines.values() for it in (*one.accounts, *one.exclude)]
    assert any(it.everything for it in selectors)
    assert any(it.unit for it in selectors)
    assert any(it.tags for it in selectors)
    assert any(one.exclude for one in baselines.values())
    assert {one.exclusive for one in baselines.values()} == {False, True}


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
        assert (now.exemptions, now.catalogue) == (then.exemptions, then.catalogue)
        assert (now.baselines, now.accepted.unrolled) == (then.baselines, before.unrolled)


@settings(max_examples=200, deadline=None)
@given(
    name=st.text(max_size=80).map("/keyward/".__add__)
    | st.sampled_from(
        [SETTINGS, RULE, EXEMPTION, DEVELOPER, f"{PART}1", EVERYONE, "/keyward/rules/x", "", "/"]
    ),
    text=st.text() | ANYTHING.map(json.dumps),
)
def test_nothing_that_can_be_written_makes_compiling_fail(name: str, text: str) -> None:
    found = compile_({name: text}, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert len(found.refused) <= 1
    assert found.accepted.version == 1
