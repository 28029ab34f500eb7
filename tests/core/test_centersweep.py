"""What is kept of a sweep of Identity Center, and what is decided by that alone."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from keyward.actions import Enforcement
from keyward.centersweep import (
    LARGEST_BYTES,
    STRIDE,
    CenterSweep,
    Cost,
    Holder,
    Phase,
    SeenSet,
    Way,
    assigned,
    changes_over,
    cheaper,
    is_due,
    needs_look,
    rest,
    since,
    unique_id,
    would_act,
)
from keyward.findings import FindingRecord, RecordedEvidence, Severity, State, Would
from keyward.model import PrincipalKind
from keyward.settings import Mode

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
GROUP, USER = PrincipalKind.GROUP, PrincipalKind.USER


def a_sweep(**changes: object) -> CenterSweep:
    return CenterSweep(id="sweep-1", started_at=NOW, **changes)


def a_record(state: State = State.OPEN, **changes: object) -> FindingRecord:
    record = FindingRecord(
        key="0" * 20,
        state=state,
        rule="idc-assignment-to-user",
        severity=Severity.HIGH,
        mode="report",
        account="111122223333",
        subject="assignment",
        subject_kind="AccountAssignment",
        unique_id=f"{ARN}/USER/u-1",
        reason="assigned to a user",
        fix="use a group",
        enforcement=Enforcement.REMOVE_ASSIGNMENT,
        evidence=RecordedEvidence(
            event_id="e-1", event_name="Sweep", event_time=NOW, region="eu-west-1", actor="Keyward"
        ),
        first_seen=NOW,
        last_seen=NOW,
    )
    return record.model_copy(update=changes)


# What is kept


def test_what_is_kept_is_what_it_was() -> None:
    sweep = a_sweep(phase=Phase.READING, way=Way.BY_PRINCIPAL, ticket=3, version=7)
    sweep.sets = [SeenSet(arn=ARN, name="Developer"), SeenSet(arn=f"{ARN}2")]
    sweep.sets[1].accounts = [sweep.place("444455556666"), sweep.place("111122223333"), 7]
    sweep.hold(Holder(kind=USER, id="u-1", name="jane"), [5, STRIDE + 1, 2 * STRIDE])
    sweep.hold(Holder(kind=GROUP, id="g-1"), [1])
    sweep.hold(Holder(kind=USER, id="u-1"), [7])
    sweep.queue = [Holder(kind=USER, id="u-2")]
    sweep.kinds, sweep.page, sweep.after = [USER], "page-2", "page-3"
    sweep.units, sweep.parents, sweep.places = {"r-1": []}, [["r-1"]], {1: 0}
    sweep.unread, sweep.why = ["u-9"], ["AccessDeniedException"]
    kept = CenterSweep.unpacked(sweep.packed(), version=7)
    assert kept.sets[1].accounts == [0, 1, 7]
    assert kept.model_dump() == sweep.model_dump()
    assert kept.held == {0: {5, 7, STRIDE + 1, 2 * STRIDE}, 1: {1}}


def test_one_holder_has_one_place_also_after_it_was_kept() -> None:
    sweep = a_sweep()
    sweep.hold(Holder(kind=USER, id="u-1"), [1])
    kept = CenterSweep.unpacked(sweep.packed(), version=1)
    kept.hold(Holder(kind=USER, id="u-1"), [2])
    kept.hold(Holder(kind=GROUP, id="u-1"), [3])
    assert kept.held == {0: {1, 2}, 1: {3}}


def test_who_holds_nothing_is_not_kept() -> None:
    sweep = a_sweep()
    sweep.hold(Holder(kind=USER, id="u-1"), [])
    assert sweep.holders == []


def test_a_large_estate_fits_into_an_item() -> None:
    """5,000 accounts with 20 sets each, 3,000 holders, 30,000 assignments, as random as can be."""
    chance = random.Random(1)
    sweep = a_sweep()
    for _ in range(5000):
        sweep.place(f"{chance.randrange(10**11, 10**12)}")
    for number in range(20):
        accounts = sorted(chance.sample(range(5000), 4500))
        arn = (
            f"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-{chance.getrandbits(64):016x}"
        )
        sweep.sets.append(SeenSet(arn=arn, name=f"Set{number}", accounts=accounts))
    for number in range(3000):
        id_ = str(uuid.UUID(int=chance.getrandbits(128)))
        holder = Holder(kind=USER, id=id_, name=f"person.{number}@example.com")
        numbers = [chance.randrange(5000) * STRIDE + chance.randrange(20) for _ in range(10)]
        sweep.hold(holder, numbers)
    sweep.places = dict.fromkeys(range(5000), 0)
    packed = sweep.packed()
    print(f"{len(packed)} bytes")  # noqa: T201 - the figure is what people want of it
    assert len(packed) <= LARGEST_BYTES
    kept = CenterSweep.unpacked(packed, version=0)
    assert kept.model_dump() == sweep.model_dump()


def test_names_go_where_there_is_no_room_for_them() -> None:
    chance = random.Random(1)
    sweep = a_sweep()
    for _ in range(8000):
        id_ = f"{chance.getrandbits(128):032x}"
        sweep.hold(Holder(kind=USER, id=id_, name=f"{chance.getrandbits(256):064x}"), [1])
    kept = CenterSweep.unpacked(sweep.packed(), version=0)
    assert {it.name for it in kept.holders} == {None}
    assert [it.id for it in kept.holders] == [it.id for it in sweep.holders]


def test_what_has_no_room_at_all_is_an_error() -> None:
    chance = random.Random(1)
    sweep = a_sweep()
    for _ in range(30_000):
        sweep.hold(Holder(kind=USER, id=f"{chance.getrandbits(128):032x}"), [1])
    with pytest.raises(ValueError, match="too many to keep"):
        sweep.packed()


def test_an_assignment_is_known_by_set_kind_and_principal() -> None:
    assert assigned(unique_id(ARN, USER, "u-1")) == (ARN, USER, "u-1")
    assert assigned("111122223333/access") is None
    assert assigned("/USER/u-1") is None


# Which way


@pytest.mark.parametrize(
    ("principals", "pairs", "way"),
    [(10, 11, Way.BY_PRINCIPAL), (11, 11, Way.BY_ACCOUNT), (0, 0, Way.BY_ACCOUNT)],
)
def test_the_way_with_fewer_calls_is_taken(principals: int, pairs: int, way: Way) -> None:
    assert cheaper(principals=principals, pairs=pairs) is way


def reading(*, users: int, pairs: int, done: int, calls: int, **changes: object) -> CenterSweep:
    seen = SeenSet(arn=ARN, accounts=list(range(pairs)))
    return a_sweep(
        **{
            "way": Way.BY_PRINCIPAL,
            "users": users,
            "counted": True,
            "sets": [seen],
            "cost": Cost(done=done, calls=calls),
            **changes,
        }
    )


def test_the_rest_costs_what_was_paid_so_far_for_each() -> None:
    assert rest(reading(users=100, pairs=1, done=20, calls=60)) == 80 * 3
    assert rest(reading(users=100, pairs=1, done=0, calls=0)) == 100
    assert rest(reading(users=10, pairs=100, done=20, calls=20, way=Way.BY_ACCOUNT)) == 80


@pytest.mark.parametrize(
    ("done", "calls", "changes"),
    [
        (20, 19, False),  # as cheap as was thought
        (20, 41, True),  # 980 more would take 2,009 calls, the other way 2,000
        (20, 40, False),  # ... 1,960
        (19, 100, False),  # too few to tell
        (1, 400, True),  # but a fifth of the other way was spent
        (100, 401, False),  # more was spent already than may be in vain
    ],
)
def test_it_changes_over_where_the_other_way_is_cheaper_by_now(
    done: int, calls: int, *, changes: bool
) -> None:
    assert changes_over(reading(users=1000, pairs=2000, done=done, calls=calls)) is changes


def test_it_changes_over_once_and_only_where_all_were_counted() -> None:
    late = {"users": 1000, "pairs": 2000, "done": 20, "calls": 100}
    assert changes_over(reading(**late))
    assert not changes_over(reading(**late, changed_over=True))
    assert not changes_over(reading(**late, counted=False))


def test_it_changes_over_from_accounts_to_principals_as_well() -> None:
    sweep = reading(users=60, pairs=50, done=5, calls=12, way=Way.BY_ACCOUNT)
    assert changes_over(sweep)


# What is looked at


@pytest.mark.parametrize(
    ("state", "looks"),
    [
        (State.OPEN, False),
        (State.ACTING, False),
        (State.RELEASING, False),
        (State.ACTED, True),
        (State.FAILED, True),
        (State.RELEASED, True),
        (State.RESOLVED, True),
        (State.EXEMPT, True),  # the exemption is over
    ],
)
def test_what_is_known_and_told_is_not_looked_at_again(state: State, *, looks: bool) -> None:
    assert needs_look(a_record(state), exempt=False, acts=False, full=False) is looks


def test_what_is_new_is_looked_at() -> None:
    assert needs_look(None, exempt=False, acts=False, full=False)
    assert needs_look(None, exempt=True, acts=False, full=False)


def test_what_an_exemption_covers_is_recorded_once() -> None:
    assert needs_look(a_record(), exempt=True, acts=False, full=False)
    assert not needs_look(a_record(State.EXEMPT), exempt=True, acts=False, full=True)


def test_an_open_finding_is_looked_at_in_full_sweeps_and_where_it_is_acted_on_by_now() -> None:
    assert needs_look(a_record(), exempt=False, acts=False, full=True)
    assert needs_look(a_record(), exempt=False, acts=True, full=False)


@pytest.mark.parametrize(
    ("would", "mode", "existing", "acts"),
    [
        (None, Mode.ENFORCE, "enforce", False),
        (Would(action="remove-assignment"), Mode.ENFORCE, None, True),
        (Would(action="remove-assignment"), Mode.REPORT, None, False),
        (Would(action="remove-assignment", existed=True), Mode.ENFORCE, "report", False),
        (Would(action="remove-assignment", existed=True), Mode.ENFORCE, "enforce", True),
        (Would(held="made by AWS Control Tower"), Mode.ENFORCE, "enforce", False),
    ],
)
def test_something_is_to_be_done_where_enforcing_would_and_it_is_enforced(
    would: Would | None, mode: Mode, existing: str | None, *, acts: bool
) -> None:
    record = a_record(would=would)
    assert would_act(record, mode=lambda _: mode, existing=lambda _: existing, now=NOW) is acts


def test_what_another_rule_would_do_about_it_counts() -> None:
    record = a_record(also_would={"idc-other": Would(action="remove-assignment")})
    modes = {"idc-other": Mode.ENFORCE, record.rule: Mode.REPORT}
    assert would_act(record, mode=modes.__getitem__, existing=lambda _: None, now=NOW)


def test_a_warning_is_waited_for() -> None:
    would = Would(action="remove-assignment")
    for hours, acts in ((1, False), (0, True), (-1, True)):
        record = a_record(would=would, grace_until=NOW + timedelta(hours=hours))
        found = would_act(record, mode=lambda _: Mode.ENFORCE, existing=lambda _: None, now=NOW)
        assert found is acts


def test_what_the_last_sweep_did_not_see_came_about_since() -> None:
    before = frozenset({("111122223333", "seen")})
    assert since(("111122223333", "seen"), None, before=before, then=NOW) is None
    assert since(("111122223333", "new"), None, before=before, then=NOW) == NOW
    assert since(("444455556666", "seen"), None, before=before, then=NOW) == NOW
    assert since(("111122223333", "new"), None, before=None, then=None) is None


@pytest.mark.parametrize("state", [State.ACTED, State.RESOLVED, State.RELEASED])
def test_what_was_closed_came_about_after_that(state: State) -> None:
    later = NOW + timedelta(hours=1)
    record = a_record(state, last_seen=later)
    assert since(("111122223333", "seen"), record, before=frozenset(), then=NOW) == later


def test_what_was_resolved_may_have_been_there_all_the_while() -> None:
    record = a_record(State.RESOLVED, last_seen=NOW + timedelta(hours=1))
    seen = ("111122223333", "seen")
    assert since(seen, record, before=frozenset({seen}), then=NOW) is None
    assert since(seen, record, before=None, then=None) is None


def test_of_what_is_open_its_event_tells_the_time() -> None:
    evidence = a_record().evidence.model_copy(update={"actor": "jane", "event_time": LONG_AGO})
    for state in (State.OPEN, State.FAILED, State.EXEMPT):
        record = a_record(state, evidence=evidence)
        assert since(("111122223333", "x"), record, before=frozenset(), then=NOW) == LONG_AGO


def test_of_what_a_sweep_found_only_what_was_new_then_is_new() -> None:
    new, old = Would(action="remove-assignment"), Would(action="remove-assignment", existed=True)
    for would, expected in ((new, LONG_AGO), (old, None), (None, None)):
        record = a_record(would=would, first_seen=LONG_AGO)
        found = since(("111122223333", "x"), record, before=frozenset(), then=NOW)
        assert found == expected


def test_a_message_too_many_is_not_heeded() -> None:
    claimed = {"ticket": 3, "claim_until": NOW + timedelta(seconds=1)}
    assert is_due(a_sweep(**claimed), 3, now=NOW)
    assert not is_due(a_sweep(**claimed), 2, now=NOW)
    assert is_due(a_sweep(**claimed), 2, now=NOW + timedelta(seconds=1))
    assert not is_due(a_sweep(ticket=3, phase=Phase.DONE), 3, now=NOW)
