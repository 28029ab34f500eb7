"""What a sweep of Identity Center must not conclude from what it did not see."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from keyward.centersweep import Holder, SeenSet, Way
from keyward.errors import GatewayError
from keyward.findings import State
from keyward.model import PrincipalKind
from keyward.sweep import ScimToken
from tests.faults.holdings import ADMIN, Guard, a_guard
from tests.flow.test_centersweeps import (
    QUIET,
    RESTRICTED,
    SCIM,
    a_token_event,
    found,
    small,
    what,
)

ADMIN_SET = "idc-permission-set-admin-equivalent"


def test_a_rule_about_tokens_that_is_off_closes_nothing() -> None:
    guard = a_guard()
    clock = guard.services.clock
    token = ScimToken(id="token-1", made_at=clock() - timedelta(days=340))
    guard.services.ledger.scim_token_made(token)
    guard.sweep("one")
    (aging,) = guard.findings()
    guard.settings(rules=QUIET | {SCIM: {"mode": "off"}})
    guard.sweep("two")
    assert guard.findings() == [aging]


def unnamed(event: dict[str, Any], id_: str) -> str:
    del event["detail"]["requestParameters"]["tokenId"]
    event["detail"]["eventID"] = id_
    return json.dumps(event)


def test_an_event_that_deletes_a_token_without_a_name_takes_one_however_often_it_comes() -> None:
    guard = a_guard()
    ledger = guard.services.ledger
    for number in range(3):
        guard.deliver(unnamed(a_token_event("CreateBearerToken", guard), f"create-{number}"))
        guard.services.clock.sleep(60)
    deleted = unnamed(a_token_event("DeleteBearerToken", guard), "delete-1")
    guard.deliver(deleted)
    assert {it.id for it in ledger.scim_tokens()} == {"create-1", "create-2"}
    guard.deliver(deleted)
    assert {it.id for it in ledger.scim_tokens()} == {"create-1", "create-2"}
    guard.deliver(unnamed(a_token_event("DeleteBearerToken", guard), "delete-2"))
    assert {it.id for it in ledger.scim_tokens()} == {"create-2"}


def test_a_tenant_that_goes_takes_no_token_that_was_made_after_it() -> None:
    guard = a_guard()
    ledger = guard.services.ledger
    guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard, tokenId="old")))
    guard.services.clock.sleep(60)
    gone = json.dumps(a_token_event("DeleteProvisioningTenant", guard))
    guard.services.clock.sleep(60)
    guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard, tokenId="new")))
    guard.deliver(gone)  # late, or replayed
    assert {it.id for it in ledger.scim_tokens()} == {"new"}


def reserve(guard: Guard, *allowed: str) -> None:
    account = next(iter(guard.holdings.accounts))
    guard.settings(
        rules=QUIET | {RESTRICTED: {"accounts": [account], "allowed_principals": allowed}}
    )


def test_what_settings_allowed_for_a_while_was_there_all_the_same() -> None:
    guard = small()
    estate = guard.holdings
    estate.managed[estate.sets["Set0"]] = [ADMIN]
    reserve(guard)
    guard.sweep("first")
    assert found(guard, RESTRICTED).state is State.OPEN
    reserve(guard, *estate.groups.values())
    guard.sweep("second")
    assert found(guard, RESTRICTED).state is State.RESOLVED
    guard.sweep("third")
    guard.checks.clear()
    reserve(guard)
    guard.sweep("fourth")
    assert what(guard)
    assert [it.get("since") for it in what(guard)] == [None] * len(what(guard))


def test_what_only_the_other_way_shows_is_not_new() -> None:
    """Who was deleted is in no list of principals; what was assigned to him may stay."""
    guard = small()
    estate = guard.holdings
    account = next(iter(estate.accounts))
    estate.assign(account, estate.sets["Set0"], "44444444-0000-4000-8000-000000000000")
    guard.forced = Way.BY_PRINCIPAL
    guard.sweep("first")
    assert guard.findings() == []
    guard.forced = Way.BY_ACCOUNT
    guard.sweep("second")
    assert [it.get("since") for it in what(guard)] == [None]


def test_a_set_that_came_while_it_was_read_is_new_to_the_next_sweep() -> None:
    guard = small()
    guard.sweep("first")
    state = guard.state("first")
    before = state.keys()
    arn = state.sets[0].arn[:-4] + "Late"
    state.sets.append(SeenSet(arn=arn))
    late = (len(state.sets) - 1,)
    state.hold(Holder(kind=PrincipalKind.GROUP, id="g-1"), late)
    assert state.keys() == before


def test_a_sweep_goes_on_where_its_next_message_was_not_sent_and_checks_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = small()
    estate = guard.holdings
    account = next(iter(estate.accounts))
    for number in range(60):
        estate.user(f"user{number}", *estate.groups.values())
        estate.assign(account, estate.sets["Set0"], estate.users[f"user{number}"])
    guard.settings(settings={"ceiling": "report", "identity_center": {"calls_per_second": 1}})
    queue = guard.services.center_queue
    send, failed = queue.send, list[int]()

    def fails_once(body: str, *, delay_seconds: int = 0) -> None:
        if delay_seconds > 300 and not failed:
            failed.append(delay_seconds)
            raise GatewayError("SendMessage", code="InternalError", retryable=True)
        send(body, delay_seconds=delay_seconds)

    monkeypatch.setattr(queue, "send", fails_once)
    assert guard.sweep().ok
    assert failed


@pytest.mark.parametrize("gone", [False, True])
def test_an_administrator_set_that_is_none_any_more_is_resolved(*, gone: bool) -> None:
    guard = small()
    estate = guard.holdings
    arn = estate.sets["Set0"]
    estate.managed[arn] = [ADMIN]
    guard.sweep("first")
    assert found(guard, ADMIN_SET).state is State.OPEN
    estate.managed[arn] = []
    if gone:
        del estate.sets["Set0"]
    guard.sweep("second")
    assert found(guard, ADMIN_SET).state is State.RESOLVED
    guard.checks.clear()
    guard.sweep("third")
    assert what(guard) == []


def test_an_administrator_set_that_could_not_be_read_stays_open() -> None:
    guard = small()
    estate = guard.holdings
    arn = estate.sets["Set0"]
    estate.managed[arn] = [ADMIN]
    guard.sweep("first")
    estate.managed[arn] = []
    estate.refuses[arn] = "AccessDeniedException"
    assert not guard.sweep("second").ok
    assert found(guard, ADMIN_SET).state is State.OPEN


@pytest.mark.parametrize("operation", ["ListUsers", "ListGroups"])
@pytest.mark.parametrize("way", Way)
def test_an_identity_store_that_is_not_found_is_not_taken_for_an_empty_one(
    way: Way, operation: str
) -> None:
    guard = small()
    guard.forced = way
    estate = guard.holdings
    account = next(iter(estate.accounts))
    estate.assign(account, estate.sets["Set0"], estate.users["jane"])
    estate.refuses[operation] = "ResourceNotFoundException"
    assert not guard.sweep("first").ok
    estate.refuses.clear()
    guard.sweep("second")
    assert [it.get("since") for it in what(guard)] == [None]
