"""An IAM user has a console password that nobody exempted.

Why: with it a person signs in outside Identity Center: past its MFA, its sessions' end, and the
directory that forgets people who leave.

Raised by: CreateLoginProfile, UpdateLoginProfile. Regions: IAM's (us-east-1), every account.
In mode enforce the user is quarantined. The login profile stays: a deleted one can't be restored.

Known gaps: ChangePassword, by which users renew their own password, doesn't raise it, since the
password was there before. A password of the root user, set through AssumeRoot, names no user: that
event goes to the dead letters, where somebody looks at it.

How to fix: give the person a permission set in Identity Center, then delete the login profile
(`aws iam delete-login-profile`); or record an exemption with an owner and an end.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import ConsolePassword, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """No settings of its own."""


def judge(password: ConsolePassword, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every console password of an IAM user."""
    yield Reason(
        code="can-sign-in", text=f"{password.owner.label} can sign in to the console by password"
    )


RULE = Rule(
    id="iam-console-password-set",
    triggers={"iam.amazonaws.com": ("CreateLoginProfile", "UpdateLoginProfile")},
    judges=ConsolePassword,
    settings=Settings,
    enforcement=Enforcement.QUARANTINE_USER,
    judge=judge,
    fix="Give the person a permission set in IAM Identity Center; then delete the login profile.",
)
