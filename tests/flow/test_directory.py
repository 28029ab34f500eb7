"""Sign-in and directory end to end: what is told, and what AWS is asked for it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from keyward.findings import State
from tests import builders
from tests.builders import a_sample
from tests.flow.center import Center
from tests.flow.world import HUB

JOINED = "idc-privileged-group-joined"
LOCAL = "idc-local-identity-created"


def joined(center: Center, group: str, user: str, *, real: bool = True) -> dict[str, Any]:
    """Somebody puts a user into a group in the console; `real` says whether it still is so."""
    if real:
        center.directory.create_group_membership(
            IdentityStoreId=center.store, GroupId=group, MemberId={"UserId": user}
        )
    return center.event(
        "AddMemberToGroup",
        {"identityStoreId": center.store, "groupId": group, "member": {"memberId": user}},
        source="sso-directory.amazonaws.com",
    )


def patched(center: Center, group: str) -> dict[str, Any]:
    """The identity provider puts somebody into a group; whom, SCIM masks."""
    operation = {"op": "ADD", "path": "members", "value": "HIDDEN_DUE_TO_SECURITY_REASONS"}
    return center.event(
        "PatchGroup",
        {"tenantId": "tenant-1", "id": group, "httpBody": {"operations": [operation]}},
        source="identitystore-scim.amazonaws.com",
        actor={"type": "WebIdentityUser", "accountId": HUB},
    )


def test_who_joins_a_privileged_group_is_told_by_name(center: Center) -> None:
    group, user = center.group("AWSControlTowerAdmins"), center.user("jane")
    center.settle(joined(center, group, user))
    record = center.world.finding(JOINED)
    assert record.state is State.OPEN
    assert "jane" in record.subject
    assert "AWSControlTowerAdmins" in record.subject
    assert record in center.world.untold()


def test_who_joins_another_group_costs_the_groups_name_and_leaves_nothing(center: Center) -> None:
    group, user = center.group("Readers"), center.user("jane")
    center.settle(joined(center, group, user))
    assert center.world.findings() == []
    calls = center.counted(joined(center, group, user, real=False))
    assert calls == Counter({"DescribeGroup": 1})


def test_a_join_costs_nothing_where_settings_name_groups_by_id_alone(center: Center) -> None:
    center.world.settings(rules={JOINED: {"group_names": []}})
    event = joined(center, center.group("Readers"), center.user("jane"))
    center.world.services.accepted(center.world.now)
    assert not center.counted(event)


def test_a_member_who_has_left_again_is_recorded_as_that(center: Center) -> None:
    group, user = center.group("AWSControlTowerAdmins"), center.user("jane")
    center.settle(joined(center, group, user, real=False))
    assert center.world.finding(JOINED).state is State.RESOLVED


def test_a_member_who_has_left_another_group_again_is_no_news(center: Center) -> None:
    group, user = center.group("Readers"), center.user("jane")
    center.settle(joined(center, group, user, real=False))
    assert center.world.findings() == []


def test_a_group_that_is_gone_is_no_news(center: Center) -> None:
    event = joined(center, center.group("AWSControlTowerAdmins"), center.user("jane"), real=False)
    event["detail"]["requestParameters"]["groupId"] = "93a4b5c6-1001-70aa-b2c3-4d5e6f708192"
    center.settle(event)
    assert center.world.findings() == []


def test_a_join_by_scim_is_told_without_the_member(center: Center) -> None:
    group = center.group("AWSControlTowerAdmins")
    center.settle(patched(center, group))
    center.settle(patched(center, group))
    record = center.world.finding(JOINED)
    assert "somebody (masked by SCIM)" in record.subject
    assert record.seen == 2


def test_a_user_made_past_the_identity_provider_is_told_and_let_be(center: Center) -> None:
    center.world.settings(rules={LOCAL: {"external_idp": True, "mode": "enforce"}})
    user = center.user("jane")
    event = center.event(
        "CreateUser",
        {"identityStoreId": center.store, "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        {"userId": user},
        source="identitystore.amazonaws.com",
    )
    center.settle(event)
    record = center.world.finding(LOCAL)
    assert (record.state, record.account) == (State.OPEN, HUB)
    assert "jane" in record.subject
    assert center.directory.describe_user(IdentityStoreId=center.store, UserId=user)


@pytest.mark.parametrize(
    ("rule", "sample"),
    [
        ("idc-identity-source-changed", "violating-idp-disabled"),
        ("idc-idp-certificate-changed", "violating-imported"),
        ("idc-scim-token-changed", "violating-token-created"),
        ("idc-mfa-settings-changed", "violating-never"),
        ("idc-mfa-device-removed", "violating-by-the-user"),
        ("idc-sign-in-without-mfa", "violating-password-alone"),
        ("idc-abac-changed", "violating-updated"),
        ("idc-delegated-admin-changed", "violating-registered"),
        ("idc-entitlement-created", "violating-user"),
    ],
)
def test_what_no_api_shows_is_told_once_and_asked_of_nobody(
    center: Center, rule: str, sample: str
) -> None:
    event = sampled(f"{rule}/{sample}.json")
    center.deliver(event)
    record = center.world.finding(rule)
    assert record.state is State.OPEN
    assert record in center.world.untold()
    assert set(center.counted(event)) <= {"TransactWriteItems"}
    assert center.world.finding(rule) == record


def sampled(path: str) -> dict[str, Any]:
    """A sample in the management account of this world."""
    text = json.dumps(a_sample(path)).replace(builders.HUB, HUB)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found
