"""A trail was stopped, deleted, or records something else than before.

Why: without a trail no event of that account and region reaches Keyward, or anybody. Who wants to
stay unseen begins with it.

Raised by: StopLogging, DeleteTrail, UpdateTrail, PutEventSelectors. Regions: the home region of the
trail; Keyward sees the hub's region in the management account.
In mode enforce it is reported as well: only its owners know what a trail should be.

What is let be: Control Tower's own role, which keeps its organization trail; actors that match
`owners`.

Known gaps: what an update changes isn't weighed: one that makes a trail see more is reported, too.
Trails of member accounts, and those whose home is another region, aren't seen. Whether the event
that stops an account's only trail still arrives, AWS doesn't say: without a trail none does.
Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html

How to fix: ask the actor; start the trail again (StartLogging) or make it anew, and treat what
happened meanwhile as unseen. If the change was meant, add the actor's role to `owners`. Deny
cloudtrail:StopLogging and cloudtrail:DeleteTrail by a service control policy.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Governed, Hint, OrganizationChange
from keyward.principals import is_one_of, recognised
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Who may change trails."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    owners: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description="Role or user ARNs that may change trails; `*` matches within a segment.",
    )


def judge(change: OrganizationChange, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to every change of a trail by others than Control Tower and the owners.

    The event's account counts as Control Tower's: of others no event of a trail arrives.
    """
    if change.what is not Governed.TRAIL:
        return
    by = recognised(hint.actor, change.account, hub=change.account)
    if by == "Control Tower" or is_one_of(hint.actor, settings.owners):
        return
    yield Reason(
        code=change.change, text=f"{change.change} of {change.label} by {hint.actor.label}"
    )


RULE = Rule(
    id="trail-stopped",
    triggers={
        "cloudtrail.amazonaws.com": (
            "DeleteTrail",
            "PutEventSelectors",
            "StopLogging",
            "UpdateTrail",
        )
    },
    judges=OrganizationChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was meant, start the trail again: what happened is unseen.",
)
