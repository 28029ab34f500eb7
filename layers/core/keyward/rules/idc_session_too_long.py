"""Sessions of a permission set may last longer than they should.

Why: a session can't be taken back before it ends, neither from the person who left nor from whoever
stole it. So those who can do most have the shortest.

Raised by: CreatePermissionSet, UpdatePermissionSet; the sweep. Regions: Identity Center's home
region, in the management account and in that of the delegated administrator.
The limit of a set that the catalogue names is what it says there; of others `admin_hours` where
what it grants is as good as administrator, else `hours`.
In mode enforce the session alone is cut to the limit, nothing else of the set is touched; then the
accounts that have it get it so.

Known gaps: sessions begun before live as long as they were to. The session of the access portal is
another one, which no public API sets. What customer managed policies grant isn't read, so that a
set which is administrator by those alone has the longer limit. But for CreatePermissionSet, the
parameters come from the API model and were not seen in a real event.

How to fix: `keyward settings` has the catalogue: name the set there with the session that it needs,
or shorten it in Identity Center. Whoever works longer signs in again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from keyward.actions import Enforcement
from keyward.drift import hours
from keyward.findings import Reason
from keyward.model import Hint, PermissionSet
from keyward.policy import Reach, analyse
from keyward.rule import Rule
from keyward.settings import RuleSettings

SECONDS_OF_AN_HOUR = 3600


class Settings(RuleSettings):
    """The limits of what the catalogue doesn't name."""

    hours: float = Field(
        default=8,
        ge=1,
        le=12,
        description="How long a session may be, of a set that the catalogue doesn't name.",
    )
    admin_hours: float = Field(
        default=2,
        ge=1,
        le=12,
        description="The same of a set that is as good as administrator.",
    )
    reach: Literal["indirect", "escalation", "admin"] = Field(
        default="escalation",
        description=(
            "From where on that is so: admin (everything on everything), escalation (can make "
            "itself or others admin), indirect (can take over what happens to exist)."
        ),
    )


def judge(permission_set: PermissionSet, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to a session over the limit; whose limit it is, the event alone can't tell."""
    attributes = permission_set.attributes
    if attributes is None:
        if permission_set.exists and _may_be_over(permission_set, hint, settings):
            yield Reason(
                code="session",
                text=f"sessions of {permission_set.label} may be over its limit",
                maybe=True,
            )
        return
    limit = _limit(permission_set, settings)
    if attributes.session_seconds <= limit:
        return
    yield Reason(
        code="session",
        text=(
            f"sessions of {permission_set.label} last {hours(attributes.session_seconds)}; "
            f"the limit is {hours(limit)}"
        ),
        details=(f"- session: {hours(attributes.session_seconds)}", f"+ session: {hours(limit)}"),
        wanted=replace(attributes, session_seconds=limit),
    )


def _may_be_over(permission_set: PermissionSet, hint: Hint, settings: Settings) -> bool:
    if hint.origin != "event":
        return True
    if "session_seconds" not in permission_set.claimed:
        return False
    seconds = permission_set.claimed["session_seconds"]
    if not isinstance(seconds, int):
        return True
    if permission_set.wanted is not None:
        return seconds > permission_set.wanted.session_seconds
    possible = [_seconds(settings.hours), _seconds(settings.admin_hours)]
    if permission_set.name is None:
        possible += [wanted.session_seconds for wanted in permission_set.catalogue.values()]
    return seconds > min(possible)


def _limit(permission_set: PermissionSet, settings: Settings) -> int:
    if permission_set.wanted is not None:
        return permission_set.wanted.session_seconds
    reached = analyse(
        permission_set.documents or (), boundary=permission_set.boundary_document
    ).reach
    is_admin = reached.rank >= Reach(settings.reach).rank
    return _seconds(settings.admin_hours if is_admin else settings.hours)


def _seconds(of_hours: float) -> int:
    return round(of_hours * SECONDS_OF_AN_HOUR)


RULE = Rule(
    id="idc-session-too-long",
    triggers={"sso.amazonaws.com": ("CreatePermissionSet", "UpdatePermissionSet")},
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.RESTORE_PERMISSION_SET,
    judge=judge,
    fix="Shorten the session, or name the set in the catalogue with the session that it needs.",
    needs="state",
    patience_seconds=10,
)
