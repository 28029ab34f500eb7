"""Signs of life: a canary that walked the whole way, and the newest event of each account.

What is counted here has an alarm on its absence, which goes off without any of Keyward's functions.
"""

from datetime import datetime, timedelta

from keyward.events import Canary
from keyward.model import Hint
from keyward.observability import count_on, logger
from keyward.services import Services
from keyward.sweep import CanaryMark, Heard

WAYS = ("iam", "identity-center", "accounts")
"""Each over another forwarding rule to another guard: iam_guard, identity_center_guard and
account_baseline."""

LATE = timedelta(minutes=15)
"""An older canary waited somewhere, or was replayed: it says nothing of now."""

ACCOUNTS = 200
"""So many accounts a process remembers to have heard from: each is a write once a canary comes."""


def arrived(canary: Canary, *, services: Services, now: datetime) -> None:
    """Records that the canary came, and what this process heard since the last one.

    Counted is only what the ledger has, and what is not late. Raises GatewayError.
    """
    age = now - canary.sent
    if canary.way not in WAYS or age > LATE:
        logger.warning("canary is late", way=canary.way, seconds=int(age.total_seconds()))
        return
    for heard in tuple(services.heard.values()):
        services.ledger.hear([heard])
        del services.heard[heard.account]
    services.ledger.canary_came(CanaryMark(way=canary.way, sent=canary.sent, arrived=now))
    count_on(canary.way, "CanaryArrived")


def hear(hint: Hint, services: Services) -> None:
    """Remembers, in this process alone, that the account was heard from. No AWS call.

    What Keyward tells itself is nothing that was heard.
    """
    known = services.heard.get(hint.account)
    is_new = known is None and len(services.heard) < ACCOUNTS
    if hint.origin == "event" and (is_new or (known is not None and known.time < hint.time)):
        services.heard[hint.account] = Heard(
            account=hint.account,
            event_name=hint.event_name,
            event_source=hint.event_source,
            time=hint.time,
        )
