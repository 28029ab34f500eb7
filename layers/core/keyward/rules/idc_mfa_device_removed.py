"""An MFA device of an Identity Center user was removed.

Why: whoever knows a user's password and gets the second factor removed signs in with the password
alone, or registers a device of their own.

Raised by: DeleteMfaDeviceForUser, by an administrator or by the user in the access portal. Regions:
Identity Center's home region, management and delegated administrator's account.
In mode enforce it is reported as well: a device can't be put back.

Known gaps: whether the user has another device left isn't read: no API lists them. A new telephone
raises this, too. Since July 2025 an event of the access portal names the user only by the id on
whose behalf it was. This is a call of the console: AWS's user guide names it, but no real event was
found, so that the fields for user and device are guesses; where the user is missing, the finding
stands for all such users.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/sso-info-in-cloudtrail.html

How to fix: ask the user, by another way than e-mail. Unless it was the user's wish, disable the
user, delete its active sessions, and see which device comes in the old one's place.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every device that is removed, whoever did it."""
    if change.part is not Part.MFA_DEVICE:
        return
    user = change.values.get("userId")
    if user is not None and user == hint.actor.on_behalf_of:
        who = "by the user"
    else:
        who = f"by {hint.actor.label}"
    yield Reason(code="removed", text=f"MFA device of user {user or 'unknown'} was removed {who}")


RULE = Rule(
    id="idc-mfa-device-removed",
    triggers={"sso-directory.amazonaws.com": ("DeleteMfaDeviceForUser",)},
    judges=IdentityCenterChange,
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the user by another way than e-mail; else disable the user and delete its sessions.",
)
