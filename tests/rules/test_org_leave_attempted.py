import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Governed
from keyward.rules.org_leave_attempted import RULE
from tests.builders import MEMBER, an_organization_change, exempt_by_id, reasons

EVENTS = RULE.triggers["organizations.amazonaws.com"]
LEFT = an_organization_change(Governed.MEMBERSHIP, "LeaveOrganization", account=MEMBER, name=MEMBER)


@pytest.mark.parametrize("event", EVENTS)
def test_an_account_that_goes_is_objected_to_whoever_takes_it_out(event: str) -> None:
    (reason,) = reasons(RULE, an_organization_change(Governed.MEMBERSHIP, event, name=MEMBER))
    assert (reason.code, reason.maybe) == ("left", False)
    assert reason.text.startswith(f"membership of account {MEMBER} ends: {event} by ")


@pytest.mark.parametrize(
    ("method", "is_found"), [("LEFT", True), ("REMOVED", True), ("CLEANED", False), ("new", True)]
)
def test_a_closed_account_that_aws_cleans_up_is_compliant(method: str, *, is_found: bool) -> None:
    found = reasons(
        RULE, an_organization_change(Governed.MEMBERSHIP, EVENTS[0], departureMethod=method)
    )
    assert [reason.details for reason in found] == (
        [(f"departure method: {method}",)] if is_found else []
    )


@pytest.mark.parametrize("what", [it for it in Governed if it is not Governed.MEMBERSHIP])
def test_other_changes_are_none_of_its_business(what: Governed) -> None:
    assert reasons(RULE, an_organization_change(what)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_account_is_exempt() -> None:
    assert exempt_by_id(RULE, LEFT, unique_id=f"membership of account/{MEMBER}") == "ours"
    assert exempt_by_id(RULE, LEFT, unique_id="membership of account/1") is None
