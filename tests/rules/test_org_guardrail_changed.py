import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Governed
from keyward.rules.org_guardrail_changed import RULE
from tests.builders import (
    HUB,
    MEMBER,
    a_hint,
    a_role_session,
    a_user_actor,
    an_organization_change,
    exempt_by_id,
    reasons,
)

EVENTS = RULE.triggers["organizations.amazonaws.com"]
POLICY = "p-examplepolicyid111"
DETACHED = an_organization_change(Governed.POLICY, "DetachPolicy", name=f"{POLICY} on r-exam")
CONTROL_TOWER = "service-role/AWSControlTowerAdmin"


@pytest.mark.parametrize("event", [name for name in EVENTS if name != "DisablePolicyType"])
def test_a_policy_of_no_known_type_is_objected_to(event: str) -> None:
    (reason,) = reasons(RULE, an_organization_change(Governed.POLICY, event, name=POLICY))
    assert (reason.code, reason.maybe) == (event, False)
    assert reason.text.startswith(f"{event} of policy {POLICY} by ")


@pytest.mark.parametrize("what", [Governed.POLICY, Governed.POLICY_TYPE])
@pytest.mark.parametrize(
    ("kind", "is_found"),
    [
        ("SERVICE_CONTROL_POLICY", True),
        ("RESOURCE_CONTROL_POLICY", True),
        ("TAG_POLICY", False),
        ("BACKUP_POLICY", False),
    ],
)
def test_only_what_bounds_accounts_counts(what: Governed, kind: str, *, is_found: bool) -> None:
    found = reasons(RULE, an_organization_change(what, "UpdatePolicy", type=kind))
    assert [reason.details for reason in found] == ([(f"type: {kind}",)] if is_found else [])


@pytest.mark.parametrize(
    ("path", "account", "is_let_be"),
    [
        (CONTROL_TOWER, HUB, True),
        ("AWSControlTowerAdmin", HUB, False),
        ("other/AWSControlTowerAdmin", HUB, False),
        (CONTROL_TOWER, MEMBER, False),
    ],
)
def test_what_control_tower_does_is_compliant_in_its_own_account(
    path: str, account: str, *, is_let_be: bool
) -> None:
    hint = a_hint("DetachPolicy", account=HUB, actor=a_role_session(path, account=account))
    assert (reasons(RULE, DETACHED, hint) == []) is is_let_be


@pytest.mark.parametrize(
    ("pattern", "is_let_be"),
    [
        (f"arn:aws:iam::{HUB}:role/ci/*", True),
        (f"arn:aws:iam::{MEMBER}:role/ci/*", False),
        (f"arn:aws:iam::{HUB}:role/*", False),
    ],
)
def test_what_the_owners_change_is_compliant(pattern: str, *, is_let_be: bool) -> None:
    hint = a_hint("DetachPolicy", actor=a_role_session("ci/policies", account=HUB))
    assert (reasons(RULE, DETACHED, hint, owners=(pattern,)) == []) is is_let_be


def test_by_default_nobody_is_expected() -> None:
    assert reasons(RULE, DETACHED, a_hint("DetachPolicy", actor=a_user_actor(account=HUB)))


@pytest.mark.parametrize("what", [Governed.MEMBERSHIP, Governed.TRAIL])
def test_other_changes_are_none_of_its_business(what: Governed) -> None:
    assert reasons(RULE, an_organization_change(what)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_policy_is_exempt() -> None:
    assert exempt_by_id(RULE, DETACHED, unique_id=f"policy/{POLICY} on r-exam") == "ours"
    assert exempt_by_id(RULE, DETACHED, unique_id=f"policy/{POLICY}") is None
