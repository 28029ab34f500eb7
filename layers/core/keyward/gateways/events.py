"""EventBridge: what the archive kept is sent over the bus again, and what Keyward tells others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

NAME = "keyward"
"""What the bus is called, and the archive of it; and by what source others know its own events."""

ENTRIES = 10
"""So many events one call puts."""

BYTES = 256_000
"""So large they may be all together: it has to be less than 256 KB.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How far a replay is: `last` is the time of the event that was sent again last."""

    name: str
    state: str
    reason: str | None
    start: datetime
    end: datetime
    last: datetime | None

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeReplay.html
        """
        return self.state in {"COMPLETED", "CANCELLED", "FAILED"}


class EventsGateway:
    """The hub's bus. Every method raises GatewayError."""

    def __init__(self, *, client: "EventBridgeClient", prefix: str) -> None:
        """`prefix` is how ARNs of EventBridge begin here, up to the account and a colon."""
        self._client, self._prefix = client, prefix

    def start_replay(self, name: str, *, start: datetime, end: datetime) -> None:
        """Has what came between these times sent over the bus again, in about its order.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
        """
        with translated(f"StartReplay of archive {NAME}"):
            self._client.start_replay(
                ReplayName=name,
                EventSourceArn=f"{self._prefix}archive/{NAME}",
                EventStartTime=start,
                EventEndTime=end,
                Destination={"Arn": f"{self._prefix}event-bus/{NAME}"},
            )

    def replay(self, name: str) -> Replay:
        """How far the replay is. Raises NotFoundError where there is none of this name."""
        with translated(f"DescribeReplay {name}"):
            found = self._client.describe_replay(ReplayName=name)
        return Replay(
            name=name,
            state=found["State"],
            reason=found.get("StateReason"),
            start=found["EventStartTime"],
            end=found["EventEndTime"],
            last=found.get("EventLastReplayedTime"),
        )

    def put(self, bus: str, entries: Sequence[tuple[str, str]]) -> None:
        """Puts events on a bus of this account: pairs of detail-type and detail, as JSON.

        Ten go in one call, if they aren't too large. Raises GatewayError(retryable) where any was
        refused: those that were taken come again with the next try, so that each needs an id by
        which readers know it.
        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
        """
        for batch in _batches(entries):
            with translated(f"PutEvents on {bus}"):
                answer = self._client.put_events(
                    Entries=[
                        {"Source": NAME, "DetailType": kind, "Detail": detail, "EventBusName": bus}
                        for kind, detail in batch
                    ]
                )
            if answer["FailedEntryCount"]:
                codes = sorted({it["ErrorCode"] for it in answer["Entries"] if "ErrorCode" in it})
                message = f"PutEvents on {bus}: {', '.join(codes)}"
                raise GatewayError(message, code=codes[0] if codes else "", retryable=True)


def _batches(entries: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """The entries in their order, as many together as one call takes."""
    batch: list[tuple[str, str]] = []
    size = 0
    for kind, detail in entries:
        more = len(NAME) + len(kind.encode()) + len(detail.encode())
        if batch and (len(batch) == ENTRIES or size + more > BYTES):
            yield batch
            batch, size = [], 0
        batch.append((kind, detail))
        size += more
    if batch:
        yield batch
