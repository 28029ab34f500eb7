"""Sees what leaves Keyward: its log, its alerts, its ledger; and the handler as SQS calls it."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from keyward import services as services_module
from keyward import telling
from keyward.observability import logger
from tests.faults.injection import iam_writes
from tests.flow.world import REGION, Call, World

IAM_GUARD = Path(__file__).parents[2] / "functions" / "iam_guard" / "handler.py"


@dataclass
class Context:
    """What Lambda hands to a handler."""

    function_name: str = "keyward-iam-guard"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:123456789012:function:keyward-iam-guard"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"


def iam_guard() -> ModuleType:
    """The function's code, loaded as Lambda loads it."""
    spec = importlib.util.spec_from_file_location("iam_guard_handler", IAM_GUARD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Guard:
    """The function iam_guard over a world's services."""

    world: World
    module: ModuleType = field(default_factory=iam_guard)

    def batch(self, *bodies: object) -> set[int]:
        """Delivers the bodies as one batch; the positions of those that SQS would keep."""
        records = [
            {
                "messageId": str(number),
                "body": body if isinstance(body, str) else json.dumps(body),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:keyward-iam-guard",
                "attributes": {},
            }
            for number, body in enumerate(bodies)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services_module, "_services", self.world.services)
            answer = self.module.handler({"Records": records}, Context())
        return {int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]}


@contextmanager
def the_log() -> Iterator[io.StringIO]:
    """All that Keyward logs within the block, as CloudWatch would keep it."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    handler.setFormatter(logger.registered_formatter)
    underlying = logging.getLogger("keyward")
    underlying.addHandler(handler)
    level = underlying.level
    underlying.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        underlying.removeHandler(handler)
        underlying.setLevel(level)


def alerts(world: World) -> list[str]:
    """Tells what is untold, and returns the messages as subscribers would get them."""
    told = []
    for item in world.untold():
        with world.recorded():
            telling.tell([item], services=world.services, now=world.now)
            told += [json.dumps(params) for name, params in world.calls if name == "Publish"]
    return told


def delivered(world: World, *events: Any) -> list[Call]:
    """The IAM writes of these deliveries."""
    with world.recorded():
        for event in events:
            world.deliver(event)
    return iam_writes(world.calls)
