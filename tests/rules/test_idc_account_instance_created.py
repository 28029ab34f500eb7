import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_account_instance_created import RULE
from tests.builders import (
    HUB,
    MEMBER,
    OTHER_MEMBER,
    a_center_change,
    exempt_by_id,
    reasons,
)

CREATED = a_center_change(Part.INSTANCE, "CreateInstance", account=MEMBER, name="arn:new")


@pytest.mark.parametrize("account", [MEMBER, OTHER_MEMBER, HUB])
def test_an_instance_is_objected_to_in_any_account(account: str) -> None:
    (reason,) = reasons(RULE, a_center_change(Part.INSTANCE, "CreateInstance", account=account))
    assert reason.code == "created"
    assert f"account {account}" in reason.text


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.INSTANCE])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_instance_is_exempt_in_its_own_account_alone() -> None:
    assert exempt_by_id(RULE, CREATED) == "ours"
    assert exempt_by_id(RULE, CREATED, account=OTHER_MEMBER) is None
