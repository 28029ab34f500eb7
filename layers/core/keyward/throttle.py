"""One token bucket for all of Keyward's calls to Identity Center, whichever function makes them.

AWS grants an account 20 calls in a second over all operations of sso-admin, and people and other
tools need some of them. The bucket is an item of the ledger; tokens are taken from it some at a
time, so that it costs a write for every few calls.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyward.ledger import Ledger


class Bucket:
    """Hands out tokens at an even rate, shared with every other bucket of the same ledger."""

    def __init__(
        self,
        *,
        ledger: "Ledger",
        calls_per_second: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        self._ledger, self._calls_per_second, self._sleep = ledger, calls_per_second, sleep

    def take(self) -> None:
        """Returns once a call may be made."""
        raise NotImplementedError
