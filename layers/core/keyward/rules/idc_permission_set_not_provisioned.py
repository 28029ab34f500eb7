"""Accounts hold an older version of a permission set than Identity Center shows.

Why: an edit of a permission set does nothing in an account until it is provisioned there. Whoever
reads the set believes that it is so everywhere; what was taken away still works.

Raised by: the sweep only, since no event tells what didn't happen. Regions: Identity Center's home
region.
In mode enforce the set is provisioned as it is, in all accounts that have it.

Known gaps: while AWS brings a change into the accounts, some are behind: a sweep in these minutes
finds them. An account that AWS can't reach (suspended, or a role of that name in the way) stays
behind, and the finding then says what AWS gives as the reason.

How to fix: provision the permission set (in the console: Reapply). If that fails, look for what is
in the way in that account.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, PermissionSet
from keyward.rule import Rule
from keyward.settings import RuleSettings

SHOWN = 20
"""So many accounts are listed by id."""


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")


def judge(permission_set: PermissionSet, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every permission set of which accounts hold an older version."""
    if not permission_set.exists:
        return
    if permission_set.attributes is None:
        yield Reason(
            code="stale",
            text=f"accounts may hold an older version of {permission_set.label}",
            maybe=True,
        )
        return
    stale = sorted(permission_set.stale_accounts)
    if not stale:
        return
    more = (f"and {len(stale) - SHOWN} more",) if len(stale) > SHOWN else ()
    holders = "1 account holds" if len(stale) == 1 else f"{len(stale)} accounts hold"
    yield Reason(
        code="stale",
        text=f"{holders} an older version of {permission_set.label}",
        details=(*stale[:SHOWN], *more),
    )


RULE = Rule(
    id="idc-permission-set-not-provisioned",
    triggers={},
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.PROVISION_PERMISSION_SET,
    judge=judge,
    fix="Provision the permission set; if that fails, look for what is in the way in the account.",
    needs="state",
    patience_seconds=10,
)
