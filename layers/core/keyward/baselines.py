"""Baselines: which groups hold which permission sets in which accounts, as owners wrote it. Pure.

Several baselines add up: an account has the access of all that select it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

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

SET_NAME = re.compile(r"[\w+=,.@-]{1,32}", re.ASCII)
"""Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreatePermissionSet.html"""

MAX_UNIT_NAME = 128
"""Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganizationalUnit.html"""

MAX_DEPTH = 5
"""So deep OUs nest below the root.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
"""

_LIKE_UNIT_ID = re.compile(r"arn:.*|ou-[0-9a-z]+-[0-9a-z]+", re.ASCII | re.IGNORECASE | re.DOTALL)
_LIKE_GROUP_ID = re.compile(r"arn:.*|[0-9a-f-]{32,}", re.ASCII | re.IGNORECASE | re.DOTALL)

TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=256)]

ANY_VALUE = "*"

_OF_TAGS = frozenset("_.:/=+-@")
"""What tags of accounts may hold beside letters, digits and spaces.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Tag.html
"""

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
            "the root, such as Workloads/Prod. One whose name has a slash goes by id."
        ),
    )
    children: bool = Field(
        default=True, description="With unit: accounts of the units below it, too."
    )
    tags: dict[TagKey, TagValue] = Field(
        default={},
        max_length=10,
        description="The account has all of these tags, with these values; * is any value.",
    )

    @field_validator("unit")
    @classmethod
    def _is_unit(cls, unit: str | None) -> str | None:
        if unit is not None and (problem := _unit_problem(unit)) is not None:
            raise ValueError(problem)
        return unit

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        for key, value in tags.items():
            held = key if value == ANY_VALUE else key + value
            if not all(it in _OF_TAGS or unicodedata.category(it)[0] in "LZN" for it in held):
                message = (
                    f"{key}: no account's tag is {value}; expected letters, digits, spaces and "
                    f"{' '.join(sorted(_OF_TAGS))}, or {ANY_VALUE} alone for any value"
                )
                raise ValueError(message)
        return tags

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not (self.everything or self.ids or self.unit or self.tags):
            message = "it selects nothing: give ids, unit or tags, or everything: true"
            raise ValueError(message)
        if self.everything and (self.ids or self.unit or self.tags):
            message = "everything: true says it all: leave the other fields out"
            raise ValueError(message)
        if self.unit is None and not self.children:
            message = "children goes with unit: give one, or leave children out"
            raise ValueError(message)
        return self

    @property
    def key(self) -> tuple[object, ...]:
        """What it selects, however it is written."""
        return self.unit, self.children, frozenset(self.ids), frozenset(self.tags.items())

    def covers(self, other: "Selector") -> bool:
        """Whether it surely selects all that `other` does.

        One may call by path what the other calls by id: nobody knows before they are looked up.
        """
        return (
            (not self.ids or (bool(other.ids) and set(other.ids) <= set(self.ids)))
            and (
                self.unit is None
                or (self.unit == other.unit and (self.children or not other.children))
            )
            and all(
                key in other.tags and value in {ANY_VALUE, other.tags[key]}
                for key, value in self.tags.items()
            )
        )


class Assigned(Setting):
    """A permission set for a group."""

    group: str = Field(
        min_length=1, max_length=1024, description="Name or id of an Identity Center group."
    )
    permission_set: str = Field(
        min_length=1, max_length=200, description="Name or ARN of a permission set."
    )

    @field_validator("group")
    @classmethod
    def _is_group(cls, group: str) -> str:
        if group != group.strip():
            message = "white space at its beginning or end; expected a name or an id"
            raise ValueError(message)
        if _LIKE_GROUP_ID.fullmatch(group) and not GROUP_ID.fullmatch(group):
            message = f"{group} is no id of a group; expected one, or the group's name"
            raise ValueError(message)
        return group

    @field_validator("permission_set")
    @classmethod
    def _is_set(cls, text: str) -> str:
        if not SET_ARN.fullmatch(text) and not SET_NAME.fullmatch(text):
            message = (
                "expected a name of letters, digits and _+=,.@- (at most 32), or an ARN like "
                "arn:aws:sso:::permissionSet/ssoins-.../ps-..."
            )
            raise ValueError(message)
        return text


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

    @field_validator("exclude")
    @classmethod
    def _leaves_something(
        cls, exclude: tuple[Selector, ...], info: ValidationInfo
    ) -> tuple[Selector, ...]:
        accounts: tuple[Selector, ...] = info.data.get("accounts", ())
        for number, spared in enumerate(exclude):
            by_id_alone = spared.ids and spared.unit is None and not spared.tags
            for place, selector in enumerate(accounts):
                both = sorted(set(spared.ids) & set(selector.ids)) if by_id_alone else []
                if both or spared.covers(selector):
                    what = f"account {both[0]}" if both else "all"
                    message = f"{number} spares {what} that accounts.{place} selects"
                    raise ValueError(message)
        return exclude

    @field_validator("assignments")
    @classmethod
    def _is_each_once(cls, assignments: tuple[Assigned, ...]) -> tuple[Assigned, ...]:
        seen: dict[tuple[str, str], int] = {}
        for number, it in enumerate(assignments):
            key = (it.group.casefold(), it.permission_set.casefold())
            if key in seen:
                message = (
                    f"{number} is {seen[key]} again ({it.permission_set} for {it.group}), whatever "
                    "the case of letters; expected each once"
                )
                raise ValueError(message)
            seen[key] = number
        return assignments

    @property
    def selectors(self) -> tuple[frozenset[object], frozenset[object]]:
        """What is selected and what is excluded, in whatever order it is written."""
        return (
            frozenset(it.key for it in self.accounts),
            frozenset(it.key for it in self.exclude),
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

    A unit whose path nobody knows selects nothing, and neither do tags that were not read. Where
    such a unit is to be excluded, the baseline selects nothing at all, and where such tags are, not
    this account: it must not give what it was told to spare.
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
            others = found.get((arn, group), Access(group_id=group, permission_set_arn=arn))
            found[arn, group] = Access(
                group_id=group,
                permission_set_arn=arn,
                group_name=others.group_name or _name_in(assigned.group, group),
                permission_set_name=(
                    others.permission_set_name or _name_in(assigned.permission_set, arn)
                ),
                baselines=tuple(dict.fromkeys((*others.baselines, name))),
            )
    return tuple(found.values()), tuple(dict.fromkeys(unknown))


def unknown_units(baselines: Baselines, names: Names) -> tuple[str, ...]:
    """The OUs that nobody knows by the path that a baseline has: "OU Workloads (baseline x)".

    One that was to be excluded keeps its baseline from selecting anything.
    """
    return tuple(
        dict.fromkeys(
            f"OU {selector.unit} (baseline {name})"
            for name, baseline in sorted(baselines.items())
            for selector in (*baseline.accounts, *baseline.exclude)
            if _unknown_unit(selector, names)
        )
    )


def _id_of(text: str, pattern: re.Pattern[str], names: Mapping[str, str]) -> str | None:
    return text if pattern.fullmatch(text) else names.get(text)


def _name_in(text: str, id_: str) -> str | None:
    return text if text != id_ else None


def _unit_problem(unit: str) -> str | None:
    """What keeps a text from being an OU's id or path; None: nothing."""
    names = unit.split("/")
    if UNIT_ID.fullmatch(unit):
        return None
    if _LIKE_UNIT_ID.fullmatch(unit) or any(UNIT_ID.fullmatch(name) for name in names):
        return f"{unit} is no id of an OU; expected ou-abcd-12345678, r-abcd, or a path of names"
    if any(not name or name != name.strip() for name in names):
        return "a name in its path is empty, or has white space around it; expected Workloads/Prod"
    if len(names) > MAX_DEPTH:
        return f"its path has {len(names)} names; OUs are at most {MAX_DEPTH} deep"
    if any(len(name) > MAX_UNIT_NAME for name in names):
        return f"a name in its path is longer than {MAX_UNIT_NAME}, as no OU's is"
    return None


