"""A policy stands directly on an IAM user.

Why: what is granted to a user and not to a role or a permission set is overlooked when access is
reviewed, and outlives the reason for it.

Raised by: AttachUserPolicy, PutUserPolicy. Regions: IAM's (us-east-1), every account.
In mode enforce it is reported as well: taking away a policy may stop a workload.
AWSDenyAll and AWS's AWSCompromisedKeyQuarantine policies grant nothing and are let be.

Known gaps: what an inline policy grants isn't read, so that one that only denies is reported, too.
Groups give a user access without any policy of its own: those aren't judged here.

How to fix: put the policy on a role or a permission set, or at least on a group; then detach it
from the user. Or record an exemption with an owner and an end.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import AWS_QUARANTINE_ARN, DENY_ALL_ARN, Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, UserPolicy
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")


def judge(policy: UserPolicy, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every policy on a user that may grant something."""
    if policy.arn is None:
        yield Reason(code="attached", text=f"inline {policy.label}")
    elif policy.arn != DENY_ALL_ARN and not policy.arn.startswith(AWS_QUARANTINE_ARN):
        yield Reason(code="attached", text=f"{policy.label} ({policy.arn})")


RULE = Rule(
    id="iam-user-policy-attached",
    triggers={"iam.amazonaws.com": ("AttachUserPolicy", "PutUserPolicy")},
    judges=UserPolicy,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Put the policy on a role or a permission set; then detach it from the user.",
)
