"""Account Factory's first user still has its own access in an account.

Why: Account Factory assigns a permission set, mostly AWSAdministratorAccess, directly to the person
who is named when an account is ordered. Nobody reviews that, it ends with no group, and whoever is
named for many accounts is administrator of all of them.

Raised by: Keyward's own look at an account, `grace_minutes` after Control Tower has made, enrolled
or updated it; nothing that happens earlier. The sweep, in accounts that joined the organization
longer ago than that: it counts from then. Regions: none of its own.
In mode enforce the assignment is removed, but only once everything that the account's baselines
want is in place: whoever is in their groups can do the work then. Until then it is reported. In the
management account this needs `act_in_management_account` in /keyward/settings. Sessions begun
before may live on; the finding says until when.

What is let be: assignments of other permission sets than those in `permission_sets`, and people's
assignments in accounts that no baseline selects, which idc-assignment-to-user judges. In accounts
that Control Tower had finished before the rule began to enforce it is reported and not removed.

Known gaps: any person's assignment of these permission sets counts, whoever made it: Identity
Center doesn't tell. Only permission sets that Control Tower makes are looked at. Account Factory
may assign anew when the account is updated or enrolled again: Keyward then looks again, and what
people hold there by then counts, however old it is. Whether anybody is in the groups that the
baselines name, and whether what these may do is enough, isn't looked at.

How to fix: let a baseline give a group what the person needs, then remove the assignment; order
accounts in the name of a user whom nobody signs in as. Or record an exemption by the unique id of
the assignment, with an owner and an end; one by the account's unique id, "<account>/access", lets
all of the account be. To release a finding gives the person the assignment back.
Source: https://docs.aws.amazon.com/controltower/latest/userguide/account-factory.html
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccountAccess, AccountAssignment, Hint, PrincipalKind
from keyward.rule import Rule
from keyward.settings import RuleSettings

DAYS_7 = 7 * 24 * 60


class Settings(RuleSettings):
    """How long the first user's own access may stay, and which access that is."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")
    grace_minutes: int = Field(
        default=60,
        ge=0,
        le=DAYS_7,
        description="So long after an account was finished its first user's own access may stay.",
    )
    permission_sets: tuple[str, ...] = Field(
        default=("AWSAdministratorAccess",),
        max_length=20,
        description=(
            "Names of the permission sets, of those that Control Tower makes, that Account Factory "
            "assigns to an account's first user."
        ),
    )


def judge(
    subject: AccountAccess | AccountAssignment, _hint: Hint, settings: Settings
) -> Iterator[Reason]:
    """Objects to a person's assignment of these sets, once the grace period has passed.

    Of an account that was not read it only may be so.
    """
    match subject:
        case AccountAccess(missing=None, grace_over=True):
            yield Reason(
                code="user",
                text=f"the first user of account {subject.account} may still have its own access",
                maybe=True,
            )
        case AccountAssignment(principal_kind=PrincipalKind.USER):
            yield from _of_assignment(subject, settings)


def _of_assignment(assignment: AccountAssignment, settings: Settings) -> Iterator[Reason]:
    expected, permission_set = assignment.expected, assignment.permission_set
    if expected is None or not expected.grace_over or permission_set is None:
        return
    if permission_set.name not in settings.permission_sets:
        return
    why = "though the account has its baselines' access"
    if not expected.in_place:
        why = "and the account hasn't all of its baselines' access yet"
    yield Reason(
        code="user",
        text=f"{assignment.label} in account {assignment.account} is still there, {why}",
        report_only=not expected.in_place,
    )


RULE = Rule(
    id="account-factory-user-assignment",
    triggers={},
    judges=AccountAccess | AccountAssignment,
    settings=Settings,
    enforcement=Enforcement.REMOVE_ASSIGNMENT,
    judge=judge,
    fix="Let a baseline give a group what the person needs, then remove the assignment.",
    needs="state",
    again_seconds=lambda settings: settings.grace_minutes * 60,
)
