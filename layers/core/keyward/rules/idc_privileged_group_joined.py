"""Somebody joined a privileged group of Identity Center.

Why: groups hold the assignments, so that joining one is how access is gained without any change of
a permission set or an assignment.

Raised by: AddMemberToGroup of the console, CreateGroupMembership of the public API, PatchGroup of
SCIM. Regions: Identity Center's home region, management and delegated administrator's account.
Which groups are privileged two settings say: `groups` by id, `group_names` by name; the latter has
the groups of Control Tower. CloudTrail masks names, so that while `group_names` has any, each join
costs a look at the group's name; with ids alone it costs none.
In mode enforce it is reported as well: with SCIM the identity provider would put the member back.

Known gaps: SCIM masks who joined, and whether it was a join at all where the provider gives no
path: the group is named then, its members are not; several joins by SCIM are one finding. SCIM
tokens from before September 2024 must be rotated, or their calls aren't logged. A group that is
made with a privileged name later, or renamed to one, isn't noticed before somebody joins it.
Removals from a group aren't judged; who leaves and joins again is counted, and not told anew.
AddMemberToGroup was seen in real events; of CreateGroupMembership the request. PatchGroup was seen
as AWS's user guide has it: a failed one, with masked values.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/scim-logging-using-cloudtrail.html

How to fix: ask the actor and the member. If nobody knows, take the member out where groups are
kept: in the identity provider, else in the console; and revoke the member's sessions.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import GroupMembership, Hint
from keyward.principals import CONTROL_TOWER_GROUPS
from keyward.rule import Rule
from keyward.settings import RuleSettings

GroupId = Annotated[
    str,
    StringConstraints(
        pattern=r"^([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}$"
    ),
]
GroupName = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Settings(RuleSettings):
    """Which groups are privileged."""

    groups: tuple[GroupId, ...] = Field(
        default=(), max_length=100, description="Ids of privileged groups."
    )
    group_names: tuple[GroupName, ...] = Field(
        default=tuple(sorted(CONTROL_TOWER_GROUPS)),
        max_length=100,
        description="Names of privileged groups; without regard to case. Each join is looked up.",
    )


def judge(membership: GroupMembership, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to a member of a privileged group; perhaps, while the group's name isn't known."""
    text = f"{membership.label} by {hint.actor.label}, by way of {membership.via}"
    if membership.group_id in settings.groups:
        yield Reason(code="joined", text=text)
    elif membership.group_name is None:
        if settings.group_names:
            yield Reason(code="joined", text=text, maybe=True)
    elif membership.group_name.casefold() in {name.casefold() for name in settings.group_names}:
        yield Reason(code="joined", text=text)


RULE = Rule(
    id="idc-privileged-group-joined",
    triggers={
        "identitystore-scim.amazonaws.com": ("PatchGroup",),
        "identitystore.amazonaws.com": ("CreateGroupMembership",),
        "sso-directory.amazonaws.com": ("AddMemberToGroup",),
    },
    judges=GroupMembership,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask actor and member; else take the member out, in the identity provider if it has them.",
    needs="state",
)
