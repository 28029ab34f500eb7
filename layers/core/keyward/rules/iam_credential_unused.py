"""An active access key or a console password of an IAM user that nobody uses.

Why: what nobody uses nobody misses when it is stolen, and nobody notices when it is used again. It
is also the credential that can go without breaking anything.

Raised by: the sweep only: no event tells that nothing happens. Regions: IAM's (us-east-1), every
account. A key or password counts as unused when its last use, or, where it was never used, its
making, is longer ago than `unused_days` and a day: IAM tells of uses late, and only of the first in
some minutes. IAM has kept track of passwords since 2014-10-20 and of keys since 2015-04-22; what it
knows no use of was not used since then.
In mode enforce the owner is warned first. With the first sweep after `grace_days` a key becomes
inactive; a password can't be switched off and back on, so that its user is quarantined, and with it
the user's keys, used or not. Who uses the credential meanwhile, or deletes it, hears no more of it.
The owner is whom the user's tags name (`sweeps.owner_tags` in /keyward/settings), else the owner of
an exemption for this user, else who made the credential. What had gone unused before the rule began
to enforce is reported.

Known gaps: a user whose keys are at work and whose password isn't used is quarantined with its
keys: delete the password (`aws iam delete-login-profile`) before the grace period ends, or exempt
the user. Of passwords IAM tells no sign-in between 2018-05-03 and 2018-05-23. A password that was
renewed but never used counts from when it was first set. SSH keys, signing certificates and
service-specific credentials aren't looked at: IAM tells too little of their use. Nobody is written
to but those who read Keyward's alerts: the warning names the owner.

How to fix: deactivate the key and delete it a week later; delete the login profile. Or record an
exemption with an owner and an end, where it is kept for a disaster, for instance.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_finding-unused.html
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccessKey, ConsolePassword, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings
from keyward.text import many

MARGIN = timedelta(days=1)
"""IAM tells of a use with delay; a credential report may be four hours old.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""


class Settings(RuleSettings):
    """How long a credential may go unused, and how much time its owner has."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")
    unused_days: int = Field(
        default=45, ge=1, le=3650, description="So many days a credential may go unused."
    )
    grace_days: int = Field(
        default=14,
        ge=0,
        le=365,
        description=(
            "So many days after the warning the credential is contained; 0: at once, unwarned."
        ),
    )


def judge(
    credential: AccessKey | ConsolePassword, hint: Hint, settings: Settings
) -> Iterator[Reason]:
    """Objects to an active key, or a password, that wasn't used for too long.

    Where its use, or its age, was not read it only may be so.
    """
    if isinstance(credential, AccessKey) and not credential.active:
        return
    made, limit = _made(credential), timedelta(days=settings.unused_days)
    if made is not None and hint.time - made <= limit + MARGIN:
        return  # whenever it was used
    last = max((at for at in (made, credential.used_at) if at is not None), default=None)
    if last is None or not credential.use_known:
        text = f"{credential.label} may not have been used for {many(settings.unused_days, 'day')}"
        yield Reason(code="unused", text=text, maybe=True, report_only=True)
        return
    idle = hint.time - last
    if idle <= limit + MARGIN:
        return
    if credential.used_at is not None:
        what = f"was used last on {credential.used_at:%Y-%m-%d}"
    else:
        what = "was never used"
    if last is made:
        what += f", though it could be since {last:%Y-%m-%d}"
    yield Reason(
        code="unused",
        text=(
            f"{credential.label} {what}: {many(idle.days, 'day')} unused, "
            f"{many(settings.unused_days, 'day')} are allowed"
        ),
        since=last + limit + MARGIN,
        grace_days=settings.grace_days,
    )


def _made(credential: AccessKey | ConsolePassword) -> datetime | None:
    """When it came to be usable: a key that was switched on again has a new chance."""
    if isinstance(credential, ConsolePassword):
        return credential.since
    known = [at for at in (credential.created_at, credential.since) if at is not None]
    return max(known, default=None)


RULE = Rule(
    id="iam-credential-unused",
    triggers={},
    judges=AccessKey | ConsolePassword,
    settings=Settings,
    enforcement=Enforcement.CONTAIN,
    judge=judge,
    fix="Deactivate the key, or delete the login profile, unless somebody needs it.",
    needs="state",
)
