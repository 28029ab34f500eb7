"""What the ledger keeps for baselines: what names stand for, where OUs are, and rollouts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import moto
import pytest
from botocore.stub import Stubber

from keyward.errors import GatewayError
from keyward.gateways.dynamodb import DynamoDbGateway
from keyward.ledger import RETENTION, Ledger, NameKind
from keyward.rollout import Pair, Rollout, RolloutState
from tests.flow.world import REGION, create_ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS: tuple[NameKind, ...] = ("group", "permission-set", "unit")
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
OTHER_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-fedcba9876543210"
ITEM_BYTES = 400 * 1024
"""Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""


@dataclass
class Table:
    """The table, and in order every call."""

    client: Any
    calls: list[str] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """A function's own, as after a cold start."""
        gateway = DynamoDbGateway(client=self.client, table="keyward-ledger")
        return Ledger(gateway, claim_seconds=90)

    def stored(self, rollout: str) -> dict[str, Any]:
        """The item as DynamoDB has it."""
        found: dict[str, Any] = self.client.get_item(
            TableName="keyward-ledger", Key={"pk": {"S": "rollouts"}, "sk": {"S": rollout}}
        )["Item"]
        return found


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        create_ledger()
        made = Table(boto3.client("dynamodb", region_name=REGION))

        def noted(model: Any, **_: object) -> None:
            made.calls.append(model.name)

        made.client.meta.events.register("before-call", noted)
        yield made


def a_rollout(id_: str = "20260301T120000-one", **more: Any) -> Rollout:
    fields: dict[str, Any] = {
        "scope": "everything",
        "by": "jane@example.com",
        "reason": "a new baseline",
        "created_at": NOW,
    }
    return Rollout(id=id_, **fields | more)


def refusal(call: Callable[[], object]) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        call()
    return raised.value


# What names stand for


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_known_until_it_is_forgotten(table: Table, kind: NameKind) -> None:
    assert table.ledger.known_ids(kind, ["Developers"]) == {}
    table.ledger.remember_id(kind, "Developers", "one")
    assert table.ledger.known_ids(kind, ["Developers", "Others"]) == {"Developers": "one"}
    table.ledger.remember_id(kind, "Developers", "two")
    assert table.ledger.known_ids(kind, ["Developers"]) == {"Developers": "two"}
    table.ledger.forget_id(kind, "Developers")
    assert table.ledger.known_ids(kind, ["Developers"]) == {}
    table.ledger.forget_id(kind, "Developers")


def test_the_same_name_may_stand_for_something_of_each_kind(table: Table) -> None:
    for kind in KINDS:
        table.ledger.remember_id(kind, "Workloads", f"the {kind}")
    table.ledger.forget_id("group", "Workloads")
    assert [table.ledger.known_ids(kind, ["Workloads"]) for kind in KINDS] == [
        {},
        {"Workloads": "the permission-set"},
        {"Workloads": "the unit"},
    ]


def test_nothing_is_read_where_no_name_is_asked_for(table: Table) -> None:
    assert table.ledger.known_ids("group", []) == {}
    assert table.ledger.names_of_sets([]) == {}
    assert table.calls == []


def test_a_hundred_names_are_read_in_one_call(table: Table) -> None:
    ledger = table.ledger
    names = [f"group-{number}" for number in range(250)]
    for name in names[::2]:
        ledger.remember_id("group", name, f"id of {name}")
    table.calls.clear()
    found = ledger.known_ids("group", (name for name in [*names, *names[:10]]))
    assert found == {name: f"id of {name}" for name in names[::2]}
    assert table.calls == ["BatchGetItem"] * 3


@pytest.mark.parametrize(
    "name", ["x" * 1024, "x" * 1025, "ü" * 1024, "Workloads/Prod", "Ops #1 (old)", " "]
)
def test_any_name_is_kept_however_long(table: Table, name: str) -> None:
    """A baseline may name a group with 1,024 characters, and a key has so many bytes at most."""
    others = {f"{name}{letter}": letter for letter in "ab"}
    for other, id_ in others.items():
        table.ledger.remember_id("group", other, id_)
    assert table.ledger.known_ids("group", [name, *others]) == others
    table.ledger.remember_id("group", name, "its own")
    assert table.ledger.known_ids("group", [*others, name]) == {name: "its own", **others}
    table.ledger.forget_id("group", name)
    assert table.ledger.known_ids("group", [name, *others]) == others


def test_sets_are_told_by_name_in_one_call(table: Table) -> None:
    ledger = table.ledger
    ledger.remember_set(SET, "Developer")
    table.calls.clear()
    assert ledger.names_of_sets([SET, OTHER_SET]) == {SET: "Developer"}
    assert table.calls == ["BatchGetItem"]


# Where OUs are


def test_a_units_parent_is_known_once_it_was_remembered(table: Table) -> None:
    assert table.ledger.parent_of("ou-exam-11111111") is None
    table.ledger.remember_parent("ou-exam-11111111", "r-exam")
    table.ledger.remember_parent("ou-exam-22222222", "ou-exam-11111111")
    assert table.ledger.parent_of("ou-exam-11111111") == "r-exam"
    assert table.ledger.parent_of("ou-exam-22222222") == "ou-exam-11111111"


# Rollouts


