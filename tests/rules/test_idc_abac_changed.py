import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_abac_changed import RULE
from tests.builders import a_center_change, exempt_by_id, reasons

EVENTS = RULE.triggers["sso.amazonaws.com"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_change_of_the_attributes_is_objected_to_with_what_they_are_now(event: str) -> None:
    change = a_center_change(Part.ACCESS_CONTROL_ATTRIBUTES, event, Team="${path:nickName}")
    (reason,) = reasons(RULE, change)
    assert reason.code == event
    assert reason.details == ("Team: ${path:nickName}",)


@pytest.mark.parametrize(
    "part", [part for part in Part if part is not Part.ACCESS_CONTROL_ATTRIBUTES]
)
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_instance_is_exempt() -> None:
    assert exempt_by_id(RULE, a_center_change(Part.ACCESS_CONTROL_ATTRIBUTES)) == "ours"
