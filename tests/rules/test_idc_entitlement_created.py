import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_entitlement_created import RULE
from tests.builders import MEMBER, a_center_change, exempt_by_id, reasons

ROLE = f"arn:aws:iam::{MEMBER}:role/Developer"
CREATED = a_center_change(Part.ENTITLEMENT, "CreateEntitlement", name="ent-1")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"userId": "bob", "roleArn": ROLE}, f"user bob may assume {ROLE}"),
        ({"groupId": "admins", "roleArn": ROLE}, f"group admins may assume {ROLE}"),
        ({}, "principal somebody may assume a role"),
    ],
)
def test_an_entitlement_is_objected_to_with_who_may_assume_what(
    values: dict[str, str], told: str
) -> None:
    (reason,) = reasons(RULE, a_center_change(Part.ENTITLEMENT, "CreateEntitlement", **values))
    assert reason.code == "created"
    assert told in reason.text


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.ENTITLEMENT])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_entitlement_is_exempt() -> None:
    assert exempt_by_id(RULE, CREATED) == "ours"