def _selects(baseline: Baseline, place: Place, names: Names) -> bool:
    if any(_unknown_unit(it, names) for it in baseline.exclude):
        return False
    if any(_may_match(it, place, names) for it in baseline.exclude):
        return False
    chosen = [it for it in baseline.accounts if _matches(it, place, names)]
    if place.by_id_only:
        return any(place.account in it.ids for it in chosen)
    return bool(chosen)


def _unknown_unit(selector: Selector, names: Names) -> bool:
    return selector.unit is not None and _id_of(selector.unit, UNIT_ID, names.units) is None


def _may_match(selector: Selector, place: Place, names: Names) -> bool:
    """Whether it selects the account, or would by tags that were not read."""
    return _is_there(selector, place, names) and (
        place.tags is None or _has_tags(selector, place.tags)
    )


def _matches(selector: Selector, place: Place, names: Names) -> bool:
    return _is_there(selector, place, names) and _has_tags(selector, place.tags or {})


def _is_there(selector: Selector, place: Place, names: Names) -> bool:
    if selector.ids and place.account not in selector.ids:
        return False
    if selector.unit is not None:
        unit = _id_of(selector.unit, UNIT_ID, names.units)
        among = place.parents if selector.children else place.parents[:1]
        if unit not in among:
            return False
    return True


def _has_tags(selector: Selector, tags: Mapping[str, str]) -> bool:
    return all(
        key in tags and value in {ANY_VALUE, tags[key]} for key, value in selector.tags.items()
    )
