"""A permission set is not in the catalogue, is named after somebody, or is one of too many.

Why: few permission sets are understood and reviewed; many, one for each wish, are neither. What is
made for one person or project stays when both are gone.

Raised by: CreatePermissionSet; the sweep. Regions: Identity Center's home region, in the management
account and in that of the delegated administrator.
In mode enforce it is reported as well: whoever holds the set would lose access.

A set that the catalogue names is always in order. Of others, while there is a catalogue, it is told
that they aren't in it; that a name looks like a person's or a project's (`named_after`); and, of
one set for all, that there are more of them than `max_sets`.

What is let be: the names in `known`, Control Tower's own unless changed; their number counts.

Known gaps: a name is judged by its look. By default only an address, and words joined by a dot as
in jane.doe, count as somebody's: add patterns for the names of your projects. How many sets there
are, only the sweep counts.

How to fix: add it to the catalogue if it is needed; else assign its groups one that is, and delete
it.
"""

import fnmatch
from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, PermissionSet
from keyward.principals import CONTROL_TOWER_SETS
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Which sets may stand beside the catalogue, and how many."""

    severity: Severity = Field(default=Severity.LOW, description="How soon somebody must look.")
    known: tuple[str, ...] = Field(
        default=tuple(sorted(CONTROL_TOWER_SETS)),
        max_length=100,
        description="Names of permission sets that may stand beside the catalogue.",
    )
    named_after: tuple[str, ...] = Field(
        default=("*@*", "[A-Za-z]*.[A-Za-z]*"),
        max_length=100,
        description=(
            "Names that look like a person's or a project's: * for any run of characters, ? for "
            "one, [a-z] for one of these. Upper and lower case differ."
        ),
    )
    max_sets: int = Field(
        default=6,
        ge=1,
        le=3500,
        description="So many permission sets there may be, those of the catalogue among them.",
    )


def judge(permission_set: PermissionSet, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to what the catalogue doesn't name; certain only once it was read."""
    name = permission_set.name
    if not permission_set.exists or permission_set.wanted is not None:
        return
    if permission_set.attributes is None:
        if name is None or hint.origin == "sweep" or any(_of_name(permission_set, name, settings)):
            text = f"{permission_set.label} may not be in the catalogue"
            yield Reason(code="unlisted", text=text, maybe=True)
        return
    complaints = [] if name is None else list(_of_name(permission_set, name, settings))
    number = permission_set.number_of_sets
    if number is not None and number > settings.max_sets:
        complaints.append(f"is one of {number}, more than {settings.max_sets}")
    if complaints:
        yield Reason(code="unlisted", text=f"{permission_set.label} {'; '.join(complaints)}")


def _of_name(permission_set: PermissionSet, name: str, settings: Settings) -> Iterator[str]:
    if name in settings.known:
        return
    if permission_set.catalogue:
        yield "is not in the catalogue"
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in settings.named_after):
        yield "seems to be named after a person or project"


RULE = Rule(
    id="idc-permission-set-unlisted",
    triggers={"sso.amazonaws.com": ("CreatePermissionSet",)},
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Add it to the catalogue if it is needed; else assign one that is there, and delete it.",
    needs="state",
    patience_seconds=10,
)
