"""What baselines call groups, permission sets and OUs -> their ids, looked up once and remembered.

What a name stands for is kept in the ledger, so that an event costs no call for it. It is forgotten
where Identity Center doesn't find what it stands for, and looked up again then.
"""

import functools
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.baselines import Names
from keyward.errors import NotFoundError
from keyward.findings import Notice, Severity

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway
    from keyward.gateways.organization import OrganizationGateway
    from keyward.ledger import Ledger, NameKind


def resolved(
    names: Names,
    *,
    center: "IdentityCenterGateway",
    organization: "OrganizationGateway",
    ledger: "Ledger",
    anew: bool = False,
) -> Names:
    """The same names with what they stand for; what nothing is known by is left out.

    `anew`: also those that somebody remembers are looked up again, since a name may have moved on;
    what stands for nothing any more is forgotten. Otherwise no call is made for these.
    Raises GatewayError; what was found before is remembered.
    """
    before = recalled(names, ledger)
    known = Names() if anew else before
    root, units_in = functools.cache(organization.root), functools.cache(organization.units_in)
    groups = _found(
        "group",
        _lacking(names.groups, known.groups),
        lambda lacking: ((name, center.group_id(name)) for name in lacking),
        before=before.groups,
        ledger=ledger,
    )
    units = _found(
        "unit",
        _lacking(names.units, known.units),
        lambda lacking: ((path, _unit(path, root, units_in)) for path in lacking),
        before=before.units,
        ledger=ledger,
    )
    sets = _found(
        "permission-set",
        _lacking(names.permission_sets, known.permission_sets),
        lambda lacking: _sets(lacking, center, ledger),
        before=before.permission_sets,
        ledger=ledger,
    )
    return Names(
        groups={**known.groups, **groups},
        permission_sets={**known.permission_sets, **sets},
        units={**known.units, **units},
    )


def _found(
    kind: "NameKind",
    lacking: Collection[str],
    look: Callable[[Collection[str]], Iterable[tuple[str, str | None]]],
    *,
    before: Mapping[str, str],
    ledger: "Ledger",
) -> dict[str, str]:
    """What the names stand for, as `look` finds it; each is remembered, or forgotten, at once."""
    found = {}
    for name, id_ in look(lacking) if lacking else ():
        if id_ is not None:
            found[name] = id_
            if before.get(name) != id_:
                ledger.remember_id(kind, name, id_)
        elif name in before:
            ledger.forget_id(kind, name)
    return found


def unknown(text: str, *, now: datetime) -> Notice:
    """What people hear, once a month, of a name in a baseline that stands for nothing.

    `text` is as `baselines.wanted` has it: "group Developers (baseline workloads)".
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return Notice(
        kind="baseline-name-unknown",
        id=f"{digest}-{now:%Y-%m}",
        title=f"A baseline names what doesn't exist: {text}",
        text=(
            f"There is no {text}. Accounts that the baseline selects get all else that it wants; "
            "an OU that isn't there selects none, and to be excluded lets the whole baseline rest. "
            "Make it, or correct the parameter under /keyward/baseline/; then run keyward baseline "
            "plan."
        ),
        severity=Severity.HIGH,
        at=now,
    )


def above(
    account: str, *, organization: "OrganizationGateway", ledger: "Ledger"
) -> tuple[str, ...]:
    """The ids of the OUs and the root that the account is in now, from the nearest up.

    One call: OUs are never moved, so that what is above one is remembered. Raises GatewayError.
    """
    return organization.parents(account, known=ledger.parent_of, remember=ledger.remember_parent)


def recalled(names: Names, ledger: "Ledger") -> Names:
    """As far as the ledger remembers them: no call to AWS but to the ledger."""
    return Names(
        groups=ledger.known_ids("group", names.groups),
        permission_sets=ledger.known_ids("permission-set", names.permission_sets),
        units=ledger.known_ids("unit", names.units),
    )


def _lacking(names: Iterable[str], known: Iterable[str]) -> list[str]:
    known = set(known)
    return [name for name in names if name not in known]


def _sets(
    lacking: Collection[str], center: "IdentityCenterGateway", ledger: "Ledger"
) -> Iterator[tuple[str, str | None]]:
    """The ARNs of the permission sets of these names: a set keeps its name for ever.

    One call for each set that nobody has looked at yet, until the last of the names is found. Each
    is remembered at once: whoever has no time for all of several hundred goes on where he stopped.
    """
    arns = center.arns()
    remembered = ledger.names_of_sets(arns)
    found = {name: arn for arn, name in remembered.items()}
    for arn in arns:
        if found.keys() >= set(lacking):
            break
        if arn in remembered:
            continue
        try:
            name = center.name_of(arn)
        except NotFoundError:
            continue  # it went after the list was made
        ledger.remember_set(arn, name)
        found[name] = arn
    for name in lacking:
        yield name, found.get(name)


def _unit(
    path: str, root: Callable[[], str], units_in: Callable[[str], Mapping[str, str]]
) -> str | None:
    """The OU at the end of a path of names from the root; None where there is none."""
    unit: str | None = root()
    for name in path.strip("/").split("/"):
        if unit is None:
            break
        unit = units_in(unit).get(name)
    return unit