def test_a_rollout_is_read_as_it_was_written(table: Table) -> None:
    written = a_rollout(
        ticket=3,
        state=RolloutState.RUNNING,
        automatic=True,
        claim_until=NOW + timedelta(seconds=60),
        pairs=(Pair(group_id="group", permission_set_arn=SET, baselines=("workloads",)),),
        units={"ou-exam-11111111": ("r-exam",)},
        places={"111122223333": ("ou-exam-11111111", "r-exam")},
        missing={"111122223333": (0,)},
        failed={"444455556666": ("role quota exceeded",)},
        skipped={"555566667777": "SUSPENDED"},
        unknown=("group Nobody (baseline workloads)",),
        total=1,
    )
    table.ledger.save_rollout(written, replacing=None)
    assert table.ledger.rollout(written.id) == written
    assert table.ledger.rollout("another") is None


def test_rollouts_are_listed_from_the_oldest_on(table: Table) -> None:
    assert table.ledger.rollouts() == []
    ids = ["20260302T000000-b", "20260301T235959-z", "20260302T000000-a"]
    for id_ in ids:
        table.ledger.save_rollout(a_rollout(id_), replacing=None)
    assert [rollout.id for rollout in table.ledger.rollouts()] == sorted(ids)


def test_a_rollout_replaces_only_what_its_writer_saw(table: Table) -> None:
    first = a_rollout()
    table.ledger.save_rollout(first, replacing=None)
    second = first.model_copy(update={"version": 2, "state": RolloutState.PLANNED})
    table.ledger.save_rollout(second, replacing=first)
    late = first.model_copy(update={"version": 2, "state": RolloutState.STOPPED})
    error = refusal(lambda: table.ledger.save_rollout(late, replacing=first))
    assert (error.code, error.retryable) == ("Contention", True)
    assert table.ledger.rollout(first.id) == second


def test_a_rollout_is_begun_once(table: Table) -> None:
    first = a_rollout()
    table.ledger.save_rollout(first, replacing=None)
    error = refusal(lambda: table.ledger.save_rollout(a_rollout(by="jack"), replacing=None))
    assert (error.code, error.retryable) == ("Contention", True)
    assert table.ledger.rollout(first.id) == first


def test_a_rollout_that_nobody_wrote_is_not_replaced(table: Table) -> None:
    first = a_rollout()
    second = first.model_copy(update={"version": 2})
    assert refusal(lambda: table.ledger.save_rollout(second, replacing=first)).retryable
    assert table.ledger.rollouts() == []


def test_a_rollout_is_kept_as_long_as_all_that_counts(table: Table) -> None:
    table.ledger.save_rollout(a_rollout(), replacing=None)
    expires = int(table.stored(a_rollout().id)["expires_at"]["N"])
    assert datetime.fromtimestamp(expires, tz=UTC) == NOW + RETENTION


def test_four_thousand_accounts_of_fifteen_assignments_fit_into_one_item(table: Table) -> None:
    """Each account with its name, where it is, what it wants and what of that it lacks."""
    rollout = a_rollout(**_everything(accounts=4_000, pairs=15))
    table.ledger.save_rollout(rollout, replacing=None)
    assert table.ledger.rollout(rollout.id) == rollout
    body = table.stored(rollout.id)["body"]["B"]
    assert 100_000 < len(body) < ITEM_BYTES * 0.9


@pytest.mark.parametrize(
    ("code", "retryable"), [("ThrottlingException", True), ("AccessDeniedException", False)]
)
def test_a_table_that_does_not_answer_is_the_gateways_error(
    table: Table, code: str, *, retryable: bool
) -> None:
    ledger = table.ledger
    calls: list[tuple[str, Callable[[], object]]] = [
        ("batch_get_item", partial(ledger.known_ids, "group", ["Developers"])),
        ("batch_get_item", partial(ledger.names_of_sets, [SET])),
        ("transact_write_items", partial(ledger.remember_id, "group", "Developers", "one")),
        ("transact_write_items", partial(ledger.forget_id, "group", "Developers")),
        ("get_item", partial(ledger.parent_of, "ou-exam-11111111")),
        ("transact_write_items", partial(ledger.remember_parent, "ou-exam-11111111", "r-exam")),
        ("get_item", partial(ledger.rollout, "one")),
        ("query", ledger.rollouts),
        ("transact_write_items", partial(ledger.save_rollout, a_rollout(), replacing=None)),
    ]
    for operation, call in calls:
        with Stubber(table.client) as stub:
            stub.add_client_error(operation, code)
            error = refusal(call)
        assert (error.code, error.retryable) == (code, retryable), operation


def _everything(*, accounts: int, pairs: int) -> dict[str, Any]:
    """Ids that nobody can compress, in an organization of 200 OUs three deep."""
    dice = random.Random(0)

    def letters(number: int) -> str:
        return "".join(dice.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=number))

    ids = [f"{dice.randrange(10**11, 10**12)}" for _ in range(accounts)]
    units = [f"ou-exam-{letters(8)}" for _ in range(200)]
    paths = [(unit, dice.choice(units), dice.choice(units), "r-exam") for unit in units]
    return {
        "pairs": tuple(
            Pair(
                group_id=letters(36),
                permission_set_arn=f"arn:aws:sso:::permissionSet/{letters(23)}/ps-{letters(16)}",
                group_name=f"group {number}",
                permission_set_name=f"set-{number}",
                baselines=("workloads",),
            )
            for number in range(pairs)
        ),
        "places": {account: dice.choice(paths) for account in ids},
        "names": {account: f"{letters(6)}-{letters(5)}-prod" for account in ids},
        "wanted": {account: tuple(range(pairs)) for account in ids},
        "missing": {
            account: tuple(sorted(dice.sample(range(pairs), dice.randrange(pairs + 1))))
            for account in ids
        },
        "total": accounts * pairs,
    }
