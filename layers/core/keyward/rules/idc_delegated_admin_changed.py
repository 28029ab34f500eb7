"""An account became delegated administrator of Identity Center, or is one no longer.

Why: whoever administers that account can give access to every other account but the management
account. Taking the delegation away stops those who administer access, and Keyward's sight of what
they do.

Raised by: RegisterDelegatedAdministrator, DeregisterDelegatedAdministrator, for sso.amazonaws.com
alone. Regions: Organizations' (us-east-1), management account.
In mode enforce it is reported as well.

Known gaps: a delegation for other services, account access manager among them, isn't judged, nor is
a policy by which the organization delegates its own administration (PutResourcePolicy). The shapes
come from the API model, no real event was seen.
Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_RegisterDelegatedAdministrator.html

How to fix: ask the actor. If the delegation was meant, tell Keyward's deployment the account
(parameter DelegatedAdministrator), or what is done from there isn't seen. If not, take it back, and
look at what was done from that account meanwhile.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every change of who administers Identity Center."""
    if change.part is Part.DELEGATED_ADMINISTRATOR:
        yield Reason(
            code=change.change, text=f"{change.change} of {change.label} by {hint.actor.label}"
        )


RULE = Rule(
    id="idc-delegated-admin-changed",
    triggers={
        "organizations.amazonaws.com": (
            "DeregisterDelegatedAdministrator",
            "RegisterDelegatedAdministrator",
        )
    },
    judges=IdentityCenterChange,
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was meant, take it back and look at what that account did.",
)
