"""The root user of an account has an access key.

Why: nothing limits root but an SCP, and in the management account not even that. No task needs a
key of root.

Raised by: CreateAccessKey by root for itself; UpdateAccessKey to Active likewise. Regions: IAM's
(us-east-1), every account.
In mode enforce it is reported as well: only root can change its keys.

Known gaps: deleting the key through AssumeRoot (task policy IAMDeleteRootUserCredentials) is left
to people, since that credential must not lie with a program that listens to events. IAM tells
whether root has keys, never which or how many are active.

How to fix: sign in as root and delete the key, or delete it from the management account by central
root access; then turn on the SCP that denies root in members.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, RootAccessKey
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )


def judge(key: RootAccessKey, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every key of a root user."""
    yield Reason(code="exists", text=f"the root user of {key.account} has an access key")


RULE = Rule(
    id="iam-root-access-key-created",
    triggers={"iam.amazonaws.com": ("CreateAccessKey", "UpdateAccessKey")},
    judges=RootAccessKey,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Delete the key as root, or from the management account by central root access.",
)
