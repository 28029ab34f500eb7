"""Every error that Keyward raises on purpose.

KeywardError
├── EventError          an event that cannot be read: it goes to the dead letters
├── SettingsError       a setting that cannot be accepted: the last valid one stays in force
├── RequestError        an operator asked for something that cannot be done
└── GatewayError        AWS said no, or nothing; `retryable` tells whether a later try may succeed
    ├── NotFoundError       the object is gone
    └── SlotsFullError      a quota of the object is used up
"""

STALE_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"})
"""Codes by which AWS refuses a session that has ended, or whose role is another by now."""


class KeywardError(Exception):
    """The base of all of them. Its text is one line that names the thing and the remedy."""


class EventError(KeywardError):
    """The event is not one that Keyward can read."""


class SettingsError(KeywardError):
    """A setting is not valid; the text names parameter, field and what was expected."""


class RequestError(KeywardError):
    """What an operator asked for cannot be done; the text says why and what to do instead."""


class GatewayError(KeywardError):
    """An AWS call failed.

    `retryable` is true for throttling, server errors, timeouts and states that pass by themselves.
    """

    def __init__(self, message: str, *, code: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class NotFoundError(GatewayError):
    """The object that the call names does not exist (any more)."""


class SlotsFullError(GatewayError):
    """A quota of the object is used up, for example the ten managed policies of a user."""
