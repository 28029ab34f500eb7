"""Who may sign in to Identity Center, and how: as events tell it. Pure."""

from collections.abc import Callable

from keyward.model import Hint, Subject


def claimed(hint: Hint) -> tuple[Subject, ...]:
    """What the event says of directory, identity provider, sign-in and delegation; mostly nothing.

    Raises EventError where the event lacks what it must have.
    """
    reader = _READERS.get((hint.event_source, hint.event_name))
    return reader(hint) if reader else ()


_READERS: dict[tuple[str, str], Callable[[Hint], tuple[Subject, ...]]] = {}
