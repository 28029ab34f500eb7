"""A group holds access in an account that is for accounts elsewhere.

Why: an account that is moved, or whose tags change, is another account to its baselines. What only
its old place wanted stays behind, and nobody looks for it there any more.

Raised by: MoveAccount; TagResource and UntagResource of an account; the sweep. Regions:
Organizations' (us-east-1), management account.
Stale is a group's assignment that none of the account's baselines wants: one that a baseline wants
in other accounts, or, where one of the account's baselines says `exclusive`, any of a permission
set of the catalogue.
In mode enforce it is removed where a baseline of the account says `exclusive`, and only reported
elsewhere. In the management account this needs `act_in_management_account` in /keyward/settings.
Sessions begun before may live on; the finding says until when.

What is let be: what the groups that Control Tower makes hold; assignments to people, which
idc-assignment-to-user judges; permission sets that neither the catalogue nor a baseline names. What
became stale before the rule began to enforce, or nobody knows when, is reported and not removed.

Known gaps: a group with the name of one that Control Tower makes counts as Control Tower's. Where a
group's name can't be read, its assignment is reported and not removed. An assignment that somebody
makes in an account of an exclusive baseline is found when the account is next moved or tagged, or
by the sweep, and not by its own event; so is what a changed baseline makes stale. Of an account
that is moved or tagged nobody knows which baselines selected it before: what is stale there counts
as of then, also where it was so before. What only a baseline wanted that is
deleted by now is wanted nowhere, and so not stale.

How to fix: if the group still needs the access there, write it into a baseline of the account's new
place; else remove the assignment. Or record an exemption by the unique id of the assignment, with
an owner and an end; one by the account's unique id, "<account>/access", lets all of the account be.
To release a finding gives the group its assignment back.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccountAccess, AccountAssignment, Hint, PrincipalKind
from keyward.principals import CONTROL_TOWER_GROUPS
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")


def judge(
    subject: AccountAccess | AccountAssignment, _hint: Hint, _settings: Settings
) -> Iterator[Reason]:
    """Objects to group assignments of baselines elsewhere, and to all others where exclusive.

    Of an account that was not read it only may be so.
    """
    match subject:
        case AccountAccess(missing=None, moved=True):
            yield Reason(
                code="stale",
                text=f"{subject.label} may hold what its baselines don't want",
                maybe=True,
            )
        case AccountAssignment():
            yield from _of_assignment(subject)


def _of_assignment(assignment: AccountAssignment) -> Iterator[Reason]:
    expected = assignment.expected
    if expected is None or expected.wanted or assignment.principal_kind is not PrincipalKind.GROUP:
        return
    if assignment.principal_name in CONTROL_TOWER_GROUPS:
        return
    if not expected.exclusive and not expected.elsewhere:
        return
    why = "which its baselines, one of them exclusive, don't want"
    if expected.elsewhere:
        why = f"where none of its baselines wants it; elsewhere: {', '.join(expected.elsewhere)}"
    yield Reason(
        code="stale",
        text=f"{assignment.label} in account {assignment.account}, {why}",
        report_only=not expected.exclusive or assignment.principal_name is None,
    )


RULE = Rule(
    id="baseline-assignment-stale",
    triggers={"organizations.amazonaws.com": ("MoveAccount", "TagResource", "UntagResource")},
    judges=AccountAccess | AccountAssignment,
    settings=Settings,
    enforcement=Enforcement.REMOVE_ASSIGNMENT,
    judge=judge,
    fix="Write the access into a baseline of the account's new place, or remove the assignment.",
    needs="state",
)
