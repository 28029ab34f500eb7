import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.iam_key_quarantined_by_aws import RULE
from tests.builders import MEMBER, a_policy, exempt_by, reasons


@pytest.mark.parametrize("version", ["", "V2", "V3", "V4"])
def test_each_version_of_awss_policy_is_objected_to(version: str) -> None:
    arn = f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}"
    (reason,) = reasons(RULE, a_policy(arn))
    assert reason.code == "leaked"


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{MEMBER}:policy/AWSCompromisedKeyQuarantineV3",
        "arn:aws:iam::aws:policy/job-function/AWSCompromisedKeyQuarantineV3",
        "arn:aws:iam::aws:policy/awscompromisedkeyquarantinev3",
        "arn:aws:iam::aws:policy/AWSDenyAll",
        "AWSCompromisedKeyQuarantineV3",
        None,
    ],
)
def test_look_alikes_and_other_policies_are_compliant(arn: str | None) -> None:
    assert reasons(RULE, a_policy(arn)) == []


def test_it_is_critical_and_deactivates_keys() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.DEACTIVATE_ACCESS_KEY


def test_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_policy()) == "ours"
