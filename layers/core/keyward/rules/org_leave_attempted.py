"""An account leaves the organization, or is removed from it.

Why: with the account go the guardrails, the log archive, and everything that Keyward sees and does
there. It can be signed in to as before, by whoever has its root user.

Raised by: LeaveOrganization, RemoveAccountFromOrganization, AccountDepartedOrganization. Regions:
Organizations' (us-east-1); the management account, and for LeaveOrganization the account that
leaves.
In mode enforce it is reported as well: who leaves is out of reach, and comes back by an invitation.

What is let be: accounts that AWS removes after they were closed (departure method CLEANED).

Known gaps: an attempt that was denied changed nothing, and is not told. The event bus stops to
admit an account that has left, so that its own LeaveOrganization may not arrive, or be told as that
of a stranger: AccountDepartedOrganization, in the management account, tells of it. Of that event
the shape is partly a guess, no real one was seen. Closing an account isn't judged.
Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_LeaveOrganization.html

How to fix: ask the actor. Unless it was agreed on, treat the account as compromised, invite it
again, and deny organizations:LeaveOrganization by a service control policy. Or record an exemption
by the unique id "membership of account/<account>", in that account, with an owner and an end.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Governed, Hint, OrganizationChange
from keyward.rule import Rule
from keyward.settings import RuleSettings

CLEANED = "CLEANED"
"""How AWS calls it that a closed account goes for good.

Source: https://aws.amazon.com/about-aws/whats-new/2026/05/aws-organizations-cloudtrail/
"""


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )


def judge(change: OrganizationChange, hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every account that goes but those that were closed. The events share a code."""
    method = change.values.get("departureMethod", "")
    if change.what is Governed.MEMBERSHIP and method.upper() != CLEANED:
        yield Reason(
            code="left",
            text=f"{change.label} ends: {change.change} by {hint.actor.label}",
            details=(f"departure method: {method}",) if method else (),
        )


RULE = Rule(
    id="org-leave-attempted",
    triggers={
        "organizations.amazonaws.com": (
            "AccountDepartedOrganization",
            "LeaveOrganization",
            "RemoveAccountFromOrganization",
        )
    },
    judges=OrganizationChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was agreed on, treat the account as compromised and invite it.",
)
