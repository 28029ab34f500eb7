"""A permission set of the catalogue is not there.

Why: with it go the roles in every account that had it, and the work of everybody who needs them;
and what somebody makes in its place under the same name may be something else.

Raised by: DeletePermissionSet; the sweep; a set that is new in the catalogue and not made yet.
Regions: Identity Center's home region, in the management account and in that of the delegated
administrator.
In mode enforce it is made again as the catalogue says, with the assignments to groups that it had
in the hour before it went: Identity Center deletes no set that is assigned, so that these were
taken away first, and CloudTrail's event history tells which. Its ARN is a new one.

Known gaps: the event tells the ARN alone, and nobody can look up the name of what is gone: only a
set that Keyward has seen before, in any event or sweep, is known by it. Assignments to people are
not made again. Customer managed policies have to exist in the accounts. The parameters of the event
come from the API model and were not seen in a real event.

How to fix: `keyward bootstrap` makes what the catalogue names; assign it to the groups again. If it
is to stay away, take it out of the catalogue.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, PermissionSet
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Nothing beyond what every rule has."""


def judge(permission_set: PermissionSet, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects where the catalogue names a permission set and Identity Center has none such."""
    if not permission_set.exists:
        if permission_set.wanted is not None:
            yield Reason(
                code="deleted",
                text=f"{permission_set.label}, which the catalogue names, is not there",
            )
    elif permission_set.attributes is None and permission_set.may_be_listed:
        yield Reason(
            code="deleted",
            text=f"{permission_set.label} may be one that the catalogue names, and not there",
            maybe=True,
        )


RULE = Rule(
    id="idc-permission-set-deleted",
    triggers={"sso.amazonaws.com": ("DeletePermissionSet",)},
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.RECREATE_PERMISSION_SET,
    judge=judge,
    fix="Run keyward bootstrap and assign it to its groups again, or take it from the catalogue.",
    needs="state",
)
