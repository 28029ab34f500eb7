"""Says which resources of a kind a pattern speaks of: examples to ask about, and how many it means.

An example is one concrete ARN. Whether a principal may act on it is then plain evaluation, in which
Deny and boundaries count as they do in AWS. Account numbers are left open: one that a policy names
is taken for the principal's own.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import combinations, islice

from keyward.policy.document import OTHER_VARIABLE, SELF
from keyward.policy.globs import ANY, FRESH, WILDCARDS, concrete, fixed, matches, meet
from keyward.policy.paths import Kind

_PARTS = 6
"""Of an ARN: arn, partition, service, region, account, resource."""

_PLACE = re.compile(rf"[a-z0-9*?-]*|.*{OTHER_VARIABLE}.*")
"""How a partition, region or account can be written in a pattern."""

_LOOSE_NAME = 2
"""A pattern that prescribes no more characters of a name than this is taken to mean all names."""

_MOST_PAIRS = 20_000
"""How many pairs of patterns are tried at most; real policies have some dozens."""


class Breadth(IntEnum):
    """Which resources of a kind: some named ones, the caller's own user, or whichever one wants."""

    SOME = 1
    OWN = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A concrete resource, standing for so many of its kind."""

    arn: str
    breadth: Breadth


@lru_cache(maxsize=256)
def anything(kind: Kind) -> tuple[Example, ...]:
    """Resources of the kind that a policy which speaks of all of them lets through."""
    if kind.only_names:
        return ()
    return tuple(
        Example(
            f"arn:aws:{service}:{_region(kind)}:{_account(kind)}:{kind.prefix}{name}", Breadth.ALL
        )
        for service in kind.services
        for name in (*(() if kind.types else (ANY,)), *kind.names)
    )


@lru_cache(maxsize=8192)
def examples(kind: Kind, pattern: str) -> tuple[Example, ...]:
    """Resources of the kind that the pattern matches, none if it is about something else."""
    parts = pattern.split(":", _PARTS - 1)
    if len(parts) < _PARTS:
        return tuple(_of_odd_pattern(kind, pattern))
    arn, partition, service, region, account, resource = parts
    services = [it for it in kind.services if matches(service, it)]
    if not services or not matches(arn, "arn") or account == "aws":
        return ()
    if not kind.regional and not matches(region, ""):
        return ()
    if not all(_PLACE.fullmatch(it) for it in (partition, region, account)):
        return ()
    if not kind.loose and ((kind.regional and not region) or (kind.has_account and not account)):
        return ()
    begin = ":".join(
        (
            "arn",
            _like(partition, "aws"),
            services[0],
            _like(region, _region(kind)),
            _like(account, _account(kind)),
            "",
        )
    )
    return tuple(_named(kind, begin, resource))


def in_common(kind: Kind, patterns: Iterable[str]) -> Iterator[Example]:
    """Resources of the kind that two of the patterns match, standing for no more than either."""
    about_it = {it: found for it in patterns if it != "*" and (found := examples(kind, it))}
    for one, other in islice(combinations(about_it, 2), _MOST_PAIRS):
        if (together := _join(one, other)) is not None:
            most = min(max(it.breadth for it in about_it[each]) for each in (one, other))
            for it in examples(kind, together):
                yield Example(it.arn, min(it.breadth, most))


def _of_odd_pattern(kind: Kind, pattern: str) -> Iterator[Example]:
    """Where wildcards stand for colons, too: for all that is missing at the end, or for some."""
    if pattern.endswith("*"):
        found = examples(kind, pattern + ":*" * (_PARTS - 1 - pattern.count(":")))
        yield from found
        if found:
            return
    if "*" in pattern:
        for service in kind.services:
            begin = f"arn:aws:{service}:{_region(kind)}:{_account(kind)}:"
            together = meet(pattern, f"{begin}{kind.prefix}*")
            if together is not None and together.startswith(begin):
                yield from _named(kind, begin, together.removeprefix(begin))


def _named(kind: Kind, begin: str, resource: str) -> Iterator[Example]:
    if not resource.startswith(kind.prefix):
        together = meet(resource, f"{kind.prefix}*")
        if together is None or not together.startswith(kind.prefix):
            return
        resource = together
    name = resource.removeprefix(kind.prefix)
    if any(name.startswith(it) for it in kind.untouchable):
        return
    breadth = _breadth(kind, name)
    known = [it for it in kind.names if matches(name, it)]
    if kind.only_names and breadth is Breadth.ALL:
        return
    for it in known:
        yield Example(f"{begin}{kind.prefix}{it}", Breadth.ALL)
    if kind.only_names:
        return
    for it in _typed(kind, name) if kind.types else (name,):
        yield Example(f"{begin}{kind.prefix}{concrete(it)}", breadth)


def _typed(kind: Kind, name: str) -> Iterator[str]:
    match name.split("/"):
        case [first, middle, last]:
            yield from (f"{first}/{it}/{last}" for it in kind.types if matches(middle, it))


def _breadth(kind: Kind, name: str) -> Breadth:
    if kind.loose:
        return Breadth.ALL
    last = name.rpartition("/")[2]
    if last == SELF:
        return Breadth.OWN
    part = last if kind.by_last_part else name
    loose = not WILDCARDS.isdisjoint(part) and fixed(part) <= _LOOSE_NAME
    return Breadth.ALL if loose else Breadth.SOME


def _like(pattern: str, usual: str) -> str:
    return usual if matches(pattern, usual) else concrete(pattern)


def _region(kind: Kind) -> str:
    return FRESH if kind.regional else ""


def _account(kind: Kind) -> str:
    return FRESH if kind.has_account else ""


def _join(one: str, other: str) -> str | None:
    """Part by part, so that no wildcard stands for a colon where it need not."""
    parts = one.split(":", _PARTS - 1), other.split(":", _PARTS - 1)
    if len(parts[0]) < _PARTS or len(parts[1]) < _PARTS:
        return meet(one, other)
    together = []
    for mine, theirs in zip(*parts, strict=True):
        if (both := meet(mine, theirs)) is None:
            return None
        together.append(both)
    return ":".join(together)
