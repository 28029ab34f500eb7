"""An IAM user has an active access key that nobody exempted.

Why: an access key works from anywhere until somebody deactivates it. IAM Identity Center gives
people credentials that end by themselves, and roles give them to machines.

Raised by: CreateAccessKey; UpdateAccessKey to Active. Regions: IAM's (us-east-1), every account.
In mode enforce that key, and no other, becomes inactive.

Known gaps: sessions made from the key with GetSessionToken live on for up to 36 hours; quarantine
the user to cut them. Keys of the root user are judged by iam-root-access-key-created.

How to fix: give the person a permission set in Identity Center (`aws sso login`); give CI a role
with OIDC trust; or record an exemption with an owner and an end.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import AccessKey, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """No settings of its own."""


def judge(key: AccessKey, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to an active key, whoever made it."""
    if key.active:
        yield Reason(code="active", text=f"{key.label} is active")


RULE = Rule(
    id="iam-access-key-created",
    triggers={"iam.amazonaws.com": ("CreateAccessKey", "UpdateAccessKey")},
    judges=AccessKey,
    settings=Settings,
    enforcement=Enforcement.DEACTIVATE_ACCESS_KEY,
    judge=judge,
    fix="Use a permission set of Identity Center (aws sso login) or a role; then delete the key.",
)
