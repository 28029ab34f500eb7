"""The newest inventory, page by page: who holds what, as a sweep left it in the bucket."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from keyward.errors import RequestError
from keyward.gateways.s3 import S3Gateway
from keyward.planning import last_complete
from keyward.services import Services

PREFIX = "inventory"

CHARACTERS_A_PAGE = 3_000_000
"""So much is in one answer: Lambda sends 6 MB at most, and JSON within JSON grows.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

LONGEST = timedelta(seconds=20)
"""One answer reads no longer than that: each account is a file of its own."""


def page(
    *,
    sweep: str | None,
    kind: str | None,
    account: str | None,
    after: tuple[str, int] | None,
    services: Services,
) -> dict[str, object]:
    """Lines of a sweep's inventory, those that come `after` a file and a number of lines of it.

    Without a sweep it is the last complete one's. Raises RequestError where there is none, and
    GatewayError.
    """
    bucket = services.inventory
    if bucket is None:
        message = "keyward-operator knows of no bucket of inventories: deploy the whole stack again"
        raise RequestError(message)
    of = sweep or _newest(services)
    begun: datetime = services.clock()
    found: list[dict[str, object]] = []
    size, following = 0, None
    for key, number, line in _lines(bucket, of, account=account, after=after):
        if size > CHARACTERS_A_PAGE or services.clock() - begun > LONGEST:
            following = (key, number)
            break
        if kind in {None, line.get("kind")} and account in {None, line.get("account")}:
            found.append(line)
            size += len(json.dumps(line))
    return {"sweep": of, "lines": found, "next": following}


def _newest(services: Services) -> str:
    complete = last_complete(services.ledger.sweeps())
    if complete is None:
        message = "no sweep was complete yet, so that there is no inventory: keyward sweep --wait"
        raise RequestError(message)
    return complete.id


def _lines(
    bucket: S3Gateway, sweep: str, *, account: str | None, after: tuple[str, int] | None
) -> Iterator[tuple[str, int, dict[str, object]]]:
    """Each line with its file, and how many lines of that file come before it."""
    first, skipped = after or ("", 0)
    of_iam = f"{PREFIX}/{sweep}/iam/"
    for key in bucket.keys(f"{PREFIX}/{sweep}/"):
        elsewhere = account is not None and key.startswith(of_iam) and account not in key
        if key < first or elsewhere:
            continue
        for number, line in enumerate(bucket.lines(key)):
            if key > first or number >= skipped:
                yield key, number, line
