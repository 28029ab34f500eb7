import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_scim_token_changed import RULE
from tests.builders import a_center_change, exempt_by_id, reasons

EVENTS = RULE.triggers["sso-directory.amazonaws.com"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_token_that_comes_or_goes_is_objected_to(event: str) -> None:
    change = a_center_change(Part.SCIM_TOKEN, event, tokenId="token-1")
    (reason,) = reasons(RULE, change)
    assert reason.code == event
    assert reason.details == ("tokenId: token-1",)


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.SCIM_TOKEN])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_token_is_exempt() -> None:
    assert exempt_by_id(RULE, a_center_change(Part.SCIM_TOKEN, EVENTS[0])) == "ours"
