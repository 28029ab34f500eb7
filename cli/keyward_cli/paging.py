"""Acts that take the operator function more than one call: each answer says where to go on."""

import time
from collections.abc import Iterator

from keyward.errors import RequestError
from keyward_cli.aws import Caller, ask

MOST_WAITS = 20
"""So often the same answer is waited through, before people are told to come again later."""

LONGEST_WAIT_SECONDS = 15


def answers(caller: Caller, act: str, **arguments: object) -> Iterator[dict[str, object]]:
    """Every answer of an act to its last, with waits where Identity Center puts the operator off.

    Raises RequestError and GatewayError as `ask` does, and where it gets no further.
    """
    after: object = None
    last: tuple[object, object] = (None, None)
    waited = 0
    while True:
        answer = ask(caller, act, after=after, **arguments)
        yield answer
        after, waits = answer.get("next"), answer.get("waits")
        if after is None and waits is None:
            return
        waited = waited + 1 if (after, waits) == last else 0
        if waited >= MOST_WAITS:
            message = f"it gets no further: {waits}; ask again later, it goes on from there"
            raise RequestError(message)
        if waits is not None:
            time.sleep(min(2**waited, LONGEST_WAIT_SECONDS))
        last = (after, waits)
