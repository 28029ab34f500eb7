import pytest

from keyward.actions import DENY_ALL_ARN, Enforcement
from keyward.findings import Severity
from keyward.rules.iam_user_policy_attached import RULE
from tests.builders import MEMBER, a_policy, exempt_by, reasons


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        f"arn:aws:iam::{MEMBER}:policy/AWSDenyAll",
        f"arn:aws:iam::{MEMBER}:policy/AWSCompromisedKeyQuarantineV3",
        "arn:aws:iam::aws:policy/AWSDenyAllButNot",
        None,
    ],
)
def test_a_policy_that_may_grant_something_is_objected_to(arn: str | None) -> None:
    (reason,) = reasons(RULE, a_policy(arn))
    assert reason.code == "attached"


@pytest.mark.parametrize(
    "arn", [DENY_ALL_ARN, "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"]
)
def test_awss_own_denying_policies_are_compliant(arn: str) -> None:
    assert reasons(RULE, a_policy(arn)) == []


def test_it_is_medium_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_policy()) == "ours"
