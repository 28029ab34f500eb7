"""A token of automatic provisioning (SCIM) was made or deleted, or is about to end.

Why: whoever holds a SCIM token can make users, and put them into any group, without an AWS
credential. A deleted token stops provisioning: people who leave then keep their access. So does one
that has ended, and a token lives for a year.

Raised by: CreateBearerToken, DeleteBearerToken, CreateProvisioningTenant, DeleteProvisioningTenant;
and by the sweep for a token's age: once when it is older than `warn_after_days`, and once when it
has ended. Regions: Identity Center's home region, management and delegated administrator's account.
In mode enforce it is reported as well: no public API makes or deletes a token.

Known gaps: no API tells which tokens there are and when one was made. Of a token that was made
before Keyward was there, or whose event was lost, the age is not known, and nobody is warned; and
one whose deletion nobody heard of is warned of though it is gone.
These are calls of the console, which no API reference describes; no real event of them was found.
Their names come from AWS's service authorization reference, the fields shown are guesses. Where one
that deletes a token doesn't name it, it is taken for the oldest. The token itself is never read
from an event.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/provision-automatically.html

How to fix: of a change, ask the actor. If nobody knows, delete the token in the console (Settings,
Identity source, Manage provisioning), look at the users and groups that came by SCIM since, and
treat the actor as compromised. Of an old token: make a second one there, give it to the identity
provider, then delete the old one.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings

LIFETIME_DAYS = 365
"""Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/provision-automatically.html"""


class Settings(RuleSettings):
    """From which age on a token is told of."""

    warn_after_days: int = Field(
        default=335,
        ge=1,
        le=LIFETIME_DAYS,
        description="A token that is older is told of: it ends when it is 365 days old.",
    )


def judge(change: IdentityCenterChange, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to every token that comes or goes; in a sweep, to those that are old or have ended.

    How old a token is, the time of the sweep tells.
    """
    if change.part is not Part.SCIM_TOKEN:
        return
    if hint.origin == "sweep":
        yield from _of_age(change, hint, settings)
    else:
        yield Reason(
            code=change.change,
            text=f"{change.change} of {change.label} by {hint.actor.label}",
            details=tuple(f"{name}: {value}" for name, value in change.values.items()),
        )


def _of_age(change: IdentityCenterChange, hint: Hint, settings: Settings) -> Iterator[Reason]:
    if change.since is None:
        return
    days = (hint.time - change.since).days
    made = f"{change.label}, made on {change.since:%Y-%m-%d},"
    if days >= LIFETIME_DAYS:
        text = f"{made} has ended: people who leave keep their access until there is another"
        yield Reason(code="expired", text=text)
    elif days >= settings.warn_after_days:
        left = LIFETIME_DAYS - days
        text = f"{made} is {days} days old and ends in {left}: provisioning stops then"
        yield Reason(code="aging", text=text)


RULE = Rule(
    id="idc-scim-token-changed",
    triggers={
        "sso-directory.amazonaws.com": (
            "CreateBearerToken",
            "CreateProvisioningTenant",
            "DeleteBearerToken",
            "DeleteProvisioningTenant",
        )
    },
    judges=IdentityCenterChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix=(
        "Of a change, ask the actor; unless somebody knows, delete the token and look at what came "
        "by SCIM. Of an old token, make another one, and delete the old one after that."
    ),
)
