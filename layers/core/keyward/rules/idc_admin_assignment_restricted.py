"""Somebody got a permission set that is as good as administrator in an account that is reserved.

Why: whoever administers the management account administers the organization, and in production
administrators are few on purpose. There, such access is for the groups that are named for it.

Raised by: CreateAccountAssignment, to a person or a group, where settings name the account or an OU
that it is in; the sweep. Regions: Identity Center's home region, in the management account and in
that of the delegated administrator.
In mode enforce that assignment is removed. In the management account this needs
`act_in_management_account` in /keyward/settings.

A permission set counts by what its policies grant together, under its permissions boundary: see
`reach`. Without `accounts` and `organizational_units` nothing is reserved, and nothing is found.

What is let be: actors that match `just_in_time`, since tools that grant access for hours grant it
there.

Known gaps: what customer managed policies grant isn't read, since each account has its own: what
the role can do that comes of it is judged by iam-admin-granted. A permission set that gets more
later, with nobody assigned anew, is judged by idc-permission-set-admin-equivalent. Where Keyward
may not see the OUs of an account, an assignment there is told and not removed. Who made what the
sweep finds nobody can tell: while `just_in_time` names anybody it is told and not removed.

How to fix: let the group that is named for it do the work, or assign a smaller permission set. If
the assignment is meant to be, add the group to `allowed_principals`.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccountAssignment, Hint
from keyward.policy import Grant, Reach, analyse
from keyward.principals import is_one_of
from keyward.rule import Rule
from keyward.settings import AccountIdText, RuleSettings

SHOWN = 10
"""So many ways to more are listed."""

Parent = Annotated[
    str, StringConstraints(pattern=r"^(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$")
]
"""Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Parent.html"""


class Settings(RuleSettings):
    """What is reserved, and for whom."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    accounts: tuple[AccountIdText, ...] = Field(
        default=(),
        max_length=200,
        description="Account ids that are reserved, for example the management account's.",
    )
    organizational_units: tuple[Parent, ...] = Field(
        default=(),
        max_length=100,
        description="Ids of OUs (ou-...) or of the root (r-...); all accounts below are reserved.",
    )
    allowed_principals: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Ids of the Identity Center groups (or users) that may have such access there.",
    )
    just_in_time: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description=(
            "Role or user ARNs of tools that give people access for a time; `*` matches within a "
            "segment. What these assign is let be."
        ),
    )
    reach: Literal["indirect", "escalation", "admin"] = Field(
        default="escalation",
        description=(
            "From where on a permission set counts: admin (everything on everything), escalation "
            "(can make itself or others admin), indirect (can take over what happens to exist)."
        ),
    )


def judge(assignment: AccountAssignment, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to what reaches that far in a reserved account; the event alone can't tell."""
    if assignment.principal_id in settings.allowed_principals:
        return
    if is_one_of(hint.actor, settings.just_in_time):
        return
    reserved = _is_reserved(assignment, settings)
    if reserved is False:
        return
    text = f"{assignment.label} in account {assignment.account}, which is reserved"
    if assignment.permission_set is None:
        yield Reason(code="admin", text=text, maybe=True)
        return
    least = Reach(settings.reach).rank
    analysis = analyse(
        assignment.permission_set.documents or (),
        boundary=assignment.permission_set.boundary_document,
    )
    grants = [grant for grant in analysis.grants if grant.reach.rank >= least]
    if not grants:
        return
    if reserved is None:
        text = f"{assignment.label} in account {assignment.account}, whose OUs can't be seen"
    yield Reason(
        code="admin",
        text=f"{text}: {_line(grants[0])}",
        details=_lines(grants),
        report_only=reserved is None or (hint.origin == "sweep" and bool(settings.just_in_time)),
    )


def _is_reserved(assignment: AccountAssignment, settings: Settings) -> bool | None:
    """Whether the account is reserved; None where its OUs decide and weren't read."""
    if assignment.account in settings.accounts:
        return True
    if not settings.organizational_units:
        return False
    if assignment.parents is None:
        return None
    return not set(settings.organizational_units).isdisjoint(assignment.parents)


def _lines(grants: Sequence[Grant]) -> tuple[str, ...]:
    """The ways to more, one in a line; who can do everything needs no other way."""
    if grants[0].reach is Reach.ADMIN:
        grants = [grant for grant in grants if grant.reach is Reach.ADMIN]
    more = (f"and {len(grants) - SHOWN} ways more",) if len(grants) > SHOWN else ()
    return (*(_line(grant) for grant in grants[:SHOWN]), *more)


def _line(grant: Grant) -> str:
    return f"{grant.text} ({grant.path}; {', '.join(grant.statements)})"


RULE = Rule(
    id="idc-admin-assignment-restricted",
    triggers={"sso.amazonaws.com": ("CreateAccountAssignment",)},
    judges=AccountAssignment,
    settings=Settings,
    enforcement=Enforcement.REMOVE_ASSIGNMENT,
    judge=judge,
    fix="Assign a smaller permission set, or have the group that is named for it do the work.",
    needs="state",
)
