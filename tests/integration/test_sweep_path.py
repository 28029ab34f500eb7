"""The deployed sweep: what no event told is found, and what is silent is seen."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from local.inbox import IAM_GUARD, IAM_SWEEP, Heard, Inbox, wait_until
from local.organization import give_back, take_away
from tests.integration import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.caller import Caller
    from local.organization import Organization

KEYS, TAMPERED = "iam-access-key-created", "keyward-tampered"
SECONDS = 120
LOST, CLOSED, DEAF = "sandbox-ben", "sandbox-chris", "shared-services"
FORWARDER = "keyward-forward"
WAYS = {
    "iam": "iam-guard",
    "identity-center": "identity-center-guard",
    "accounts": "account-baseline",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The organization while rules are in force, what people hear, and what an operator asks."""

    organization: Organization
    inbox: Inbox

    def ask(self, act: str, **arguments: object) -> dict[str, Any]:
        request = {"act": act, "by": "arn:aws:iam::111122223333:user/operator", **arguments}
        answer = self.organization.hub.lambda_.invoke(
            FunctionName="keyward-operator", Payload=json.dumps(request).encode()
        )
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert found.get("ok") is True, found
        return found

    def sweep(self, *, by_schedule: bool = False) -> tuple[dict[str, Any], list[Heard]]:
        """Have a sweep done to its end, and all that follows from it; what was told meanwhile."""
        self.inbox.read()
        if by_schedule:
            known = self.newest()
            self.organization.driver.fire(self.organization.hub, "keyward/keyward-sweep")
            wait_until(lambda: self.newest() != known, "a sweep has begun", SECONDS)
        id_ = self.ask("sweep-start")["sweep"]["id"]

        def done() -> bool:
            time.sleep(0.5)
            return bool(self.ask("sweep", id=id_)["sweep"]["state"] == "done")

        wait_until(done, f"sweep {id_} is done", SECONDS)
        self.inbox.wait_until_quiet(SECONDS, guards=(IAM_GUARD, IAM_SWEEP))
        return self.ask("sweep", id=id_), self.inbox.read()

    def newest(self) -> str | None:
        newest = self.ask("status")["sweep"]["newest"]
        return str(newest["id"]) if newest else None

    def key_of(self, account: str, user: str) -> str:
        """Make a user with a key that no event tells of."""
        iam = self.organization.member(account).iam
        iam.create_user(UserName=user)
        return iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]

    def statuses(self, account: str, user: str) -> list[str]:
        iam = self.organization.member(account).iam
        return [it["Status"] for it in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]

    def canaries(self) -> set[tuple[str, str | None]]:
        """Each way, and when the last canary that came over it was sent."""
        return {(it["way"], it["sent"]) for it in self.ask("status")["sources"]}

    def came(self, seconds: float) -> set[str]:
        """Send a canary each way, and say which of them came in so many seconds."""
        time.sleep(1)  # canaries are told apart by the second
        before = self.canaries()
        for way in WAYS:
            self.organization.driver.fire(self.organization.hub, f"keyward/keyward-canary-{way}")
        with suppress(TimeoutError):
            wait_until(lambda: not before & self.canaries(), "every canary came", seconds)
        return {way for way, _ in self.canaries() - before}


@pytest.fixture(scope="module")
def stage(organization: Organization) -> Stage:
    return Stage(organization, in_force.enforcing(organization))


@dataclass(slots=True)
class Swept:
    """What three sweeps found, the second with nothing new, the third with all put right again."""

    user: str
    key: str
    sweeps: list[dict[str, Any]] = field(default_factory=list)
    told: list[list[Heard]] = field(default_factory=list)
    statuses: list[list[str]] = field(default_factory=list)
    states: list[dict[str, set[str]]] = field(default_factory=list)
    """Of keyward-tampered, by account."""

    def about(self, number: int, text: str) -> list[Heard]:
        return [it for it in self.told[number] if text in it.subject or text in it.body]


@pytest.fixture(scope="module")
def swept(stage: Stage) -> Swept:
    organization = stage.organization
    closed, deaf = organization.member(CLOSED), organization.member(DEAF)
    organization.emulator.make_older(organization.accounts[CLOSED], days=30)
    role = take_away(closed, "keyward-member")
    deaf.events.disable_rule(Name=FORWARDER)
    user = f"user-{uuid.uuid4().hex[:8]}"
    found = Swept(user, stage.key_of(LOST, user))
    for number in range(3):
        if number == 2:
            give_back(closed, role)
            deaf.events.enable_rule(Name=FORWARDER)
        sweep, told = stage.sweep(by_schedule=number == 0)
        found.sweeps.append(sweep)
        found.told.append(told)
        found.statuses.append(stage.statuses(LOST, user))
        states: dict[str, set[str]] = {}
        for name in (CLOSED, DEAF):
            id_ = organization.accounts[name]
            listed = stage.ask("status", account=id_)["findings"]
            states[name] = {it["state"] for it in listed if it["rule"] == TAMPERED}
        found.states.append(states)
    return found


def test_key_that_no_event_told_of_is_dead_and_told_as_found_by_a_sweep(swept: Swept) -> None:
    assert swept.statuses[0] == ["Inactive"]
    (alert,) = swept.about(0, swept.key)
    assert alert.attributes["state"] == "acted"
    assert "a sweep found it" in alert.body


