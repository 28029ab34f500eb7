import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Governed
from keyward.rules.trail_stopped import RULE
from tests.builders import (
    HUB,
    MEMBER,
    a_hint,
    a_role_session,
    an_organization_change,
    exempt_by_id,
    reasons,
    root_of,
)

EVENTS = RULE.triggers["cloudtrail.amazonaws.com"]
STOPPED = an_organization_change(Governed.TRAIL, "StopLogging", name="organization")
CONTROL_TOWER = "service-role/AWSControlTowerAdmin"


@pytest.mark.parametrize("event", EVENTS)
def test_every_change_of_a_trail_is_objected_to(event: str) -> None:
    change = an_organization_change(Governed.TRAIL, event, name="organization")
    (reason,) = reasons(RULE, change, a_hint(event, actor=root_of(HUB)))
    assert (reason.code, reason.maybe) == (event, False)
    assert reason.text == f"{event} of trail organization by arn:aws:iam::{HUB}:root"


@pytest.mark.parametrize(
    ("path", "account", "is_let_be"),
    [
        (CONTROL_TOWER, HUB, True),
        ("AWSControlTowerAdmin", HUB, False),
        (CONTROL_TOWER, MEMBER, False),
    ],
)
def test_what_control_tower_does_is_compliant_in_its_own_account(
    path: str, account: str, *, is_let_be: bool
) -> None:
    hint = a_hint("StopLogging", actor=a_role_session(path, account=account))
    assert (reasons(RULE, STOPPED, hint) == []) is is_let_be


@pytest.mark.parametrize(
    ("pattern", "is_let_be"),
    [(f"arn:aws:iam::{HUB}:role/ci/*", True), (f"arn:aws:iam::{MEMBER}:role/ci/*", False)],
)
def test_what_the_owners_change_is_compliant(pattern: str, *, is_let_be: bool) -> None:
    hint = a_hint("StopLogging", actor=a_role_session("ci/trails", account=HUB))
    assert (reasons(RULE, STOPPED, hint, owners=(pattern,)) == []) is is_let_be


@pytest.mark.parametrize("what", [it for it in Governed if it is not Governed.TRAIL])
def test_other_changes_are_none_of_its_business(what: Governed) -> None:
    assert reasons(RULE, an_organization_change(what)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_trail_is_exempt() -> None:
    assert exempt_by_id(RULE, STOPPED, unique_id="trail/organization") == "ours"
    assert exempt_by_id(RULE, STOPPED, unique_id="trail/another") is None
