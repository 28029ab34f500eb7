"""An account lacks access that its baselines want.

Why: who is to work in an account, or to look after it, should be able to from its first day on; and
what somebody takes away by hand is missed when it is needed.

Raised by: CreateManagedAccount, UpdateManagedAccount, EnableBaseline, ResetEnabledBaseline and
UpdateEnabledBaseline, once Control Tower has finished; CreateAccountResult,
AccountJoinedOrganization, AcceptHandshake, MoveAccount, TagResource and UntagResource (of accounts,
by tags that a baseline selects by); DeleteAccountAssignment, of a group; the sweep; a change of a
baseline. Regions: Control Tower's home region, Organizations' (us-east-1), Identity Center's home
region; management account, and for the last that of the delegated administrator, too.
In mode enforce the account is given what is missing, and nothing else; one finding lists all of it.
No action budget limits that, and `existing` is of no account: an account that was there before the
rule began to enforce is given its access, too. What bounds it instead is how many accounts one word
concerns: where a changed baseline, or an OU that comes under governance, would bring more
assignments than `account_baselines.changes_without_apply` in /keyward/settings, nothing is done
until somebody has looked at the plan and says `keyward baseline apply`.

What is let be: accounts that are suspended or closed. The management account, and the accounts that
`account_baselines.shared_accounts` names, unless a baseline names their ids; in the management
account this needs `act_in_management_account` as well.

Known gaps: Control Tower sends no UpdateManagedAccount for accounts that it enrols by itself; their
MoveAccount tells. AcceptHandshake is recorded in the account that accepts, before it forwards
anything: AccountJoinedOrganization, in the management account, tells of it instead. Of that event,
of those of tags and of accepted invitations none was seen for real: their shapes come from the API
model.
A group or permission set that a baseline names and that isn't there is told as a wrong setting, and
holds up nothing else.

How to fix: `keyward baseline show` says what the account's baselines want, and what it has. If the
account is not to have it, exclude it in the baseline. Or record an exemption by the account's
unique id, "<account>/access", with an owner and an end. To release a finding takes back what
Keyward assigned, and leaves the account alone for `release_days`.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import AccountAccess, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings

SHOWN = 100
"""So many assignments are listed: as many as one baseline can want."""


class Settings(RuleSettings):
    """Nothing beyond what every rule has."""


def judge(account: AccountAccess, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to everything that is missing, all in one reason; the event alone can't tell."""
    if account.missing is None:
        yield Reason(
            code="missing",
            text=f"{account.label} may not be as its baselines want it",
            maybe=True,
        )
    elif account.missing:
        wanted = len(account.wanted or account.missing)
        yield Reason(
            code="missing",
            text=f"{account.label} lacks {len(account.missing)} of {wanted}",
            details=_lines(account),
        )


def _lines(account: AccountAccess) -> tuple[str, ...]:
    """What is missing, one in a line with the baselines that want it; and what nobody knows."""
    missing = account.missing or ()
    more = (f"and {len(missing) - SHOWN} more",) if len(missing) > SHOWN else ()
    return (
        *(f"{access.label}: {', '.join(access.baselines)}" for access in missing[:SHOWN]),
        *more,
        *(f"not found: {name}" for name in account.unknown[:SHOWN]),
    )


RULE = Rule(
    id="baseline-assignment-missing",
    triggers={
        "controltower.amazonaws.com": (
            "CreateManagedAccount",
            "EnableBaseline",
            "ResetEnabledBaseline",
            "UpdateEnabledBaseline",
            "UpdateManagedAccount",
        ),
        "organizations.amazonaws.com": (
            "AcceptHandshake",
            "AccountJoinedOrganization",
            "CreateAccountResult",
            "MoveAccount",
            "TagResource",
            "UntagResource",
        ),
        "sso.amazonaws.com": ("DeleteAccountAssignment",),
    },
    judges=AccountAccess,
    settings=Settings,
    enforcement=Enforcement.ASSIGN_ACCESS,
    judge=judge,
    fix="Assign what is missing (keyward baseline show), or exclude the account in the baseline.",
    needs="state",
)
