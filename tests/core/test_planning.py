"""What enforcing a rule would do, added up from what findings say of themselves."""

from datetime import datetime, timedelta

import pytest

from keyward import planning
from keyward.actions import Enforcement
from keyward.findings import FindingRecord, RecordedEvidence, Severity, State, Would
from keyward.planning import EXISTED, NOT_LOOKED_AT, plan_of
from keyward.sweep import Sweep, SweepState, sweep_id
from tests.builders import MEMBER, NOW

RULE = "iam-access-key-created"
OTHER = "iam-access-key-for-other-user"
ACT = Would(action="DeactivateAccessKeys")
EXISTING_ACT = Would(action="DeactivateAccessKeys", existed=True)


def a_record(number: int = 1, **changes: object) -> FindingRecord:
    record = FindingRecord(
        key=f"{number:020x}",
        state=State.OPEN,
        rule=RULE,
        severity=Severity.HIGH,
        mode="report",
        account=MEMBER,
        subject=f"access key {number} of user ci",
        subject_kind="AccessKey",
        unique_id=f"AKIA{number}",
        reason="it is active",
        fix="Use a role.",
        enforcement=Enforcement.DEACTIVATE_ACCESS_KEY,
        evidence=RecordedEvidence(
            event_id="e", event_name="Sweep", event_time=NOW, region="us-east-1", actor="Keyward"
        ),
        first_seen=NOW,
        last_seen=NOW,
        would=ACT,
    )
    return record.model_copy(update=changes)


def test_a_plan_says_of_each_finding_what_would_be_done_or_why_not() -> None:
    held = Would(held="protected principal: break-glass")
    plan = plan_of(RULE, [a_record(2, would=held, owner="ana"), a_record(1)], existing=True)
    assert [(row.finding[-1], row.action, row.held) for row in plan.rows] == [
        ("1", "DeactivateAccessKeys", None),
        ("2", None, "protected principal: break-glass"),
    ]
    assert [row.owner for row in plan.rows] == [None, "ana"]
    assert (plan.acts, plan.accounts, plan.unknown) == (1, 1, 0)


@pytest.mark.parametrize(("existing", "held", "acts"), [(True, None, 1), (False, EXISTED, 0)])
def test_what_existed_is_acted_on_only_where_that_is_asked_for(
    *, existing: bool, held: str | None, acts: int
) -> None:
    plan = plan_of(RULE, [a_record(would=EXISTING_ACT)], existing=existing)
    assert [row.held for row in plan.rows] == [held]
    assert plan.acts == acts


def test_what_is_new_is_acted_on_in_either_case() -> None:
    plans = [plan_of(RULE, [a_record()], existing=existing) for existing in (True, False)]
    assert [plan.acts for plan in plans] == [1, 1]


@pytest.mark.parametrize(
    "state", [State.ACTED, State.ACTING, State.RELEASED, State.RELEASING, State.RESOLVED]
)
def test_only_what_is_open_or_failed_is_in_a_plan(state: State) -> None:
    records = [a_record(1, state=state), a_record(2, state=State.FAILED), a_record(3)]
    assert [row.finding[-1] for row in plan_of(RULE, records, existing=True).rows] == ["2", "3"]


def test_those_that_an_exemption_in_force_covers_are_counted() -> None:
    records = [
        a_record(number, state=State.EXEMPT, exempt_by=name)
        for number, name in enumerate(("build", "build", "ended"))
    ]
    plan = plan_of(RULE, records, existing=True, exemptions=("build", "other"))
    assert (plan.exempt, plan.rows) == (2, ())


def test_a_finding_of_several_rules_counts_for_each_by_what_that_one_would_do() -> None:
    record = a_record(
        also=(OTHER,), would=Would(held="it is only ever reported"), also_would={OTHER: ACT}
    )
    (row,) = plan_of(OTHER, [record], existing=True).rows
    assert (row.action, row.together) == ("DeactivateAccessKeys", RULE)
    assert plan_of(RULE, [record], existing=True).acts == 0
    assert plan_of("iam-user-created", [record], existing=True).rows == ()


def test_what_nobody_has_judged_yet_is_said_to_be_unknown() -> None:
    plan = plan_of(RULE, [a_record(would=None)], existing=True)
    assert (plan.unknown, plan.rows[0].held) == (1, NOT_LOOKED_AT)
    reported = a_record(would=None, enforcement=Enforcement.REPORT)
    assert plan_of(RULE, [reported], existing=True).unknown == 0


