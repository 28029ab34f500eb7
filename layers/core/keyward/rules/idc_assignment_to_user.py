"""A permission set is assigned to a person directly, and not to a group.

Why: groups are reviewed, and end with the person's job where an identity provider fills them. What
is assigned to a person directly is overlooked in both, and nobody sees it in the group's access.

Raised by: CreateAccountAssignment; AssociateProfile, by which the console and Account Factory once
made assignments; the sweep. Regions: Identity Center's home region, in the management account and
in that of the delegated administrator.
In mode enforce that assignment, and no other, is removed: access through a group stays. Sessions
begun before may live on; the finding says until when, and `identity_center.deny_live_sessions` in
/keyward/settings cuts them.

What is let be: actors that match `just_in_time`, since tools that grant access for hours assign it
to the person. What Control Tower assigns (Account Factory gives a new account's first user access)
is told and not removed.

Known gaps: the parameters of AssociateProfile are guessed from the console's requests. It names
neither account nor permission set, so that each assignment that the person has is looked at, and as
nobody can tell which one is new, they are told and not removed. What Identity Center can't show any
more when Keyward looks was taken back meanwhile. Who made what the sweep finds nobody can tell:
while `just_in_time` names anybody it is told and not removed, and so is what is assigned of the
permission sets that Control Tower makes.

How to fix: put the person into a group that has the permission set in that account; then remove the
assignment. Or record an exemption by the unique id of the assignment, with an owner and an end.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import AccountAssignment, Hint, PrincipalKind
from keyward.principals import CONTROL_TOWER_SETS, is_one_of
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Who may assign to people."""

    just_in_time: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description=(
            "Role or user ARNs of tools that give people access for a time; `*` matches within a "
            "segment. What these assign is let be."
        ),
    )


def judge(assignment: AccountAssignment, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to every assignment to a user but those of just-in-time tools."""
    if assignment.principal_kind is PrincipalKind.GROUP:
        return
    if is_one_of(hint.actor, settings.just_in_time):
        return
    name = assignment.permission_set and assignment.permission_set.name
    may_be_theirs = bool(settings.just_in_time) or name in CONTROL_TOWER_SETS
    yield Reason(
        code="user",
        text=f"{assignment.label} in account {assignment.account}, not to a group",
        maybe=not assignment.permission_set_arn.startswith("arn:"),
        report_only=hint.origin == "sweep" and may_be_theirs,
    )


RULE = Rule(
    id="idc-assignment-to-user",
    triggers={"sso.amazonaws.com": ("CreateAccountAssignment", "AssociateProfile")},
    judges=AccountAssignment,
    settings=Settings,
    enforcement=Enforcement.REMOVE_ASSIGNMENT,
    judge=judge,
    fix="Put the person into a group that has the permission set; then remove the assignment.",
)
