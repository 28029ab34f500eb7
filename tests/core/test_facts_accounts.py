"""What an event claims of accounts: one that comes, moves or changes, and how its making ended."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward import events, facts
from keyward.baselines import Baselines, baselines_of
from keyward.errors import EventError
from keyward.facts.accounts import claimed, scope
from keyward.model import AccountAccess, AccountLifecycle, Actor, Hint
from tests.builders import (
    BASELINES,
    GROUP_ID,
    HUB,
    MEMBER,
    NOW,
    PERSON_ID,
    SAMPLE_BASELINES,
    SAMPLES,
    SET_ARN,
    a_center_hint,
    a_hint,
)

CONTROL_TOWER, ORGANIZATIONS = "controltower.amazonaws.com", "organizations.amazonaws.com"
NONE: Baselines = {}
BY_PLACE = baselines_of(
    {"all": {**SAMPLE_BASELINES["everybody"], "accounts": [{"everything": True}], "exclude": []}}
)
SERVICE = Actor(type="AWSService", account=HUB, invoked_by="AWS Internal")
UNIT = "ou-exam-7f3k2p9d"
OF_ACCOUNT = f"arn:aws:organizations::{HUB}:account/o-exampleorgid/{MEMBER}"
OF_UNIT = f"arn:aws:organizations::{HUB}:ou/o-exampleorgid/{UNIT}"
MANAGED = ["CreateManagedAccount", "UpdateManagedAccount"]
BASELINE = ["EnableBaseline", "ResetEnabledBaseline", "UpdateEnabledBaseline"]
KEYS = {
    "CreateManagedAccount": "createManagedAccountStatus",
    "UpdateManagedAccount": "updateManagedAccountStatus",
    "RegisterOrganizationalUnit": "registerOrganizationalUnitStatus",
    "EnableBaseline": "enableBaselineStatus",
    "ResetEnabledBaseline": "resetEnabledBaselineStatus",
    "UpdateEnabledBaseline": "updateEnabledBaselineStatus",
    "CreateAccountResult": "createAccountStatus",
}


def a_service_event(name: str, status: object, *, source: str = CONTROL_TOWER) -> Hint:
    hint = a_hint(name, source=source, account=HUB, actor=SERVICE)
    return replace(hint, details={KEYS.get(name, name): status})


def managed(name: str = "CreateManagedAccount", /, **changes: object) -> Hint:
    status: dict[str, object] = {
        "organizationalUnit": {"organizationalUnitName": "Prod", "organizationalUnitId": UNIT},
        "account": {"accountName": "payments", "accountId": MEMBER},
        "state": "SUCCEEDED",
        "message": "AWS Control Tower successfully created an enrolled account.",
        "completedTimestamp": "May 24, 2025, 2:48:54\u202fPM",
    }
    return a_service_event(name, status | changes)


def registered(**changes: object) -> Hint:
    status: dict[str, object] = {
        "organizationalUnit": {"organizationalUnitName": "Prod", "organizationalUnitId": UNIT},
        "state": "SUCCEEDED",
        "message": "done",
    }
    return a_service_event("RegisterOrganizationalUnit", status | changes)


def enabled(name: str = "EnableBaseline", target: object = OF_ACCOUNT, **changes: object) -> Hint:
    details: dict[str, object] = {
        "arn": f"arn:aws:controltower:eu-central-1:{HUB}:enabledbaseline/XALULM96QHI5EXMPL",
        "targetIdentifier": target,
        "statusSummary": {"status": "SUCCEEDED", "lastOperationIdentifier": "1"},
    }
    return a_service_event(name, {"enabledBaselineDetails": details | changes})


def created(**changes: object) -> Hint:
    status: dict[str, object] = {"id": "car-1", "state": "SUCCEEDED", "accountId": MEMBER}
    return a_service_event("CreateAccountResult", status | changes, source=ORGANIZATIONS)


def organizational(
    name: str, parameters: Mapping[str, object] | None = None, response: object = None
) -> Hint:
    return a_hint(
        name,
        source=ORGANIZATIONS,
        account=HUB,
        parameters=parameters,
        response={} if response is None else {"handshake": response},
    )


def joined(**details: object) -> Hint:
    hint = a_hint("AccountJoinedOrganization", source=ORGANIZATIONS, account=HUB, actor=SERVICE)
    return replace(hint, details=details)


def accepted(action: object = "INVITE", *parties: object) -> Hint:
    found = parties or ({"type": "ORGANIZATION", "id": "o-1"}, {"type": "ACCOUNT", "id": MEMBER})
    return organizational("AcceptHandshake", None, {"action": action, "parties": list(found)})


def tagged(*keys: object, resource: object = MEMBER) -> Hint:
    tags = [{"key": key, "value": "x"} for key in keys]
    return organizational("TagResource", {"resourceId": resource, "tags": tags})


def untagged(*keys: object, resource: object = MEMBER) -> Hint:
    return organizational("UntagResource", {"resourceId": resource, "tagKeys": list(keys)})


def unassigned(**changes: object) -> Hint:
    parameters: dict[str, object] = {
        "instanceArn": "arn:aws:sso:::instance/ssoins-72231f5a3ebc2a4b",
        "targetId": MEMBER,
        "targetType": "AWS_ACCOUNT",
        "permissionSetArn": SET_ARN,
        "principalType": "GROUP",
        "principalId": GROUP_ID,
    }
    status = {"status": "IN_PROGRESS", "requestId": "request-1", "targetId": MEMBER}
    return a_center_hint(
        "DeleteAccountAssignment",
        parameters=parameters | changes,
        response={"accountAssignmentDeletionStatus": status},
    )


def checked(why: str, **parameters: str) -> Hint:
    return a_hint(why, source=events.KEYWARD, account=HUB, parameters=parameters, sweep=True)


def the_access(hint: Hint, baselines: Baselines = BASELINES) -> AccountAccess:
    (subject,) = claimed(hint, baselines)
    assert isinstance(subject, AccountAccess)
    return subject


def the_lifecycle(hint: Hint, baselines: Baselines = NONE) -> AccountLifecycle:
    (subject,) = claimed(hint, baselines)
    assert isinstance(subject, AccountLifecycle)
    return subject


# ------------------------------------------------------------------ accounts that come or change

ARRIVALS = {
    **{f"{name}": managed(name) for name in MANAGED},
    **{f"{name}": enabled(name) for name in BASELINE},
    "CreateAccountResult": created(),
    "joined": joined(accountId=MEMBER, managementAccountId=HUB),
    "joined, called otherwise": joined(managementAccountId=HUB, memberAccountId=MEMBER),
    "joined, a level down": joined(account={"accountId": MEMBER}, managementAccountId=HUB),
    "AcceptHandshake": accepted(),
    "AcceptHandshake, lower case": accepted("invite"),
    "AcceptHandshake, the account first": accepted(
        "INVITE", {"type": "ACCOUNT", "id": MEMBER}, {"type": "ORGANIZATION", "id": "o-1"}
    ),
    "AcceptHandshake, action unreadable": accepted(["INVITE"]),
    "MoveAccount": organizational(
        "MoveAccount",
        {"accountId": MEMBER, "sourceParentId": "r-exam", "destinationParentId": UNIT},
    ),
    "TagResource": tagged("stage"),
    "UntagResource": untagged("stage"),
}


@pytest.mark.parametrize("hint", ARRIVALS.values(), ids=ARRIVALS)
def test_an_account_that_comes_or_changes_is_claimed_and_not_read(hint: Hint) -> None:
    moved = hint.event_name in {"MoveAccount", "TagResource", "UntagResource"}
    assert the_access(hint) == AccountAccess(account=MEMBER, moved=moved, since=NOW)


@pytest.mark.parametrize("hint", ARRIVALS.values(), ids=ARRIVALS)
def test_without_baselines_nobody_wants_any_access(hint: Hint) -> None:
    assert claimed(hint, NONE) == ()
    assert scope(hint, NONE) is None


@pytest.mark.parametrize("hint", ARRIVALS.values(), ids=ARRIVALS)
def test_one_account_is_no_rollout(hint: Hint) -> None:
    assert scope(hint, BASELINES) is None


def test_facts_claim_accounts_by_the_baselines_that_they_are_given() -> None:
    assert facts.claimed(managed(), {}, BASELINES) == (AccountAccess(account=MEMBER, since=NOW),)
    assert facts.claimed(managed()) == ()


@pytest.mark.parametrize("name", [*MANAGED, *BASELINE, "RegisterOrganizationalUnit"])
def test_the_call_of_the_same_name_tells_no_outcome(name: str) -> None:
    call = a_hint(name, source=CONTROL_TOWER, account=HUB, parameters={"accountId": MEMBER})
    assert claimed(call, BASELINES) == ()
    assert scope(call, BASELINES) is None


@pytest.mark.parametrize("name", [*KEYS])
def test_a_lifecycle_event_without_its_status_must_be_looked_at_by_hand(name: str) -> None:
    source = ORGANIZATIONS if name == "CreateAccountResult" else CONTROL_TOWER
    wrong: list[dict[str, object]] = [{}, {"other": {}}, {KEYS[name]: None}, {KEYS[name]: "OK"}]
    for details in wrong:
        hint = replace(a_hint(name, source=source, account=HUB, actor=SERVICE), details=details)
        with pytest.raises(EventError, match=f"{name} in {HUB} lacks {KEYS[name]}: look by hand"):
            claimed(hint, NONE)


def test_whoever_accepts_an_invitation_by_address_is_the_account() -> None:
    parties = ({"type": "ORGANIZATION", "id": "o-1"}, {"type": "EMAIL", "id": "****"})
    hint = replace(accepted("INVITE", *parties), actor=Actor(type="AssumedRole", account=MEMBER))
    assert the_access(hint).account == MEMBER
    assert the_access(replace(hint, actor=Actor(type="Unknown"))).account == HUB


@pytest.mark.parametrize("action", ["ENABLE_ALL_FEATURES", "APPROVE_ALL_FEATURES", "x"])
def test_other_handshakes_bring_no_account(action: str) -> None:
    assert claimed(accepted(action), BASELINES) == ()


# ------------------------------------------------------------------ tags


@pytest.mark.parametrize("resource", [UNIT, "r-exam", "p-examplepolicyid111", HUB + "0"])
def test_tags_of_what_is_no_account_are_no_account_s(resource: str) -> None:
    assert claimed(tagged("stage", resource=resource), BASELINES) == ()


@pytest.mark.parametrize("hint", [tagged("cost-center"), untagged("cost-center", "owner")])
def test_tags_that_no_baseline_selects_by_change_nothing(hint: Hint) -> None:
    assert claimed(hint, BASELINES) == ()


@pytest.mark.parametrize("hint", [tagged("stage"), untagged("stage")])
def test_where_no_baseline_selects_by_tags_none_matters(hint: Hint) -> None:
    assert claimed(hint, BY_PLACE) == ()


@pytest.mark.parametrize(
    "hint",
    [
        tagged("cost-center", "stage"),
        untagged("cost-center", "stage"),
        tagged("cost-center", None),
        untagged("cost-center", 1),
        organizational("TagResource", {"resourceId": MEMBER}),
        organizational("TagResource", {"resourceId": MEMBER, "tags": "stage"}),
        organizational("TagResource", {"resourceId": MEMBER, "tags": ["stage"]}),
    ],
)
def test_tags_that_may_be_those_of_a_baseline_are_looked_at(hint: Hint) -> None:
    assert the_access(hint).account == MEMBER


# ------------------------------------------------------------------ assignments taken away


def test_a_group_s_assignment_that_goes_is_claimed_with_what_went() -> None:
    assert the_access(unassigned()) == AccountAccess(
        account=MEMBER, removed=(SET_ARN, GROUP_ID), request_id="request-1", since=NOW
    )


@pytest.mark.parametrize(
    "changes", [{"principalType": "USER", "principalId": PERSON_ID}, {"targetType": "OTHER"}]
)
def test_what_people_lose_and_what_is_no_account_is_none_of_it(changes: dict[str, object]) -> None:
    assert claimed(unassigned(**changes), BASELINES) == ()


@pytest.mark.parametrize(
    "changes",
    [{"principalType": None}, {"permissionSetArn": 1}, {"principalId": {}}, {"principalId": ""}],
)
def test_where_nobody_can_tell_what_went_all_of_the_account_is_looked_at(
    changes: dict[str, object],
) -> None:
    access = the_access(unassigned(**changes))
    assert (access.account, access.removed, access.request_id) == (MEMBER, None, "request-1")


def test_the_account_may_stand_in_the_answer_alone() -> None:
    assert the_access(unassigned(targetId=None)).account == MEMBER


def test_without_an_answer_nobody_knows_the_request() -> None:
    for response in ({}, {"accountAssignmentDeletionStatus": "?"}):
        access = the_access(replace(unassigned(), response=response))
        assert (access.removed, access.request_id) == ((SET_ARN, GROUP_ID), None)


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize("name", MANAGED)
@pytest.mark.parametrize("baselines", [NONE, BASELINES])
def test_an_account_that_came_to_nothing_is_claimed_by_its_id(
    name: str, baselines: Baselines
) -> None:
    hint = managed(name, state="FAILED", message="no")
    assert the_lifecycle(hint, baselines) == AccountLifecycle(
        account=MEMBER, name=MEMBER, change=name, state="FAILED", message="no", since=NOW
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"account": {"accountName": "payments"}}, "payments"),
        ({"account": {"accountName": "payments", "accountId": "Not Available"}}, "payments"),
        ({"account": None}, UNIT),
    ],
)
def test_where_there_is_no_account_what_was_to_be_one_is_told(
    changes: dict[str, object], name: str
) -> None:
    lifecycle = the_lifecycle(managed(**{"state": "FAILED", **changes}))
    assert (lifecycle.account, lifecycle.name) == (HUB, name)


def test_an_account_that_organizations_did_not_make_is_claimed_by_its_request() -> None:
    hint = created(state="FAILED", accountId=None, failureReason="EMAIL_ALREADY_EXISTS")
    assert the_lifecycle(hint) == AccountLifecycle(
        account=HUB,
        name="car-1",
        change="CreateAccountResult",
        state="FAILED",
        message="EMAIL_ALREADY_EXISTS",
        since=NOW,
    )


def test_an_ou_that_was_not_registered_is_claimed_by_its_id() -> None:
    lifecycle = the_lifecycle(registered(state="FAILED"), BASELINES)
    assert (lifecycle.account, lifecycle.name, lifecycle.message) == (HUB, UNIT, "done")


@pytest.mark.parametrize("name", BASELINE)
@pytest.mark.parametrize(
    ("target", "account", "called"),
    [
        (OF_ACCOUNT, MEMBER, MEMBER),
        (OF_UNIT, HUB, UNIT),
        ("arn:aws:organizations::1:elsewhere", HUB, "arn:aws:organizations::1:elsewhere"),
        (
            None,
            HUB,
            f"arn:aws:controltower:eu-central-1:{HUB}:enabledbaseline/XALULM96QHI5EXMPL",
        ),
    ],
)
def test_a_baseline_that_failed_is_claimed_by_its_target(
    name: str, target: object, account: str, called: str
) -> None:
    lifecycle = the_lifecycle(enabled(name, target, statusSummary={"status": "FAILED"}))
    assert (lifecycle.account, lifecycle.name) == (account, called)


@pytest.mark.parametrize("state", ["IN_PROGRESS", "UNDER_CHANGE", "NEW_WORD", "failed "])
def test_every_other_state_is_for_the_rule_to_judge(state: str) -> None:
    lifecycle = the_lifecycle(managed(state=state), BASELINES)
    assert lifecycle.state == state.strip().upper()


@pytest.mark.parametrize("state", [None, "", 1, ["SUCCEEDED"]])
def test_an_account_whose_state_cannot_be_read_is_looked_at_and_told(state: object) -> None:
    access, lifecycle = claimed(managed(state=state), BASELINES)
    assert access == AccountAccess(account=MEMBER, since=NOW)
    assert isinstance(lifecycle, AccountLifecycle)
    assert lifecycle.state == "UNKNOWN"
    assert the_lifecycle(managed(state=state)) == lifecycle


def test_a_long_message_is_cut() -> None:
    message = the_lifecycle(managed(state="FAILED", message="x" * 1_000)).message
    assert message == "x" * 200


# ------------------------------------------------------------------ whom it is about

NOBODY = {
    "created": managed(account={"accountName": "payments"}),
    "created, id of another kind": managed(account={"accountId": 444455556666}),
    "created, id too long": managed(account={"accountId": MEMBER + "\n"}),
    "created, other digits": managed(account={"accountId": "٤٤٤٤٥٥٥٥٦٦٦٦"}),
    "result": created(accountId=None),
    "registered": registered(organizationalUnit={"organizationalUnitName": "Prod"}),
    "registered, no id": registered(organizationalUnit={"organizationalUnitId": "Not Available"}),
    "baseline": enabled(target=None),
    "baseline of something else": enabled(target=OF_ACCOUNT.replace("account/", "policy/")),
    "moved": organizational("MoveAccount", {"destinationParentId": UNIT}),
    "moved, nothing told": organizational("MoveAccount"),
    "tagged": organizational("TagResource", {"tags": []}),
    "untagged": organizational("UntagResource", {"resourceId": 1}),
    "joined": joined(managementAccountId=HUB),
    "unassigned": replace(unassigned(targetId=None), response={}),
    "check": checked("AccountCheck", account="all"),
}


@pytest.mark.parametrize("hint", NOBODY.values(), ids=NOBODY)
def test_what_does_not_tell_whom_it_is_about_must_be_looked_at_by_hand(hint: Hint) -> None:
    with pytest.raises(EventError, match="look by hand"):
        claimed(hint, BASELINES)


@pytest.mark.parametrize("hint", NOBODY.values(), ids=NOBODY)
def test_where_there_are_no_baselines_nobody_is_bothered_by_it(hint: Hint) -> None:
    assert claimed(hint, NONE) == ()


@pytest.mark.parametrize(
    "hint",
    [
        managed(state="FAILED", account=None, organizationalUnit=None),
        created(state="FAILED", accountId=None, id=None),
        registered(state="FAILED", organizationalUnit=[]),
        enabled(target=1, arn=None, statusSummary={"status": "FAILED"}),
    ],
)
def test_a_failure_of_nobody_knows_what_must_be_looked_at_by_hand(hint: Hint) -> None:
    for baselines in (NONE, BASELINES):
        with pytest.raises(EventError, match="look by hand"):
            claimed(hint, baselines)


# ------------------------------------------------------------------ Keyward's word to itself


@pytest.mark.parametrize(
    ("why", "grace_over", "since"),
    [
        ("AccountCheck", False, NOW),
        ("GraceOver", True, NOW),
        ("Sweep", False, None),
        ("whatever", False, None),
    ],
)
def test_a_check_names_the_account(why: str, since: object, *, grace_over: bool) -> None:
    access = the_access(checked(why, account=MEMBER))
    assert access == AccountAccess(
        account=MEMBER,
        moved=not grace_over,
        grace_over=grace_over,
        since=since,  # type: ignore[arg-type]  # NOW or None
    )
    assert claimed(checked(why, account=MEMBER), NONE) == ()


@pytest.mark.parametrize(
    ("text", "finished"),
    [(NOW.isoformat(), NOW), ("", None), ("yesterday", None), ("2026-11-20T09:14:05", None)],
)
def test_a_check_tells_when_the_account_was_finished(text: str, finished: object) -> None:
    access = the_access(checked("GraceOver", account=MEMBER, finished=text))
    assert isinstance(access, AccountAccess)
    assert access.finished == finished


def test_a_check_of_something_else_is_about_no_account() -> None:
    for hint in (checked("Sweep", permissionSetName="x"), checked("BaselineSweep")):
        assert claimed(hint, BASELINES) == ()


# ------------------------------------------------------------------ many accounts


@pytest.mark.parametrize("state", ["SUCCEEDED", None])
def test_an_ou_that_comes_under_governance_is_a_rollout_and_no_single_account(
    state: str | None,
) -> None:
    many = [registered(state=state)]
    many += [enabled(name, OF_UNIT, statusSummary={"status": state}) for name in BASELINE]
    for hint in many:
        assert scope(hint, BASELINES) == f"unit {UNIT}"
        assert scope(hint, NONE) is None
        assert not [it for it in claimed(hint, BASELINES) if isinstance(it, AccountAccess)]


def test_the_root_counts_as_an_ou() -> None:
    target = f"arn:aws:organizations::{HUB}:root/o-exampleorgid/r-exam"
    assert scope(enabled(target=target), BASELINES) == "unit r-exam"


@pytest.mark.parametrize("state", ["FAILED", "IN_PROGRESS", "UNDER_CHANGE"])
def test_an_ou_that_is_not_under_governance_is_none(state: str) -> None:
    assert scope(registered(state=state), BASELINES) is None
    assert scope(enabled(target=OF_UNIT, statusSummary={"status": state}), BASELINES) is None


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (checked("BaselineChanged", baseline="everybody"), "baseline everybody"),
        (checked("BaselineChanged", baseline="gone"), None),
        (checked("BaselineChanged"), None),
        (checked("BaselineSweep"), "everything"),
        (checked("Sweep", baseline="everybody"), None),
    ],
)
def test_a_check_may_be_about_all_accounts_of_a_baseline_or_of_all(
    hint: Hint, expected: str | None
) -> None:
    assert scope(hint, BASELINES) == expected
    assert scope(hint, NONE) is None


@pytest.mark.parametrize("source", [CONTROL_TOWER, ORGANIZATIONS])
def test_whose_words_are_not_keyward_s_cannot_begin_a_rollout(source: str) -> None:
    hint = a_hint("BaselineSweep", source=source, account=HUB)
    assert scope(hint, BASELINES) is None
    assert claimed(hint, BASELINES) == ()


def test_a_failed_call_is_about_nobody() -> None:
    assert scope(replace(registered(), error_code="AccessDenied"), BASELINES) is None


@pytest.mark.parametrize(
    "hint", [registered(organizationalUnit=None), enabled(target=OF_UNIT + "/x")]
)
def test_an_ou_that_cannot_be_read_must_be_looked_at_by_hand(hint: Hint) -> None:
    with pytest.raises(EventError, match="look by hand"):
        scope(hint, BASELINES)


# ------------------------------------------------------------------ anything at all

FILES = sorted(
    file
    for rule in (
        "account-lifecycle-failed",
        "baseline-assignment-missing",
        "baseline-assignment-stale",
    )
    for file in (SAMPLES / rule).glob("*.json")
    if not file.name.startswith("failed-")
)
PARTS = ("requestParameters", "responseElements", "serviceEventDetails", "userIdentity")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(MEMBER),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A sample in which one or two values at any depth were changed into anything, or are gone."""
    event: dict[str, Any] = copy.deepcopy(json.loads(draw(st.sampled_from(FILES)).read_text()))
    for _ in range(draw(st.integers(min_value=1, max_value=2))):
        holder: Any = event["detail"]
        name: Any = draw(st.sampled_from(PARTS))
        while True:
            inner = holder.get(name) if isinstance(holder, dict) else holder[name]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
                holder = inner
                keys = sorted(inner) if isinstance(inner, dict) else range(len(inner))
                name = draw(st.sampled_from(keys))
                continue
            if isinstance(holder, dict) and draw(st.booleans()):
                holder.pop(name, None)
            else:
                holder[name] = draw(JSON)
            break
    return event


@given(event=mutated(), baselines=st.sampled_from([NONE, BASELINES, BY_PLACE]))
def test_whatever_an_event_holds_it_is_read_or_refused_in_one_line(
    event: dict[str, Any], baselines: Baselines
) -> None:
    found: tuple[AccountAccess | AccountLifecycle, ...] = ()
    many, refused = None, ""
    try:
        hint = events.parse(event)
        found = claimed(hint, baselines)
        many = scope(hint, baselines)
    except EventError as error:
        refused = str(error)
    assert "\n" not in refused
    assert many is None or many.startswith("unit ")
    for subject in found:
        assert subject.account.isascii()
        assert subject.account.isdigit()
        assert len(subject.account) == 12
        if isinstance(subject, AccountLifecycle):
            assert subject.name
            assert isinstance(subject.message, str | None)
