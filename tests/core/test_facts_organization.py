"""What an event claims of the organization's members and policies, and of trails."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward import events, facts
from keyward.facts.organization import claimed
from keyward.model import Governed, Hint, OrganizationChange
from tests.builders import HUB, MEMBER, NOW, SAMPLES, a_hint

ORGANIZATIONS, CLOUDTRAIL = "organizations.amazonaws.com", "cloudtrail.amazonaws.com"
POLICY = "p-examplepolicyid111"
ARN = f"arn:aws:cloudtrail:eu-central-1:{HUB}:trail/organization"
OF_TYPE = {"policy": {"policySummary": {"name": "guardrails", "type": "SERVICE_CONTROL_POLICY"}}}


def an_event(
    name: str,
    parameters: Mapping[str, object] | None = None,
    response: Mapping[str, object] | None = None,
    *,
    account: str = HUB,
    **details: object,
) -> Hint:
    trail = name in {"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"}
    hint = a_hint(
        name,
        source=CLOUDTRAIL if trail else ORGANIZATIONS,
        account=account,
        parameters=parameters,
        response=response,
    )
    return replace(hint, details=details)


def only(hint: Hint) -> OrganizationChange:
    (change,) = claimed(hint)
    return change


@pytest.mark.parametrize(
    ("hint", "account", "what", "name", "values"),
    [
        (an_event("LeaveOrganization", account=MEMBER), MEMBER, Governed.MEMBERSHIP, MEMBER, {}),
        (
            an_event("RemoveAccountFromOrganization", {"accountId": MEMBER}),
            MEMBER,
            Governed.MEMBERSHIP,
            MEMBER,
            {},
        ),
        (
            an_event(
                "AccountDepartedOrganization",
                accountId=MEMBER,
                managementAccountId=HUB,
                departureMethod="LEFT",
            ),
            MEMBER,
            Governed.MEMBERSHIP,
            MEMBER,
            {"departureMethod": "LEFT"},
        ),
        (
            an_event(
                "AccountDepartedOrganization",
                managementAccountId=HUB,
                departure={"memberAccountId": MEMBER, "departureMethod": "REMOVED"},
            ),
            MEMBER,
            Governed.MEMBERSHIP,
            MEMBER,
            {"departureMethod": "REMOVED"},
        ),
        (
            an_event("AttachPolicy", {"policyId": POLICY, "targetId": "r-exam"}),
            HUB,
            Governed.POLICY,
            f"{POLICY} on r-exam",
            {},
        ),
        (
            an_event("DetachPolicy", {"policyId": POLICY, "targetId": MEMBER}),
            HUB,
            Governed.POLICY,
            f"{POLICY} on {MEMBER}",
            {},
        ),
        (
            an_event("UpdatePolicy", {"policyId": POLICY, "content": "{}"}, OF_TYPE),
            HUB,
            Governed.POLICY,
            POLICY,
            {"name": "guardrails", "type": "SERVICE_CONTROL_POLICY"},
        ),
        (an_event("DeletePolicy", {"policyId": POLICY}), HUB, Governed.POLICY, POLICY, {}),
        (
            an_event("DisablePolicyType", {"rootId": "r-exam", "policyType": "TAG_POLICY"}),
            HUB,
            Governed.POLICY_TYPE,
            "TAG_POLICY",
            {"type": "TAG_POLICY", "rootId": "r-exam"},
        ),
        (an_event("StopLogging", {"name": ARN}), HUB, Governed.TRAIL, "organization", {}),
        (an_event("DeleteTrail", {"name": "one"}), HUB, Governed.TRAIL, "one", {}),
        (an_event("UpdateTrail", {"name": "one"}), HUB, Governed.TRAIL, "one", {}),
        (
            an_event("PutEventSelectors", {"trailName": ARN, "eventSelectors": []}),
            HUB,
            Governed.TRAIL,
            "organization",
            {},
        ),
    ],
    ids=lambda it: it.event_name if isinstance(it, Hint) else "",
)
def test_a_change_is_claimed_with_what_the_event_tells_of_it(
    hint: Hint, account: str, what: Governed, name: str, values: dict[str, str]
) -> None:
    assert only(hint) == OrganizationChange(
        account=account, what=what, name=name, change=hint.event_name, values=values, since=NOW
    )
    assert facts.claimed(hint) == (only(hint),)


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ("RemoveAccountFromOrganization", Governed.MEMBERSHIP),
        ("AccountDepartedOrganization", Governed.MEMBERSHIP),
        ("AttachPolicy", Governed.POLICY),
        ("DetachPolicy", Governed.POLICY),
        ("UpdatePolicy", Governed.POLICY),
        ("DeletePolicy", Governed.POLICY),
        ("DisablePolicyType", Governed.POLICY_TYPE),
        ("StopLogging", Governed.TRAIL),
        ("DeleteTrail", Governed.TRAIL),
        ("UpdateTrail", Governed.TRAIL),
        ("PutEventSelectors", Governed.TRAIL),
    ],
)
def test_a_change_is_claimed_even_where_the_event_says_nothing_of_it(
    event: str, what: Governed
) -> None:
    for hint in (an_event(event), an_event(event, {"name": 1, "policyId": [], "accountId": "x"})):
        change = only(hint)
        assert (change.account, change.what, change.name) == (HUB, what, "")
        assert change.label == what


@pytest.mark.parametrize(
    "event", ["CreatePolicy", "DescribePolicy", "AccountJoinedOrganization", "CloseAccount"]
)
def test_other_events_are_about_no_change_of_the_kind(event: str) -> None:
    assert claimed(an_event(event, {"policyId": POLICY})) == ()
    assert claimed(a_hint("StopLogging", source="example.amazonaws.com")) == ()


def test_of_a_long_value_the_beginning_is_kept() -> None:
    assert only(an_event("StopLogging", {"name": "x" * 300})).name == "x" * 200


FILES = sorted(
    file
    for rule in ("org-guardrail-changed", "org-leave-attempted", "trail-stopped")
    for file in (SAMPLES / rule).glob("*.json")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(MEMBER),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2)
    ),
    max_leaves=4,
)


@given(
    file=st.sampled_from(FILES),
    parts=st.dictionaries(
        st.sampled_from(("requestParameters", "responseElements", "serviceEventDetails")),
        st.dictionaries(
            st.sampled_from(("name", "policyId", "accountId", "policy", "policyType", "x")), JSON
        ),
    ),
)
def test_whatever_an_event_holds_it_is_claimed(file: Any, parts: dict[str, Any]) -> None:
    event = copy.deepcopy(json.loads(file.read_text()))
    event["detail"] |= parts
    change = only(events.parse(event))
    assert len(change.account) == 12
    assert all(isinstance(value, str) for value in (change.name, *change.values.values()))
