"""Something that Keyward itself is made of was changed, and not by its owners.

Why: whoever wants to stay unseen switches off what sees. A change by the owners is a deployment; by
anybody else it is an attack or an accident, and both want somebody now.

Raised by: DeleteRule, DisableRule, PutRule, PutTargets, RemoveTargets, DeleteEventBus,
PutPermission, RemovePermission; changes of functions and their event source mappings; of settings
and exemptions in Parameter Store; of roles and of the group keyward-quarantine; of stacks and
StackSets; of table, queues, topic, schedules and bucket. Only where the name is Keyward's:
`keyward`, `keyward-*`, `/keyward/*`. Regions: the hub's, and us-east-1 of every account (IAM, and
the forwarding rules).
In mode enforce it is reported as well. The stack's own alarms tell the same by another way.

A sweep looks by itself (severity high): an account that Keyward can't enter or read (the role
keyward-member is missing or changed, a control policy denies), and a forwarding rule that is
missing, disabled, or sends elsewhere. It resolves that once it finds it right again.

What is let be: actors that match `owners`, and Keyward's operator writing exemptions.

Known gaps: writes of items in the table, and invocations, are data events, which CloudTrail doesn't
send to EventBridge. Changes of Keyward's alarms, archive, log groups and of the topic's key are not
judged; nor is a change set that is executed by its ARN alone. StackSets act in members as roles of
their own (stacksets-exec-*, AWSServiceRoleForCloudFormationStackSetsOrgMember): list these among
`owners`, or each update of Keyward is reported from there.

How to fix: ask the actor. If it was a deployment, add its role to `owners`. If nobody knows, deploy
Keyward again from its source, and treat the actor as compromised.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, OwnResource
from keyward.own import CHANGES, NOT_FORWARDING, OUT_OF_REACH
from keyward.principals import is_one_of, recognised
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Who may change Keyward."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    owners: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description=(
            "Role or user ARNs that may change settings and deploy Keyward; `*` matches within a "
            "segment. Empty: nobody is expected, so that every change is reported."
        ),
    )


_REMEDIES = {
    OUT_OF_REACH: (
        "Keyward sees and does nothing there but by events, if at all. Look whether the stack is "
        "there and up to date (in members an instance of StackSet keyward-members, in the hub's "
        "account keyward), and whether a control policy denies what the role may do."
    ),
    NOT_FORWARDING: (
        "What happens there is not told to Keyward before the next sweep. Deploy the stack that it "
        "belongs to again, and find out who changed it."
    ),
}
"""What to do, by what a sweep found."""


def judge(resource: OwnResource, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to a change by anybody but the owners and the operator's own exemptions.

    And to what a sweep finds wrong, whoever it was.
    """
    if resource.wrong is not None:
        where = f"{resource.label} in account {resource.account}"
        text = f"{where}: {resource.wrong}. {_REMEDIES[resource.change]}"
        yield Reason(code=resource.change, text=text, severity=Severity.HIGH)
        return
    if is_one_of(hint.actor, settings.owners) or _is_operators(resource, hint):
        return
    yield Reason(
        code=resource.change, text=f"{resource.change} of {resource.label} by {hint.actor.label}"
    )


def _is_operators(resource: OwnResource, hint: Hint) -> bool:
    """Whether Keyward's operator wrote an exemption: nothing else is its own function's to change.

    The account counts as the hub: elsewhere a parameter of this name is nothing to Keyward.
    """
    return (
        resource.service == "ssm"
        and resource.name.startswith("/keyward/exemptions/")
        and (hint.actor.issuer_arn or "").endswith(":role/keyward/keyward-operator")
        and recognised(hint.actor, resource.account, hub=resource.account) == "Keyward"
    )


RULE = Rule(
    id="keyward-tampered",
    triggers=CHANGES,
    judges=OwnResource,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was a deployment, deploy Keyward again from its source.",
)
