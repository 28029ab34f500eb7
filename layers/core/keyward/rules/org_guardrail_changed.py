"""A policy that bounds what accounts can do was changed, attached or taken off.

Why: service and resource control policies are what even an administrator of an account can't step
over. Who moves them can do afterwards what they forbade.

Raised by: AttachPolicy, DetachPolicy, UpdatePolicy, DeletePolicy, DisablePolicyType. Regions:
Organizations' (us-east-1), management account and where the administration of policies is
delegated to.
In mode enforce it is reported as well: putting back an arbitrary policy would need a role too wide.

What is let be: Control Tower's own role, with which it keeps its guardrails; actors that match
`owners`; policies of other types (tags, backup and so on), as far as the event tells the type.

Known gaps: AttachPolicy, DetachPolicy and DeletePolicy tell the policy's id alone, so that policies
of other types are reported, too. A policy that is made changes nothing before it is attached. In an
account that policies are delegated to, a role that is called like Control Tower's is taken for it.
Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html

How to fix: ask the actor. If the change came from where your policies are kept, add that role to
`owners`. If not, put the policy back as it was, and look at what was done meanwhile.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Governed, Hint, OrganizationChange
from keyward.principals import is_one_of, recognised
from keyward.rule import Rule
from keyward.settings import RuleSettings

GUARDRAILS = frozenset({"RESOURCE_CONTROL_POLICY", "SERVICE_CONTROL_POLICY"})
"""Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_PolicySummary.html"""


class Settings(RuleSettings):
    """Who may change guardrails."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    owners: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description=(
            "Role or user ARNs that may change service and resource control policies; `*` matches "
            "within a segment."
        ),
    )


def judge(change: OrganizationChange, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to every change of a guardrail by others than Control Tower and the owners.

    The event's account counts as Control Tower's: such policies are changed in no other.
    """
    if change.what not in {Governed.POLICY, Governed.POLICY_TYPE}:
        return
    if change.values.get("type", "SERVICE_CONTROL_POLICY") not in GUARDRAILS:
        return
    by = recognised(hint.actor, change.account, hub=change.account)
    if by == "Control Tower" or is_one_of(hint.actor, settings.owners):
        return
    yield Reason(
        code=change.change,
        text=f"{change.change} of {change.label} by {hint.actor.label}",
        details=tuple(f"{name}: {value}" for name, value in change.values.items()),
    )


RULE = Rule(
    id="org-guardrail-changed",
    triggers={
        "organizations.amazonaws.com": (
            "AttachPolicy",
            "DeletePolicy",
            "DetachPolicy",
            "DisablePolicyType",
            "UpdatePolicy",
        )
    },
    judges=OrganizationChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was meant, put the policy back and look at what was done.",
)
