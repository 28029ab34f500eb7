"""AWS attached its policy for compromised keys to an IAM user: a key of that user has leaked.

Why: AWS does so when it finds a key in public, for example in a repository. Its policy denies some
costly calls only; the leaked key goes on working for most others.

Raised by: AttachUserPolicy of AWSCompromisedKeyQuarantine, in any of its versions. Regions: IAM's
(us-east-1), every account.
In mode enforce every access key of that user becomes inactive, since AWS's event doesn't tell which
one leaked.

Known gaps: anybody who may attach policies can attach this one and so have the user's keys
deactivated in mode enforce. Sessions made from the key with GetSessionToken live on for up to 36
hours; quarantine the user to cut them.

How to fix: find what used the key, give that a role, look through the trail for what else did, and
delete the key. Answer AWS's support case; detach the policy last.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import AWS_QUARANTINE_ARN, Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, UserPolicy
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )


def judge(policy: UserPolicy, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to AWS's own quarantine policy, told by its ARN."""
    if policy.arn is not None and policy.arn.startswith(AWS_QUARANTINE_ARN):
        yield Reason(
            code="leaked",
            text=f"AWS holds a key of {policy.owner.label} for leaked ({policy.name})",
        )


RULE = Rule(
    id="iam-key-quarantined-by-aws",
    triggers={"iam.amazonaws.com": ("AttachUserPolicy",)},
    judges=UserPolicy,
    settings=Settings,
    enforcement=Enforcement.DEACTIVATE_ACCESS_KEY,
    judge=judge,
    fix="Find what used the leaked key and what else did; give it a role; then delete the key.",
)
