"""An access key is past its rotation age, or the older of two that stayed active together.

Why: whoever copied a key can use it for as long as it is active. The older a key, the more places
hold a copy, and the fewer people know them all. A user has two keys so that one can be replaced;
when both stay active, the old one was forgotten.

Raised by: the sweep only: no event tells that time passes. Regions: IAM's (us-east-1), every
account. A key is too old once it is older than `max_age_days`; the older of two active keys also
once `overlap_days` have passed since the newer was made.
In mode enforce the owner is warned first; that key, and no other, becomes inactive with the first
sweep after `grace_days`. Who rotates the key meanwhile hears no more of it. The owner is whom the
user's tags name (`sweeps.owner_tags` in /keyward/settings), else the owner of an exemption for this
user, else who made the key. A key that came of age before the rule began to enforce is reported.

Known gaps: a key that was inactive and is active again has the age that it always had. Sessions
made from the key with GetSessionToken live on for up to 36 hours. Nobody is written to but those
who read Keyward's alerts: the warning names the owner.

How to fix: make the second key, bring it to where the first is used, see by its last use that
nobody uses the first any more, deactivate that, and delete it a week later. Better: use a role or
Identity Center, which have no key to rotate. Or record an exemption with an owner and an end.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id-credentials-access-keys-update.html
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccessKey, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings
from keyward.text import many


class Settings(RuleSettings):
    """How old a key may get, and how much time its owner has."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")
    max_age_days: int = Field(
        default=90, ge=1, le=3650, description="So many days old a key may get."
    )
    overlap_days: int = Field(
        default=14,
        ge=0,
        le=3650,
        description="So many days after a newer key was made the older one may stay active.",
    )
    grace_days: int = Field(
        default=14,
        ge=0,
        le=365,
        description=(
            "So many days after the warning the key becomes inactive; 0: at once, unwarned."
        ),
    )


def judge(key: AccessKey, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to an active key that is too old, and to one that should have been replaced.

    Of a key whose age was not read either only may be so.
    """
    if not key.active:
        return
    if key.created_at is None:
        text = f"{key.label} may be older than {many(settings.max_age_days, 'day')}"
        yield Reason(code="too-old", text=text, maybe=True, report_only=True)
        text = f"{key.label} may be the older of two for longer than a rotation takes"
        yield Reason(code="second-key", text=text, maybe=True, report_only=True)
        return
    age = hint.time - key.created_at
    if age > timedelta(days=settings.max_age_days):
        yield Reason(
            code="too-old",
            text=(
                f"{key.label} is {many(age.days, 'day')} old (made on {_day(key.created_at)}); "
                f"{many(settings.max_age_days, 'day')} are allowed"
            ),
            since=key.created_at + timedelta(days=settings.max_age_days),
            grace_days=settings.grace_days,
        )
    if key.newer_since is None:
        return
    both = hint.time - key.newer_since
    if both > timedelta(days=settings.overlap_days):
        yield Reason(
            code="second-key",
            text=(
                f"{key.label} (made on {_day(key.created_at)}) is still active "
                f"{many(both.days, 'day')} after the key that replaces it was made "
                f"({_day(key.newer_since)}); {many(settings.overlap_days, 'day')} are allowed"
            ),
            since=key.newer_since + timedelta(days=settings.overlap_days),
            grace_days=settings.grace_days,
        )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


RULE = Rule(
    id="iam-access-key-too-old",
    triggers={},
    judges=AccessKey,
    settings=Settings,
    enforcement=Enforcement.DEACTIVATE_ACCESS_KEY,
    judge=judge,
    fix="Rotate the key: make a new one, use it everywhere, deactivate and delete the old one.",
    needs="state",
)
