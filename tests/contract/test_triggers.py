"""What raises a rule gets to the guard that runs it, all the way, and nothing else does."""

from collections import Counter
from functools import cache

import pytest

from keyward import events, rules
from keyward.rules import GUARDS
from tests.builders import HUB, MEMBER, OTHER_MEMBER, a_sample, sample_names
from tests.contract.templates import (
    Resource,
    Stack,
    branches,
    hub,
    matches,
    member,
    reaches_bus,
)

IAM_REGION = "us-east-1"
HOMES = [IAM_REGION, "eu-central-1"]
SAMPLED_HOME = "eu-central-1"
"""The region of the hub in the samples."""

SAMPLES = [(rule.id, name) for rule in rules.every() for name in sample_names(rule.id)]
FAILED = [name for _, name in SAMPLES if "/failed-" in name]
SUCCESSFUL = [(rule, name) for rule, name in SAMPLES if name not in FAILED]
CONTROL_TOWER = "controltower.amazonaws.com"
OUR_GROUP, OUR_ROLE = "Keyward-QUARANTINE", "KEYWARD-member"


def sample(name: str) -> Resource:
    found = a_sample(name)
    assert isinstance(found, dict)
    return found


OF_CONTROL_TOWER = [
    name for _, name in SUCCESSFUL if sample(name)["detail"]["eventSource"] == CONTROL_TOWER
]


@cache
def the_hub(home: str, delegated: str = "", tower: str = "") -> Stack:
    return hub(region=home, DelegatedAdministrator=delegated, ControlTowerRegion=tower)


@cache
def stack_at(account: str, region: str, home: str, delegated: str, tower: str) -> Stack:
    """What is deployed where an event arises."""
    if (account, region) == (HUB, home):
        return the_hub(home, delegated, tower)
    assert account in {HUB, MEMBER, OTHER_MEMBER}
    assert region == IAM_REGION or account == delegated or (account, region) == (HUB, tower), (
        "StackSets deploy there alone"
    )
    return member(account=account, region=region, hub_region=home, delegated=delegated)


def feeding(stack: Stack, queue: str) -> dict[str, Resource]:
    """The patterns on Keyward's bus that send to this queue, by their rule's name."""
    return {
        rule["Name"]: rule["EventPattern"]
        for rule in stack.of_type("AWS::Events::Rule").values()
        if rule.get("EventBusName") == "keyward"
        and any(target["Arn"] == queue for target in rule["Targets"])
    }


def queues(stack: Stack) -> dict[str, str]:
    """The queue of each function that has one: of the IAM guard's two the one for events."""
    return {
        source["FunctionName"]: source["EventSourceArn"]
        for source in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if source["EventSourceArn"].endswith(f":{source['FunctionName']}")
    }


def function_of(guard: str) -> str:
    return f"keyward-{guard.replace('_', '-')}"


def delivered(event: Resource, home: str, tower: str = "") -> Counter[str]:
    """How often each function gets the event, by the rules of the hub that lives at `home`.

    Whoever acts in the hub's region from another account administers Identity Center there. Control
    Tower is at home there, too, but for a `tower` elsewhere.
    """
    delegated = ""
    if event["region"] == SAMPLED_HOME:
        delegated = event["account"] if event["account"] != HUB else ""
        event = {**event, "region": home}
    if tower and event["detail"]["eventSource"] == CONTROL_TOWER:
        event = {**event, "region": tower}
    if not reaches_bus(stack_at(event["account"], event["region"], home, delegated, tower), event):
        return Counter()
    stack = the_hub(home, delegated, tower)
    return Counter(
        function
        for function, queue in queues(stack).items()
        for pattern in feeding(stack, queue).values()
        if matches(pattern, event)
    )


def triggers(guard: str) -> set[tuple[str, str]]:
    return {
        (source, name)
        for rule in rules.of_guard(guard)
        for source, names in rule.triggers.items()
        for name in names
    }


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(("rule", "name"), SUCCESSFUL, ids=[name for _, name in SUCCESSFUL])
def test_successful_call_is_delivered_once_to_the_guard_that_runs_its_rule(
    rule: str, name: str, home: str
) -> None:
    assert delivered(sample(name), home) == {function_of(rules.guard_of(rule)): 1}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("tower", [IAM_REGION, "eu-west-1"])
@pytest.mark.parametrize("name", OF_CONTROL_TOWER)
def test_control_towers_word_is_delivered_once_from_whatever_region_is_its_home(
    name: str, tower: str, home: str
) -> None:
    assert delivered(sample(name), home, tower) == {"keyward-account-baseline": 1}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("name", FAILED)
def test_failed_call_is_delivered_to_no_guard(name: str, home: str) -> None:
    assert not delivered(sample(name), home)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("guard", GUARDS)
def test_every_trigger_of_every_rule_reaches_its_guard(guard: str, home: str) -> None:
    reached = {
        (hint.event_source, hint.event_name)
        for _, name in SUCCESSFUL
        if function_of(guard) in delivered(sample(name), home)
        for hint in [events.parse(a_sample(name))]
    }
    assert triggers(guard) - reached == set()


@pytest.mark.parametrize("guard", GUARDS)
def test_no_pattern_of_a_guard_takes_a_name_that_raises_none_of_its_rules(guard: str) -> None:
    stack = the_hub(IAM_REGION)
    patterns = feeding(stack, queues(stack)[function_of(guard)])
    known = triggers(guard)
    for rule, pattern in patterns.items():
        for one in branches(pattern):
            if one["source"] == [events.CANARY]:
                continue
            sources, names = one["detail"]["eventSource"], one["detail"]["eventName"]
            raising = {(source, name) for source in sources for name in names} & known
            assert {name for _, name in raising} == set(names), rule
            assert {source for source, _ in raising} == set(sources), rule


def test_no_rule_puts_a_name_on_the_bus_that_raises_no_rule() -> None:
    known = {trigger for guard in GUARDS for trigger in triggers(guard)}
    for rule in the_hub(IAM_REGION).of_type("AWS::Events::Rule").values():
        forwards = any(":event-bus/" in target["Arn"] for target in rule["Targets"])
        for one in branches(rule["EventPattern"]) if forwards else ():
            detail = one.get("detail", {})
            assert {
                (source, name)
                for source in detail.get("eventSource", ())
                for name in detail.get("eventName", ())
            } <= known, rule["Name"]


def test_each_guard_has_a_queue_that_rules_feed() -> None:
    stack = the_hub(IAM_REGION)
    assert all(feeding(stack, queues(stack)[function_of(guard)]) for guard in GUARDS)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(
    ("violating", "parameter", "other_case"),
    [
        ("iam-quarantine-undone/violating-group-policy-deleted.json", "groupName", OUR_GROUP),
        ("iam-quarantine-undone/violating-group-renamed.json", "groupName", OUR_GROUP),
        ("keyward-tampered/violating-member-role-policy-deleted.json", "roleName", OUR_ROLE),
    ],
)
def test_name_of_ours_in_other_case_reaches_the_guard_as_iam_finds_it_too(
    violating: str, parameter: str, other_case: str, home: str
) -> None:
    event = sample(violating)
    event["detail"]["requestParameters"][parameter] = other_case
    assert delivered(event, home) == {"keyward-iam-guard": 1}
