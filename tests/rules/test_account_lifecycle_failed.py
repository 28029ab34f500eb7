import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.account_lifecycle_failed import RULE
from tests.builders import (
    HUB,
    MEMBER,
    a_lifecycle,
    an_account,
    an_assignment,
    exempt_by_id,
    reasons,
)


@pytest.mark.parametrize("state", ["FAILED", "UNKNOWN", "CANCELED", "A_NEW_WORD", ""])
def test_every_end_but_a_good_one_is_objected_to(state: str) -> None:
    (reason,) = reasons(RULE, a_lifecycle(state))
    assert (reason.code, reason.maybe) == ("failed", False)


@pytest.mark.parametrize("state", ["SUCCEEDED", "IN_PROGRESS", "PENDING", "UNDER_CHANGE"])
def test_what_ended_well_or_has_not_ended_is_compliant(state: str) -> None:
    assert reasons(RULE, a_lifecycle(state)) == []


def test_the_reason_says_what_failed_of_what_and_why() -> None:
    subject = a_lifecycle(change="UpdateManagedAccount", message="The role is missing.")
    (reason,) = reasons(RULE, subject)
    assert reason.text == f"UpdateManagedAccount of {MEMBER} ended as FAILED: The role is missing."


def test_without_aws_s_reason_it_says_what_failed() -> None:
    subject = a_lifecycle(change="CreateAccountResult", account=HUB, name="car-1")
    (reason,) = reasons(RULE, subject)
    assert reason.text == "CreateAccountResult of car-1 ended as FAILED"


def test_other_subjects_are_none_of_its_business() -> None:
    assert reasons(RULE, an_account()) == []
    assert reasons(RULE, an_assignment()) == []


def test_it_is_medium_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.REPORT
    assert RULE.needs is None


def test_a_change_is_exempt_by_its_unique_id() -> None:
    subject = a_lifecycle(change="UpdateManagedAccount")
    assert exempt_by_id(RULE, subject, unique_id=f"UpdateManagedAccount/{MEMBER}") == "ours"
    assert exempt_by_id(RULE, subject, unique_id=f"{MEMBER}/access") is None
