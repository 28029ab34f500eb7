"""A token of automatic provisioning (SCIM) was made or deleted, or provisioning as a whole.

Why: whoever holds a SCIM token can make users, and put them into any group, without an AWS
credential. A deleted token stops provisioning: people who leave then keep their access.

Raised by: CreateBearerToken, DeleteBearerToken, CreateProvisioningTenant, DeleteProvisioningTenant.
Regions: Identity Center's home region, management and delegated administrator's account.
In mode enforce it is reported as well: no public API deletes a token.

Known gaps: a token lives for a year, and one that nears its end is not told of: no API tells when
one was made, and only a scheduled look can notice it.
These are calls of the console, which no API reference describes; no real event of them was found.
Their names come from AWS's service authorization reference, the fields shown are guesses. The token
itself is never read from an event.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/provision-automatically.html

How to fix: ask the actor. If nobody knows, delete the token in the console (Settings, Identity
source, Manage provisioning), look at the users and groups that came by SCIM since, and treat the
actor as compromised.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every token that comes or goes."""
    if change.part is Part.SCIM_TOKEN:
        yield Reason(
            code=change.change,
            text=f"{change.change} of {change.label} by {hint.actor.label}",
            details=tuple(f"{name}: {value}" for name, value in change.values.items()),
        )


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
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless somebody knows, delete the token and look at what came by SCIM.",
)
