"""One token bucket for all of Keyward's calls to Identity Center, whichever function makes them.

AWS grants an account 20 calls in a second over all operations of sso-admin, and people and other
tools need some of them. The bucket is an item of the ledger; tokens are taken from it some at a
time, so that it costs a write for every few calls.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyward.ledger import Ledger

CALLS_AT_ONCE = 5
"""So many tokens are taken in one write, and may be used up in a burst."""

GOOD_FOR = timedelta(seconds=2)
"""Tokens that lie unused so long lapse: a function that slept must not wake to a burst."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Bucket:
    """Hands out tokens at an even rate, shared with every other bucket of the same ledger."""

    def __init__(
        self,
        *,
        ledger: "Ledger",
        calls_per_second: Callable[[], int],
        sleep: Callable[[float], None],
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`clock` tells the time: others who take tokens have none but the wall's in common."""
        self._ledger, self._calls_per_second = ledger, calls_per_second
        self._sleep, self._clock = sleep, clock
        self._left = 0
        self._seen: datetime | None = None
        self._begins = datetime.min.replace(tzinfo=UTC)

    def take(self) -> None:
        """Returns once a call may be made; it waits some seconds at most.

        Raises GatewayError(retryable): code RateLimited where it would have to wait longer.
        """
        # What was slept for has passed, however coarse the clock is.
        now = max(self._clock(), self._begins)
        if self._left == 0 or now - self._begins > GOOD_FOR:
            self._begins, self._seen = self._ledger.lease_calls(
                CALLS_AT_ONCE, per_second=self._calls_per_second(), seen=self._seen, now=now
            )
            self._left = CALLS_AT_ONCE
            if self._begins > now:
                self._sleep((self._begins - now).total_seconds())
        self._left -= 1
