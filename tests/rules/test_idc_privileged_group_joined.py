from dataclasses import replace

import pytest
from pydantic import ValidationError

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import GroupMembership
from keyward.rules.idc_privileged_group_joined import RULE
from tests.builders import (
    HUB,
    NOW,
    a_center_hint,
    a_key,
    a_role_session,
    exempt_by_id,
    reasons,
)

GROUP = "93a4b5c6-1001-70aa-b2c3-4d5e6f708192"
OTHER_GROUP = "906abcdef0-93a4b5c6-1001-70aa-b2c3-4d5e6f708193"
CLAIMED = GroupMembership(
    account=HUB, group_id=GROUP, via="console", member_id="bob's id", since=NOW
)
READ = replace(CLAIMED, group_name="Admins", member_name="bob@example.com")


@pytest.mark.parametrize("membership", [CLAIMED, READ])
def test_joining_a_group_that_is_privileged_by_id_is_certain(membership: GroupMembership) -> None:
    (reason,) = reasons(RULE, membership, groups=(GROUP,), group_names=())
    assert (reason.code, reason.maybe) == ("joined", False)


def test_joining_another_group_costs_nothing_where_ids_alone_say_which_are_privileged() -> None:
    assert reasons(RULE, CLAIMED, groups=(OTHER_GROUP,), group_names=()) == []


def test_whether_a_group_is_privileged_by_name_only_its_name_can_tell() -> None:
    (perhaps,) = reasons(RULE, CLAIMED, group_names=("Admins",))
    (certain,) = reasons(RULE, READ, group_names=("Admins",))
    assert (perhaps.code, perhaps.maybe) == (certain.code, True)
    assert not certain.maybe
    assert RULE.needs == "state"


@pytest.mark.parametrize(
    ("name", "is_privileged"),
    [("Admins", True), ("ADMINS", True), ("admins", True), ("Admins2", False), ("", False)],
)
def test_names_are_compared_whole_and_without_regard_to_case(
    name: str, *, is_privileged: bool
) -> None:
    membership = replace(READ, group_name=name)
    assert bool(reasons(RULE, membership, group_names=("Admins",))) is is_privileged


@pytest.mark.parametrize("name", ["AWSControlTowerAdmins", "AWSSecurityAuditPowerUsers"])
def test_control_towers_groups_are_privileged_unless_settings_say_otherwise(name: str) -> None:
    membership = replace(READ, group_name=name)
    assert reasons(RULE, membership)
    assert reasons(RULE, membership, group_names=()) == []


def test_without_any_group_in_the_settings_nothing_is_looked_at() -> None:
    assert reasons(RULE, CLAIMED, group_names=()) == []


def test_it_says_who_joined_what_by_whom_and_how() -> None:
    hint = a_center_hint(actor=a_role_session("ci/deployer", account=HUB))
    (reason,) = reasons(RULE, READ, hint, groups=(GROUP,))
    for part in ("bob@example.com", "Admins", "assumed-role/deployer", "console"):
        assert part in reason.text


def test_a_member_whom_scim_masks_is_told_as_somebody() -> None:
    masked = replace(READ, via="scim", member_id=None, member_name=None)
    (reason,) = reasons(RULE, masked, groups=(GROUP,))
    assert "somebody (masked by SCIM)" in reason.text


@pytest.mark.parametrize("group", [GROUP, OTHER_GROUP])
def test_both_forms_of_a_groups_id_are_taken(group: str) -> None:
    assert RULE.settings(groups=(group,)).groups == (group,)


@pytest.mark.parametrize("field", ["groups", "group_names"])
def test_what_is_no_id_or_name_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        RULE.settings.model_validate({field: ("",)})
    with pytest.raises(ValidationError, match="groups"):
        RULE.settings.model_validate({"groups": ("Admins",)})


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_membership_is_exempt() -> None:
    assert exempt_by_id(RULE, CLAIMED) == "ours"
    assert exempt_by_id(RULE, replace(CLAIMED, member_id="eve's id"), unique_id="x") is None
    assert exempt_by_id(RULE, CLAIMED, unique_id=f"{GROUP}/another") is None
