"""Baselines: which groups hold which permission sets in which accounts, as owners wrote it. Pure.

Several baselines add up: an account has the access of all that select it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from keyward.errors import SettingsError
from keyward.model import Access, AccountId
from keyward.settings import AccountIdText, Setting, validated

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
"""Lower-case words with hyphens: a baseline's name is also a file's, and stands in commands."""

MAX_NAME_LENGTH = 64

UNIT_ID = re.compile(r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}", re.ASCII)
"""Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Parent.html"""

GROUP_ID = re.compile(
    r"([0-9a-f]{10}-)?[A-Fa-f0-9]{8}(-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}", re.ASCII
)
"""Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_Group.html"""

SET_ARN = re.compile(
    r"arn:aws[a-z-]*:sso:::permissionSet/(sso)?ins-[a-zA-Z0-9.-]{16}/ps-[a-zA-Z0-9./-]{16}",
    re.ASCII,
)
"""Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_PermissionSet.html"""

SELECTED = "ACTIVE"
"""The state of an account that can be given access; accounts in all others are skipped.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html
"""


class Selector(Setting):
    """Some accounts: those of which everything that is given here holds."""

    everything: bool = Field(default=False, description="All accounts of the organization.")
    ids: tuple[AccountIdText, ...] = Field(
        default=(), max_length=500, description="Account ids: the account is one of them."
    )
    unit: Annotated[str, StringConstraints(min_length=1, max_length=800)] | None = Field(
        default=None,
        description=(
            "An organizational unit, by id (ou-...; the root: r-...) or by its path of names from "
            "the root, such as Workloads/Prod."
        ),
    )
    children: bool = Field(
        default=True, description="With unit: accounts of the units below it, too."
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        max_length=10,
        description="The account has all of these tags, with these values; * is any value.",
    )

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not (self.everything or self.ids or self.unit or self.tags):
            message = "it selects nothing: give ids, unit or tags, or everything: true"
            raise ValueError(message)
        if self.everything and (self.ids or self.unit or self.tags):
            message = "everything: true says it all: leave the other fields out"
            raise ValueError(message)
        return self


class Assigned(Setting):
    """A permission set for a group."""

    group: str = Field(
        min_length=1, max_length=1024, description="Name or id of an Identity Center group."
    )
    permission_set: str = Field(
        min_length=1, max_length=200, description="Name or ARN of a permission set."
    )


class Baseline(Setting):
    """/keyward/baseline/<name>: the access that some accounts have from their first day on."""

    accounts: tuple[Selector, ...] = Field(
        min_length=1, max_length=50, description="The accounts: those that any of these selects."
    )
    exclude: tuple[Selector, ...] = Field(
        default=(), max_length=50, description="But for those that any of these selects."
    )
    assignments: tuple[Assigned, ...] = Field(
        min_length=1, max_length=100, description="Which groups hold which permission sets there."
    )
    exclusive: bool = Field(
        default=False,
        description=(
            "Whether in these accounts other groups' assignments of the catalogue's permission "
            "sets are stale: baseline-assignment-stale removes them where it enforces."
        ),
    )


type Baselines = Mapping[str, Baseline]
"""By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An account, and where it is. `parents` are the ids of its OUs and root, nearest first.

    `tags` is None where they were not read. `by_id_only`: a baseline has to name its id.
    """

    account: AccountId
    parents: tuple[str, ...]
    tags: Mapping[str, str] | None = None
    by_id_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the names in baselines stand for: names that are missing here, nothing is known by."""

    groups: Mapping[str, str] = field(default_factory=dict)
    permission_sets: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def baselines_of(accepted: Mapping[str, dict[str, object]]) -> Baselines:
    """The accepted baselines, read; what this version of the code cannot read selects nothing."""
    found = {}
    for name, value in accepted.items():
        try:
            found[name] = validated(name, Baseline, value)
        except SettingsError:
            continue
    return found


def names_in(baselines: Iterable[Baseline]) -> Names:
    """All names that have to be looked up, with an empty meaning: ids and ARNs are left out."""
    baselines = tuple(baselines)
    assigned = [it for baseline in baselines for it in baseline.assignments]
    selectors = [it for baseline in baselines for it in (*baseline.accounts, *baseline.exclude)]
    return Names(
        groups={it.group: "" for it in assigned if not GROUP_ID.fullmatch(it.group)},
        permission_sets={
            it.permission_set: "" for it in assigned if not SET_ARN.fullmatch(it.permission_set)
        },
        units={it.unit: "" for it in selectors if it.unit and not UNIT_ID.fullmatch(it.unit)},
    )


def need_tags(baselines: Iterable[Baseline]) -> bool:
    """Whether an account's tags may decide."""
    return any(it.tags for baseline in baselines for it in (*baseline.accounts, *baseline.exclude))


def selecting(baselines: Baselines, place: Place, names: Names) -> tuple[str, ...]:
    """The names of the baselines that select the account, in order.

    A unit whose path nobody knows selects nothing; where it is to be excluded, the baseline selects
    nothing at all: it must not give what it was told to spare.
    """
    return tuple(
        name for name, baseline in sorted(baselines.items()) if _selects(baseline, place, names)
    )


def wanted(
    baselines: Baselines, selected: Iterable[str], names: Names
) -> tuple[tuple[Access, ...], tuple[str, ...]]:
    """The access that the selected baselines want, each once; and what of it has unknown names.

    These are said in words: "group Developers (baseline workloads)".
    """
    found: dict[tuple[str, str], Access] = {}
    unknown: list[str] = []
    for name in selected:
        for assigned in baselines[name].assignments:
            group = _id_of(assigned.group, GROUP_ID, names.groups)
            arn = _id_of(assigned.permission_set, SET_ARN, names.permission_sets)
            if group is None:
                unknown.append(f"group {assigned.group} (baseline {name})")
            if arn is None:
                unknown.append(f"permission set {assigned.permission_set} (baseline {name})")
            if group is None or arn is None:
                continue
            others = found[arn, group].baselines if (arn, group) in found else ()
            found[arn, group] = Access(
                group_id=group,
                permission_set_arn=arn,
                group_name=assigned.group if assigned.group != group else None,
                permission_set_name=(
                    assigned.permission_set if assigned.permission_set != arn else None
                ),
                baselines=tuple(dict.fromkeys((*others, name))),
            )
    return tuple(found.values()), tuple(dict.fromkeys(unknown))


def _id_of(text: str, pattern: re.Pattern[str], names: Mapping[str, str]) -> str | None:
    return text if pattern.fullmatch(text) else names.get(text)


def _selects(baseline: Baseline, place: Place, names: Names) -> bool:
    if any(_unknown_unit(it, names) for it in baseline.exclude):
        return False
    if any(_matches(it, place, names) for it in baseline.exclude):
        return False
    chosen = [it for it in baseline.accounts if _matches(it, place, names)]
    if place.by_id_only:
        return any(place.account in it.ids for it in chosen)
    return bool(chosen)


def _unknown_unit(selector: Selector, names: Names) -> bool:
    return selector.unit is not None and _id_of(selector.unit, UNIT_ID, names.units) is None


def _matches(selector: Selector, place: Place, names: Names) -> bool:
    if selector.ids and place.account not in selector.ids:
        return False
    if selector.unit is not None:
        unit = _id_of(selector.unit, UNIT_ID, names.units)
        among = place.parents if selector.children else place.parents[:1]
        if unit not in among:
            return False
    tags = place.tags or {}
    return all(key in tags and value in {"*", tags[key]} for key, value in selector.tags.items())
