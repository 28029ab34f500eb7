"""Accounts that come, move or change, as events claim them. Pure."""

from keyward.baselines import Baselines
from keyward.model import AccountAccess, AccountLifecycle, Hint


def claimed(hint: Hint, baselines: Baselines) -> tuple[AccountAccess | AccountLifecycle, ...]:
    """The account whose access the event may have to do with; how its making ended."""
    del hint, baselines
    return ()


def scope(hint: Hint, baselines: Baselines) -> str | None:
    """What many accounts the event is about, as a rollout has it; None where it is about others."""
    del hint, baselines
    return None
