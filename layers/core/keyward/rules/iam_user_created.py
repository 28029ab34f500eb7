"""An IAM user exists that nobody exempted.

Why: an IAM user is an identity outside Identity Center, whose password and keys work until somebody
takes them away. People belong into Identity Center, machines into roles.

Raised by: CreateUser. Regions: IAM's (us-east-1), every account.
In mode enforce the user is quarantined: AWSDenyAll is attached (or the next rung of the ladder),
its keys become inactive. Nothing is deleted, and a release restores what was there.

Known gaps: sessions that the user already has are denied by AWSDenyAll, but a resource policy in
another account that names a role which it assumed earlier still holds until that session ends.

How to fix: give the person a permission set in Identity Center; give the machine a role; then
delete the user. Where a product takes nothing but an IAM user, record an exemption with an owner
and an end.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IamUser
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """No settings of its own."""


def judge(user: IamUser, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every IAM user."""
    yield Reason(code="exists", text=f"{user.label} exists and nobody exempted it")


RULE = Rule(
    id="iam-user-created",
    triggers={"iam.amazonaws.com": ("CreateUser",)},
    judges=IamUser,
    settings=Settings,
    enforcement=Enforcement.QUARANTINE_USER,
    judge=judge,
    fix="Use IAM Identity Center for people and a role for machines; then delete the user.",
)