def test_next_sweep_changes_and_tells_nothing(swept: Swept) -> None:
    assert swept.about(1, swept.user) == []
    assert swept.statuses[1] == ["Inactive"]
    assert [it for it in swept.told[1] if it.attributes.get("rule") == TAMPERED] == []


def test_account_that_cannot_be_entered_is_a_finding_and_the_sweep_goes_on(
    stage: Stage, swept: Swept
) -> None:
    id_ = stage.organization.accounts[CLOSED]
    assert swept.sweeps[0]["sweep"]["complete"]
    assert id_ in swept.sweeps[0]["unread"]
    (alert,) = [it for it in swept.told[0] if it.attributes.get("account") == id_]
    assert alert.attributes["rule"] == TAMPERED
    assert swept.states[0][CLOSED] == {"open"}


def test_forwarding_rule_that_is_switched_off_is_a_finding(stage: Stage, swept: Swept) -> None:
    id_ = stage.organization.accounts[DEAF]
    told = [it for it in swept.told[0] if it.attributes.get("account") == id_]
    assert [it.attributes["rule"] for it in told] == [TAMPERED]
    assert FORWARDER in told[0].subject
    assert swept.states[0][DEAF] == {"open"}


def test_what_is_put_right_is_resolved_by_the_next_sweep(stage: Stage, swept: Swept) -> None:
    assert swept.states[2][CLOSED] <= {"resolved"}
    assert swept.states[2][DEAF] <= {"resolved"}
    assert stage.organization.accounts[CLOSED] not in swept.sweeps[2]["unread"]


def test_inventory_has_the_users_keys_and_no_secrets(stage: Stage, swept: Swept) -> None:
    reply = stage.ask("inventory", account=stage.organization.accounts[LOST])
    mine = [it for it in reply["lines"] if it.get("user") == swept.user]
    assert "user" in {it["kind"] for it in mine}
    assert reply["sweep"] == swept.sweeps[2]["sweep"]["id"]
    assert "ecret" not in json.dumps(reply["lines"])


def test_canaries_walk_their_whole_ways(stage: Stage) -> None:
    assert stage.came(SECONDS) == set(WAYS)


@contextmanager
def stopped(hub: Caller, what: str, way: str) -> Iterator[None]:
    """Let one part of a canary's way be switched off until the block ends."""
    function = f"keyward-{WAYS[way]}"
    match what:
        case "forwarding rule":
            rule = {"iam": FORWARDER, "accounts": "keyward-forward-control-tower"}.get(
                way, "keyward-forward-identity-center"
            )
            hub.events.disable_rule(Name=rule)
            yield
            hub.events.enable_rule(Name=rule)
        case "rule":
            about = {"Name": f"keyward-canary-{way}", "EventBusName": "keyward"}
            hub.events.disable_rule(**about)
            yield
            hub.events.enable_rule(**about)
        case _:
            mappings = hub.lambda_.list_event_source_mappings(FunctionName=function)
            (mapping,) = (
                it["UUID"]
                for it in mappings["EventSourceMappings"]
                if it["EventSourceArn"].endswith(f":{function}")
            )
            hub.lambda_.update_event_source_mapping(UUID=mapping, Enabled=False)
            yield
            hub.lambda_.update_event_source_mapping(UUID=mapping, Enabled=True)


@pytest.mark.parametrize("what", ["forwarding rule", "rule", "queue mapping"])
def test_canary_stays_away_while_a_part_of_its_way_is_switched_off(stage: Stage, what: str) -> None:
    with ExitStack() as restored:
        for way in WAYS:
            restored.enter_context(stopped(stage.organization.hub, what, way))
        came = stage.came(seconds=3)
    assert came == set()
    assert stage.came(SECONDS) == set(WAYS)


def test_dead_letter_is_as_good_as_new_once_it_is_redriven(stage: Stage) -> None:
    sqs, user = stage.organization.hub.sqs, f"user-{uuid.uuid4().hex[:8]}"
    account = stage.organization.member(LOST)
    account.iam.create_user(UserName=user)
    url, dead = (
        sqs.get_queue_url(QueueName=f"{IAM_GUARD}{of}")["QueueUrl"] for of in ("", "-dead-letters")
    )
    sqs.purge_queue(QueueUrl=dead)
    with stopped(stage.organization.hub, "queue mapping", "iam"):
        stage.organization.driver.call(account, account.iam, "CreateAccessKey", UserName=user)
        for _ in range(6):  # the queue gives a message five times
            sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    waiting = {it["of"]: it["dead_letters"] for it in stage.ask("redrive")["waiting"]}
    assert waiting[IAM_GUARD] == 1
    assert stage.statuses(LOST, user) == ["Active"]
    reply = stage.ask("redrive", name=IAM_GUARD, run="1")
    assert reply["moved"] == {IAM_GUARD: 1}
    told = stage.inbox.read_when_quiet(SECONDS)
    assert stage.statuses(LOST, user) == ["Inactive"]
    assert [it.attributes["state"] for it in told if user in it.subject] == ["acted"]
