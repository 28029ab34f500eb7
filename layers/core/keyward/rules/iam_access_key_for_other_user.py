"""An access key was made by somebody else than the user who owns it.

Why: whoever makes a key for another user can act as that user, and the trail then names the wrong
one. It is a common way to stay in an account and to climb in it.

Raised by: CreateAccessKey. Regions: IAM's (us-east-1), every account.
High; critical where the owner is older than the setting `established_after_hours` says (a new
user's first key is mostly its maker's routine, an old user's new key isn't).
In mode enforce that key, and no other, becomes inactive.

Known gaps: the owner's age is known only from AWS's present state, so that the event alone gives
high. Whether the owner may do more than the actor is not known yet, and doesn't raise the severity.
A session made from the user's own key counts as the user. A sweep cannot tell who made a key.

How to fix: ask the actor what the key is for. If nobody knows: treat the actor as compromised,
revoke its sessions, and delete the key.
"""

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccessKey, Actor, Hint, IamUser
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """What it has beyond every rule's: when an owner counts as established, and how grave it is."""

    established_after_hours: int = Field(
        default=24,
        ge=0,
        le=8760,
        description="An owner who is older than this makes the finding graver.",
    )
    established_severity: Severity = Field(
        default=Severity.CRITICAL,
        description="How soon somebody must look when the owner is older than that.",
    )


def judge(key: AccessKey, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to an active key that anybody but its owner made."""
    if not key.active or hint.origin == "sweep" or _is_owner(hint.actor, key.owner):
        return
    text = f"{key.label} was made by {hint.actor.label}"
    created_at = key.owner.created_at
    limit = timedelta(hours=settings.established_after_hours)
    if created_at is not None and hint.time - created_at > limit:
        text += f", and that user is older than {settings.established_after_hours} hours"
        yield Reason(code="for-other", text=text, severity=settings.established_severity)
    else:
        yield Reason(code="for-other", text=text)


def _is_owner(actor: Actor, owner: IamUser) -> bool:
    """Account and name agree, and the unique ids too where both are known."""
    if actor.type != "IAMUser" or actor.account != owner.account:
        return False
    if actor.user_name != owner.name:
        return False
    return owner.user_id is None or actor.principal_id in {None, owner.user_id}


RULE = Rule(
    id="iam-access-key-for-other-user",
    triggers={"iam.amazonaws.com": ("CreateAccessKey",)},
    judges=AccessKey,
    settings=Settings,
    enforcement=Enforcement.DEACTIVATE_ACCESS_KEY,
    judge=judge,
    fix="Ask the actor what the key is for; unless somebody knows, revoke the actor's sessions.",
    needs="state",
)
