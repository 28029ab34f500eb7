import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_delegated_admin_changed import RULE
from tests.builders import MEMBER, a_center_change, exempt_by_id, reasons

EVENTS = RULE.triggers["organizations.amazonaws.com"]
REGISTERED = a_center_change(Part.DELEGATED_ADMINISTRATOR, EVENTS[1], name=MEMBER)


@pytest.mark.parametrize("event", EVENTS)
def test_a_delegation_that_comes_or_goes_is_objected_to(event: str) -> None:
    (reason,) = reasons(RULE, a_center_change(Part.DELEGATED_ADMINISTRATOR, event, name=MEMBER))
    assert reason.code == event
    assert MEMBER in reason.text


@pytest.mark.parametrize(
    "part", [part for part in Part if part is not Part.DELEGATED_ADMINISTRATOR]
)
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_account_is_exempt() -> None:
    assert exempt_by_id(RULE, REGISTERED) == "ours"
    assert exempt_by_id(RULE, REGISTERED, unique_id="delegated administrator/1") is None
