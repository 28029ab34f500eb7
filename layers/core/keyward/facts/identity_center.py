"""Permission sets, assignments and memberships: as an event claims them, and as they are now."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.model import Catalogue, Hint, OfIdentityCenter

if TYPE_CHECKING:
    from keyward.gateways.reach import Reach
    from keyward.ledger import Ledger


def claimed(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """The permission set or assignment that the event speaks of. Pure; raises EventError."""
    reader = _READERS.get((hint.event_source, hint.event_name))
    return reader(hint, catalogue) if reader else ()


def identified(
    subjects: Iterable[OfIdentityCenter], *, reach: "Reach", ledger: "Ledger"
) -> tuple[list[OfIdentityCenter], list[OfIdentityCenter]]:
    """The claimed subjects of this organization's instance with their names; and the gone ones."""
    raise NotImplementedError(subjects, reach, ledger)


def current(
    subjects: Iterable[OfIdentityCenter], *, reach: "Reach", ledger: "Ledger", now: datetime
) -> list[OfIdentityCenter]:
    """Just those subjects, as they are in Identity Center now; left out are those that are gone."""
    raise NotImplementedError(subjects, reach, ledger, now)


_READERS: dict[tuple[str, str], Callable[[Hint, Catalogue], tuple[OfIdentityCenter, ...]]] = {}
