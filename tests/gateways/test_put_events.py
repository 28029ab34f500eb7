"""Events on a bus: in calls that EventBridge takes, however much they say."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keyward import published
from keyward.gateways.events import EventsGateway
from tests.core.test_text_and_alerts import a_record

LIMIT = 256 * 1024


class Client:
    """EventBridge, as far as it refuses a call for its size."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, str]]] = []

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        size = sum(
            len(entry[name].encode())
            for entry in Entries
            for name in ("Source", "DetailType", "Detail")
        )
        assert 0 < len(Entries) <= 10
        assert size < LIMIT
        self.calls.append(Entries)
        return {"FailedEntryCount": 0, "Entries": []}


def gateway(client: Any) -> EventsGateway:
    return EventsGateway(client=client, prefix="arn:aws:events:us-east-1:111122223333:")


def test_ten_findings_with_as_much_text_as_there_may_be_go_through() -> None:
    """A name in Identity Center may be a thousand characters of four bytes."""
    much = "\U0001f600" * 2000
    texts = ("subject", "reason", "fix", "outcome", "held", "owner", "unique_id")
    said = ("actor", "source_ip", "event_name", "event_id", "region")
    record = a_record()
    evidence = record.evidence.model_copy(update=dict.fromkeys(said, much))
    record = record.model_copy(update={**dict.fromkeys(texts, much), "evidence": evidence})
    detail = published.finding(record).model_dump_json()
    client = Client()
    gateway(client).put("keyward-out", [("keyward.finding", detail)] * 25)
    assert sum(map(len, client.calls)) == 25
    assert len(client.calls) < 25


@given(st.lists(st.integers(0, 250_000), max_size=25))
def test_all_go_in_their_order_in_calls_that_are_small_enough(sizes: list[int]) -> None:
    entries = [("keyward.finding", json.dumps([at, "x" * size])) for at, size in enumerate(sizes)]
    client = Client()
    gateway(client).put("keyward-out", entries)
    assert [entry["Detail"] for call in client.calls for entry in call] == [it for _, it in entries]
