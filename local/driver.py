"""Carry events as AWS would: over rules, targets and buses that the public API tells of.

EventBridge refuses `aws.*` sources from customers, here as on AWS, so nobody can put a CloudTrail
event on a bus. The driver stands in for AWS: it lists the rules of the bus, asks the emulator's own
matcher which ones want the event, and hands it to their targets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local import cloudtrail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import (
        PutEventsRequestEntryTypeDef,
        RuleTypeDef,
        TargetOutputTypeDef,
    )

    from local.caller import Caller
    from local.cloudtrail import Json, Record
    from local.emulator import Emulator

# An event that came from another account is not sent on to a third one, and the hub's own bus is
# the second bus of its account.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
BUSES_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One target that an event reached, and the rule that sent it there."""

    rule: str
    target: str


@dataclass(frozen=True, slots=True)
class Driver:
    """Delivers events inside one emulator."""

    emulator: Emulator

    def call(
        self, caller: Caller, client: BaseClient, operation: str, **parameters: object
    ) -> Record:
        """Make a real call, deliver the event of it, and return that event."""
        found = cloudtrail.recorded(caller, client, operation, **parameters)
        event = cloudtrail.envelope(found)
        self.deliver(event)
        return event

    def parameter_changed(self, owner: Caller, name: str, operation: str = "Update") -> Record:
        """Deliver the event that a changed parameter causes, which the emulator leaves out."""
        account = owner.sts.get_caller_identity()["Account"]
        event = cloudtrail.parameter_store_change(account, owner.region, name, operation)
        self.deliver(event)
        return event

    def schedules(self, owner: Caller, prefix: str) -> list[str]:
        """Return the schedules of an account whose names begin so, as group/name."""
        found = owner.scheduler.list_schedules(NamePrefix=prefix)["Schedules"]
        return sorted(f"{schedule['GroupName']}/{schedule['Name']}" for schedule in found)

    def fire(self, owner: Caller, schedule: str) -> None:
        """Do at once what a schedule does when its time comes.

        An event goes to its bus by PutEvents, and the emulator itself carries it from there.
        Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html

        Raises:
            botocore.exceptions.ClientError: there is no such schedule.
            ValueError: its target is of a kind that nothing here can carry to.

        """
        group, _, name = schedule.rpartition("/")
        target = owner.scheduler.get_schedule(Name=name, GroupName=group)["Target"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = target["Input"].replace("<aws.scheduler.scheduled-time>", now)
        match target:
            case {"EventBridgeParameters": {"Source": source, "DetailType": kind}, "Arn": bus}:
                entry: PutEventsRequestEntryTypeDef = {
                    "EventBusName": bus,
                    "Source": source,
                    "DetailType": kind,
                    "Detail": given,
                }
            case {"Arn": arn} if arn.endswith(":aws-sdk:eventbridge:putEvents"):
                (entry,) = json.loads(given)["Entries"]
            case {"Arn": arn}:
                self._to_target({"Id": name, "Arn": arn, "Input": given}, {})
                return
        failed = owner.events.put_events(Entries=[entry])["FailedEntryCount"]
        if failed:
            refused = f"the bus took no event of schedule {name}"
            raise ValueError(refused)

    def deliver(self, event: Record) -> list[Delivery]:
        """Carry an event from its account's default bus to the queues and functions that want it.

        Raises:
            ValueError: a target of a kind that nothing here can carry to.

        """
        bus = f"arn:aws:events:{event['region']}:{event['account']}:event-bus/default"
        return list(self._from_bus(bus, event, buses_left=BUSES_AT_MOST))

    def _from_bus(self, bus: str, event: Record, *, buses_left: int) -> Iterator[Delivery]:
        if not buses_left:
            return
        _, _, _, region, account, resource = bus.split(":", 5)
        name = resource.removeprefix("event-bus/")
        events = self.emulator.root(account, region=region).events
        for rule in rules(events, name):
            if not wants(events, rule, event):
                continue
            for target in events.list_targets_by_rule(Rule=rule["Name"], EventBusName=name)[
                "Targets"
            ]:
                if ":event-bus/" in target["Arn"]:
                    yield from self._from_bus(target["Arn"], event, buses_left=buses_left - 1)
                else:
                    self._to_target(target, event)
                    yield Delivery(rule=rule["Name"], target=target["Arn"])

    def _to_target(self, target: TargetOutputTypeDef, event: Record) -> None:
        _, _, service, region, account, resource = target["Arn"].split(":", 5)
        owner = self.emulator.root(account, region=region)
        body = message(target, event)
        match service:
            case "sqs":
                queue = owner.sqs.get_queue_url(QueueName=resource)["QueueUrl"]
                owner.sqs.send_message(QueueUrl=queue, MessageBody=body)
            case "sns":
                owner.sns.publish(TopicArn=target["Arn"], Message=body)
            case "lambda":
                owner.lambda_.invoke(
                    FunctionName=target["Arn"], InvocationType="Event", Payload=body.encode()
                )
            case _:
                unknown = f"the driver carries nothing to {target['Arn']}"
                raise ValueError(unknown)


def message(target: TargetOutputTypeDef, event: Record) -> str:
    """Return what a target gets: the event, a constant, or a text with parts of the event.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    if "InputTransformer" not in target:
        return target.get("Input") or json.dumps(event)
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"].get("InputPathsMap", {}).items():
        part: Json = event
        for step in path.removeprefix("$.").split("."):
            part = part.get(step) if isinstance(part, dict) else None
        text = text.replace(f"<{name}>", part if isinstance(part, str) else json.dumps(part))
    return text


def rules(events: EventBridgeClient, bus: str) -> Iterator[RuleTypeDef]:
    """Yield the rules of a bus that are enabled and match events."""
    for page in events.get_paginator("list_rules").paginate(EventBusName=bus):
        for rule in page["Rules"]:
            if rule.get("EventPattern") and str(rule.get("State", "")).startswith("ENABLED"):
                yield rule


def wants(events: EventBridgeClient, rule: RuleTypeDef, event: Record) -> bool:
    """Return whether a rule's pattern matches, by the matcher of EventBridge itself."""
    found = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))
    return found["Result"]
