"""A permission set of the catalogue lacks its permissions boundary, or has another one.

Why: the boundary is what holds where a policy of the set grants too much. Without it, nobody sees a
difference until somebody uses it.

Raised by: DeletePermissionsBoundaryFromPermissionSet, CreatePermissionSet (by the name of a set
that the catalogue wants bounded); the sweep. Regions: Identity Center's home region, in the
management account and in that of the delegated administrator.
In mode enforce that boundary, and nothing else, is put on; then the accounts that have the set get
it so.

Known gaps: of sets that the catalogue doesn't name nobody knows which boundary they should have.
That the catalogue wants none is no reason to take one away here: idc-permission-set-drift does. So
does it where another boundary is put. A customer managed policy as boundary has to exist in each
account under its name, and what it says there isn't read. The parameters of the first event come
from the API model and were not seen in a real event.

How to fix: put the boundary of the catalogue back, and provision the set. If the set is to be
without one, change the catalogue.
"""

from collections.abc import Iterator
from dataclasses import replace

from keyward.actions import Enforcement
from keyward.drift import Attribute, differences, lines
from keyward.findings import Reason
from keyward.model import Hint, PermissionSet
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Nothing beyond what every rule has."""


def judge(permission_set: PermissionSet, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects where the catalogue wants a boundary and another, or none, is there."""
    wanted, attributes = permission_set.wanted, permission_set.attributes
    if not permission_set.exists:
        return
    if attributes is None:
        if _may_want_one(permission_set):
            yield Reason(
                code="boundary",
                text=f"{permission_set.label} may lack its permissions boundary",
                maybe=True,
            )
        return
    if wanted is None or wanted.boundary is None or attributes.boundary == wanted.boundary:
        return
    lacks = "no permissions boundary" if attributes.boundary is None else "another boundary"
    yield Reason(
        code="boundary",
        text=f"{permission_set.label} has {lacks}, not the one that the catalogue wants",
        details=lines(
            difference
            for difference in differences(attributes, wanted)
            if difference.attribute is Attribute.BOUNDARY
        ),
        wanted=replace(attributes, boundary=wanted.boundary),
    )


def _may_want_one(permission_set: PermissionSet) -> bool:
    """Whether the catalogue wants one, or may: of many events only the ARN is known."""
    if permission_set.name is not None:
        return permission_set.wanted is not None and permission_set.wanted.boundary is not None
    return any(wanted.boundary is not None for wanted in permission_set.catalogue.values())


RULE = Rule(
    id="idc-boundary-missing",
    triggers={
        "sso.amazonaws.com": ("DeletePermissionsBoundaryFromPermissionSet", "CreatePermissionSet")
    },
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.RESTORE_PERMISSION_SET,
    judge=judge,
    fix="Put the boundary of the catalogue back, and provision the permission set.",
    needs="state",
    patience_seconds=10,
)
