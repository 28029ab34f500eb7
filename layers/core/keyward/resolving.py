"""What baselines call groups, permission sets and OUs -> their ids, looked up once and remembered.

What a name stands for is kept in the ledger, so that an event costs no call for it. It is forgotten
where Identity Center doesn't find what it stands for, and looked up again then.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.baselines import Names
from keyward.errors import NotFoundError
from keyward.findings import Notice, Severity

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway
    from keyward.gateways.organization import OrganizationGateway
    from keyward.ledger import Ledger


def resolved(
    names: Names,
    *,
    center: "IdentityCenterGateway",
    organization: "OrganizationGateway",
    ledger: "Ledger",
    anew: bool = False,
) -> Names:
    """The same names with what they stand for; what nothing is known by is left out.

    `anew`: also those that somebody remembers are looked up again, since a name may have moved on.
    Otherwise no call is made for these. Raises GatewayError; what was found before is remembered.
    """
    known = recalled(names, ledger) if not anew else Names()
    groups, units = dict(known.groups), dict(known.units)
    for name in _lacking(names.groups, groups):
        if (group := center.group_id(name)) is not None:
            ledger.remember_id("group", name, group)
            groups[name] = group
    for path in _lacking(names.units, units):
        if (unit := _unit(path, organization)) is not None:
            ledger.remember_id("unit", path, unit)
            units[path] = unit
    sets = dict(known.permission_sets)
    lacking = _lacking(names.permission_sets, sets)
    if lacking:
        found = _sets(center, ledger)
        for name in lacking:
            if name in found:
                ledger.remember_id("permission-set", name, found[name])
                sets[name] = found[name]
    return Names(groups=groups, permission_sets=sets, units=units)


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
            f"Identity Center has no {text}. Accounts that the baseline selects get all else that "
            "it wants. Make it, or correct the parameter under /keyward/baseline/; then run "
            "keyward baseline plan."
        ),
        severity=Severity.HIGH,
        at=now,
    )


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


def _sets(center: "IdentityCenterGateway", ledger: "Ledger") -> dict[str, str]:
    """The ARNs of all permission sets by name: a set keeps its name, so that one look is enough.

    One call for each set that nobody has looked at yet. Each is remembered at once: whoever has no
    time for all of several hundred goes on where he stopped.
    """
    found = {}
    for arn in center.arns():
        name = ledger.name_of_set(arn)
        if name is None:
            try:
                name = center.name_of(arn)
            except NotFoundError:
                continue  # it went after the list was made
            ledger.remember_set(arn, name)
        found[name] = arn
    return found


def _unit(path: str, organization: "OrganizationGateway") -> str | None:
    """The OU at the end of a path of names from the root; None where there is none."""
    unit = organization.root()
    for name in path.strip("/").split("/"):
        below = organization.units_in(unit)
        if name not in below:
            return None
        unit = below[name]
    return unit