def test_who_was_warned_is_not_acted_on_before_the_day() -> None:
    due = NOW + timedelta(days=5)
    acts, held = plan_of(
        RULE,
        [a_record(1, grace_until=due), a_record(2, grace_until=due, would=Would(held="no"))],
        existing=True,
    ).rows
    assert (acts.due, held.due) == (due, None)


def test_the_digest_is_of_the_acts_whatever_their_order() -> None:
    records = [a_record(1), a_record(2, would=EXISTING_ACT), a_record(3, would=Would(held="no"))]
    digest = plan_of(RULE, records, existing=True).digest
    assert plan_of(RULE, records[::-1], existing=True).digest == digest
    untouched = a_record(3, would=Would(held="for another reason"), seen=7, version=9)
    assert plan_of(RULE, [*records[:2], untouched], existing=True).digest == digest
    assert plan_of(RULE, records[:2], existing=True).digest == digest


@pytest.mark.parametrize(
    "change",
    [
        {"episode": 2},
        {"would": Would(action="QuarantineUser")},
        {"would": Would(held="protected principal")},
        {"state": State.EXEMPT},
        {"key": "f" * 20},
    ],
)
def test_another_act_has_another_digest(change: dict[str, object]) -> None:
    before = plan_of(RULE, [a_record(1), a_record(2)], existing=True)
    after = plan_of(RULE, [a_record(1), a_record(2, **change)], existing=True)
    assert after.digest != before.digest


def test_the_digest_of_one_rule_confirms_no_other() -> None:
    digests = {plan_of(rule, [], existing=True).digest for rule in (RULE, OTHER)}
    assert len(digests) == 2


def a_sweep(ended_at: datetime | None = NOW, **changes: object) -> Sweep:
    started = (ended_at or NOW) - timedelta(minutes=20)
    sweep = Sweep(
        id=sweep_id(started),
        started_at=started,
        ended_at=ended_at,
        state=SweepState.DONE if ended_at else SweepState.WAITING,
        complete=ended_at is not None,
        asked=3,
    )
    return sweep.model_copy(update=changes)


@pytest.mark.parametrize(
    ("sweeps", "says"),
    [
        ([], ["no sweep was complete"]),
        ([a_sweep(None)], ["no sweep was complete"]),
        ([a_sweep(complete=False, silent=2)], ["no sweep was complete"]),
        ([a_sweep(NOW)], []),
        ([a_sweep(NOW), a_sweep(None)], []),
        ([a_sweep(NOW - timedelta(days=1))], []),
        ([a_sweep(NOW - timedelta(days=1, minutes=1))], ["the last complete sweep ended at"]),
        ([a_sweep(failed=4)], ["4 accounts could not be read"]),
        (
            [a_sweep(NOW - timedelta(hours=6)), a_sweep(complete=False, silent=2, failed=1)],
            ["1 accounts could not be read", "2 accounts said nothing"],
        ),
    ],
)
def test_a_plan_says_what_it_may_not_know(sweeps: list[Sweep], says: list[str]) -> None:
    found = planning.doubts(sweeps, NOW)
    assert [line for line, part in zip(found, says, strict=True) if part not in line] == []


def test_the_last_complete_sweep_is_not_one_that_came_to_no_end() -> None:
    first, second = a_sweep(NOW - timedelta(days=2)), a_sweep(NOW - timedelta(days=1))
    incomplete = a_sweep(complete=False)
    assert planning.last_complete([first, second, incomplete, a_sweep(None)]) == second
    assert planning.last_complete([incomplete]) is None


def test_a_subject_that_two_findings_are_about_counts_once_and_by_the_rules_own() -> None:
    own = a_record(1)
    other = a_record(2, rule=OTHER, unique_id="AKIA1", also=(RULE,), also_would={RULE: ACT})
    again = a_record(3, rule="iam-access-key-too-old", unique_id="AKIA1", also_would={RULE: ACT})
    assert [row.finding for row in plan_of(RULE, [other, own], existing=True).rows] == [own.key]
    assert plan_of(RULE, [other, again], existing=True).acts == 1


def test_two_findings_of_the_rule_about_one_subject_count_both() -> None:
    both = [a_record(1), a_record(2, unique_id="AKIA1")]
    assert plan_of(RULE, both, existing=True).acts == 2


def test_a_rule_that_a_later_look_did_not_hear_objects_no_more() -> None:
    heard_by_event = a_record(also=(OTHER,))
    assert plan_of(OTHER, [heard_by_event], existing=True).rows == ()
    never_judged = a_record(also=(OTHER,), would=None)
    assert plan_of(OTHER, [never_judged], existing=True).unknown == 1
