"""What is decided about a rollout by what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyward.baselines import Baseline, Names, Place
from keyward.model import Access
from keyward.rollout import (
    EACH,
    FEW,
    LEAST,
    PACES_SECONDS,
    Again,
    Asked,
    Look,
    Pair,
    Rollout,
    RolloutState,
    after_looks,
    decided,
    digests,
    in_scope,
    looks_for,
    paced,
    refused,
    remaining,
    seconds_to_wait,
    seen,
    to_ask,
    to_verify,
    with_accounts,
    without,
)
from keyward.settings import validated

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
A, B, C = "111122223333", "222233334444", "333344445555"


def a_pair(number: int, *, group: int | None = None) -> Pair:
    return Pair(
        group_id=f"group-{number if group is None else group}",
        permission_set_arn=f"arn-{number}",
        group_name=f"Group {number}",
        permission_set_name=f"Set-{number}",
        baselines=("all",),
    )


def a_rollout(**changes: Any) -> Rollout:
    base: dict[str, Any] = {
        "id": "20261120T090000-abcdef",
        "scope": "everything",
        "by": "ana",
        "reason": "asked for a plan",
        "created_at": NOW,
        "state": RolloutState.RUNNING,
        "pairs": tuple(map(a_pair, range(4))),
    }
    return Rollout(**base | changes)


def asked(account: str, pair: int) -> Asked:
    return Asked(account=account, pair=pair, request=f"{account}-{pair}", at=NOW)


def later(**delta: float) -> Again:
    return Again(why="conflict", since=NOW, not_before=NOW + timedelta(**delta))


def a_baseline(*accounts: dict[str, Any], exclude: tuple[dict[str, Any], ...] = ()) -> Baseline:
    assignments = [{"group": "Developers", "permission_set": "Developer"}]
    wanted: dict[str, object] = {
        "accounts": accounts,
        "exclude": exclude,
        "assignments": assignments,
    }
    return validated("all", Baseline, wanted)


# What it is about


def test_scope_of_one_baseline_leaves_out_the_others() -> None:
    baselines = {name: a_baseline({"everything": True}) for name in ("one", "two")}
    assert set(in_scope(baselines, "everything")) == {"one", "two"}
    assert set(in_scope(baselines, "unit ou-abcd-12345678")) == {"one", "two"}
    assert set(in_scope(baselines, "baseline two")) == {"two"}
    assert in_scope(baselines, "baseline three") == {}


def test_another_baseline_has_another_digest() -> None:
    first, second = a_baseline({"everything": True}), a_baseline({"ids": [A]})
    assert digests({"x": first}) == digests({"x": a_baseline({"everything": True})})
    assert digests({"x": first}) != digests({"x": second})


@pytest.mark.parametrize(
    ("selectors", "exclude", "expected"),
    [
        ([{"everything": True}], [], ("all",)),
        ([{"ids": [B]}], [], ()),
        ([{"tags": {"team": "x"}}], [], None),
        ([{"ids": [B], "tags": {"team": "x"}}], [], ()),
        ([{"ids": [A], "tags": {"team": "x"}}], [], None),
        ([{"everything": True}, {"tags": {"team": "x"}}], [], ("all",)),
        ([{"everything": True}], [{"tags": {"frozen": "*"}}], None),
        ([{"everything": True}], [{"ids": [B], "tags": {"frozen": "*"}}], ("all",)),
        ([{"tags": {"team": "x"}}], [{"ids": [A]}], ()),
    ],
)
def test_tags_decide_only_where_nothing_else_does(
    selectors: list[dict[str, Any]],
    exclude: list[dict[str, Any]],
    expected: tuple[str, ...] | None,
) -> None:
    baselines = {"all": a_baseline(*selectors, exclude=tuple(exclude))}
    place = Place(account=A, parents=("r-abcd",))
    assert decided(baselines, place, Names()) == expected


def test_accounts_refer_to_the_same_access_by_one_pair() -> None:
    one = Access(group_id="g", permission_set_arn="a", baselines=("x",))
    other = Access(group_id="g", permission_set_arn="a", baselines=("x", "y"))
    rollout = with_accounts(a_rollout(pairs=()), {A: [one], B: [other, one]})
    rollout = with_accounts(rollout, {C: [other]})
    assert [pair.access for pair in rollout.pairs] == [one, other]
    assert rollout.missing == rollout.wanted == {A: (0,), B: (1, 0), C: (1,)}


# What is read, and what that shows


def test_a_few_accounts_are_looked_into_one_by_one_and_many_by_group() -> None:
    pairs = (a_pair(0), a_pair(1), a_pair(2, group=0))
    assert set(looks_for({A: (0, 2), B: (1,)}, pairs)) == {
        Look(account=A, permission_set_arn="arn-0"),
        Look(account=A, permission_set_arn="arn-2"),
        Look(account=B, permission_set_arn="arn-1"),
    }
    accounts = {f"{number:012}": (0, 1, 2) for number in range(FEW)}
    assert set(looks_for(accounts, pairs)) == {Look(group_id="group-0"), Look(group_id="group-1")}
    assert looks_for({}, pairs) == ()


def test_what_is_seen_is_its_own_only_where_it_asked_for_it() -> None:
    rollout = a_rollout(missing={A: (0, 1), B: (0,), C: (0,)}, sent={A: (0,)}, total=3)
    rollout = rollout.model_copy(update={"skipped": {C: "exempt"}})
    held = [(account, "arn-0", "group-0") for account in (A, B, C)]
    after = seen(
        rollout, [*held, (A, "arn-1", "another group"), ("999988887777", "arn-0", "group-0")]
    )
    assert (after.missing, after.sent) == ({A: (1,)}, {})
    assert (after.assigned, after.total) == (1, 2), "who is left out never counted"


def test_what_was_asked_for_and_is_not_seen_is_asked_for_again_after_a_while() -> None:
    rollout = a_rollout(missing={A: (0, 1)}, sent={A: (0, 1)}, begun={A: "key"}, unverified=(A,))
    after = after_looks(seen(rollout, [(A, "arn-1", "group-1")]), NOW)
    assert (after.missing, after.sent, after.unverified) == ({A: (0,)}, {}, ())
    assert not list(to_ask(after, NOW))
    assert list(to_ask(after, NOW + timedelta(minutes=1))) == [(A, (0,))]


# What is asked for


def test_accounts_that_are_begun_come_first_and_what_waits_or_is_sent_not_at_all() -> None:
    rollout = a_rollout(
        missing={A: (0,), B: (0, 1, 2), C: (0,)},
        begun={B: "key"},
        sent={B: (0,)},
        again={f"{B}/1": later(seconds=5), C: later(seconds=5)},
    )
    assert list(to_ask(rollout, NOW)) == [(B, (2,)), (A, (0,))]
    assert list(to_ask(rollout, NOW + timedelta(seconds=5))) == [(B, (1, 2)), (A, (0,)), (C, (0,))]


def test_accounts_that_are_left_to_others_are_not_asked_for() -> None:
    rollout = a_rollout(missing={A: (0,), B: (0,)}, others=(A,))
    assert list(to_ask(rollout, NOW)) == [(B, (0,))]


def test_what_aws_refuses_is_asked_for_ever_later_and_fails_after_half_an_hour() -> None:
    rollout, now, waits = a_rollout(missing={A: (0,)}), NOW, []
    while A in rollout.missing:
        rollout = refused(rollout, A, 0, "ConflictException", now)
        again = rollout.again[f"{A}/0"]
        waits.append((again.not_before - now).total_seconds())
        now = max(again.not_before, now + timedelta(seconds=1))
    assert waits[:5] == [10, 20, 40, 80, 160]
    assert timedelta(minutes=30) < now - NOW < timedelta(minutes=36)
    assert rollout.failed == {A: ("permission set Set-0 for group Group 0: ConflictException",)}


def test_what_nobody_wants_any_more_is_dropped_but_followed_where_it_was_asked_for() -> None:
    rollout = a_rollout(missing={A: (0, 1), B: (0,)}, sent={A: (0,)}, asked=(asked(A, 0),), total=3)
    unwanted = without(rollout, [0], sent=False)
    assert (unwanted.missing, unwanted.sent, unwanted.total) == ({A: (0, 1)}, {A: (0,)}, 2)
    assert unwanted.asked == rollout.asked
    gone = without(rollout, [0], sent=True)
    assert (gone.missing, gone.sent, gone.asked, gone.total) == ({A: (1,)}, {}, (), 1)


# When it is verified, and how long it takes


def many(number: int, **changes: Any) -> Rollout:
    accounts = [f"{it:012}" for it in range(number)]
    return a_rollout(
        missing=dict.fromkeys(accounts, (0, 1)) | {A: (0,)},
        sent=dict.fromkeys(accounts, (0, 1)),
        begun=dict.fromkeys(accounts, "key"),
        **changes,
    )


def test_it_is_verified_once_a_tenth_was_asked_for_but_no_less_than_a_hundred() -> None:
    assert to_verify(many(LEAST // 2 - 1, total=300), NOW) == ()
    assert len(to_verify(many(LEAST // 2, total=300), NOW)) == LEAST // 2
    assert to_verify(many(149, total=3000), NOW) == ()
    assert len(to_verify(many(150, total=3000), NOW)) == 150


def test_accounts_of_which_something_is_under_way_or_not_asked_for_are_not_verified_yet() -> None:
    rollout = a_rollout(
        missing={A: (0, 1), B: (0, 1), C: (0, 1)},
        sent={A: (0, 1), B: (0, 1), C: (0,)},
        begun={A: "a", B: "b", C: "c"},
        asked=(asked(B, 1),),
        again={f"{C}/1": later(hours=1)},
    )
    assert to_verify(rollout, NOW) == ()
    assert to_verify(rollout.model_copy(update={"asked": ()}), NOW) == (A, B)


@pytest.mark.parametrize(
    ("before", "after", "change"), [(12, 8, 1), (12, 5, 1), (12, 4, 0), (12, 2, 0), (12, 1, -1)]
)
def test_it_waits_so_long_that_more_than_half_has_ended(
    before: int, after: int, change: int
) -> None:
    rollout = a_rollout(pace_seconds=10)
    assert paced(rollout, before=before, after=after) == 10 + change


def test_how_long_it_waits_has_bounds_and_few_under_way_tell_nothing() -> None:
    shortest, longest = PACES_SECONDS
    assert paced(a_rollout(pace_seconds=longest), before=12, after=12) == longest
    assert paced(a_rollout(pace_seconds=shortest), before=12, after=0) == shortest
    assert paced(a_rollout(pace_seconds=10), before=3, after=3) == 10


def test_the_next_message_comes_when_something_can_be_done() -> None:
    begun = {"missing": {A: (0,)}, "begun": {A: "key"}}
    waits = a_rollout(**begun, again={A: later(seconds=90)})
    assert seconds_to_wait(waits, NOW, longest=240) == 90
    assert seconds_to_wait(waits, NOW, longest=60) == 60
    assert seconds_to_wait(a_rollout(**begun, pace_seconds=7), NOW, longest=240) == 7
    under_way = a_rollout(**begun, sent={A: (0,)}, asked=(asked(A, 0),), pace_seconds=7)
    assert seconds_to_wait(under_way, NOW, longest=240) == 7
    looks = a_rollout(**begun, looks=(Look(group_id="group-0"),), pace_seconds=7)
    assert seconds_to_wait(looks, NOW, longest=240) == 1
    assert seconds_to_wait(a_rollout(begun={A: "key"}), NOW, longest=240) == 1


def test_how_long_it_takes_is_a_guess_until_some_is_done() -> None:
    accounts = {f"{number:012}": (0, 1) for number in range(50)}
    plan = a_rollout(state=RolloutState.PLANNED, missing=accounts, total=100)
    assert remaining(plan, NOW) == 100 * EACH
    started = plan.model_copy(update={"state": RolloutState.RUNNING, "started_at": NOW})
    assert remaining(started, NOW + timedelta(minutes=1)) == 100 * EACH
    half = started.model_copy(update={"missing": dict(list(accounts.items())[:25])})
    assert remaining(half, NOW + timedelta(minutes=10)) == timedelta(minutes=10)


def test_of_what_is_planned_or_over_nobody_knows_how_long_it_takes() -> None:
    for state in (RolloutState.PLANNING, RolloutState.DONE, RolloutState.STOPPED):
        assert remaining(a_rollout(state=state, missing={A: (0,)}), NOW) is None


# How the ledger keeps it


def test_nothing_of_it_is_lost_in_the_ledger() -> None:
    rollout = a_rollout(
        names={A: "a", B: "b"},
        places={B: ("ou-abcd-12345678", "r-abcd")},
        missing={B: (0, 1), A: (0, 1)},
        sent={A: (0,)},
        begun={A: "key"},
        failed={C: ("why", "why not")},
        skipped={C: "it is SUSPENDED"},
        asked=(asked(A, 0),),
        again={f"{A}/0": later(hours=1)},
        known=Names(groups={"Developers": "g"}),
        looks=(Look(group_id="group-0", after="token"),),
        total=4,
    )
    assert Rollout.unpacked(rollout.packed()) == rollout
