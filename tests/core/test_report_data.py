"""What is known -> a report: every finding, honest numbers, and what could not be known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward import report_files
from keyward.controls import controls
from keyward.findings import FindingRecord, Moment, Severity, State
from keyward.planner import HISTORY_LENGTH
from keyward.report import ControlRow, Report, SetRow
from keyward.report_data import FRESH, OPEN, AccountSeen, Known, report
from keyward.report_page import page
from keyward.rule import in_force
from keyward.rules import every
from keyward.settings import Accepted, Mode
from keyward.sweep import IDENTITY_CENTER, Sweep, SweepState
from tests.builders import HUB, MEMBER, NOW, a_key, an_exemption, an_iam_user, settings_in_force
from tests.core.test_planner import planned, recorded

RECORD = recorded(planned(a_key(an_iam_user())))
DAY = timedelta(days=1)
KEY = "iam-access-key-created"
TODAY = NOW.date().isoformat()
SET_ARN = "arn:aws:sso:::permissionSet/ssoins-1111222233334444/ps-1111222233334444"


def a_record(
    key: str = "f" * 20,
    *moments: tuple[State, timedelta],
    rule: str = KEY,
    **changes: object,
) -> FindingRecord:
    """A finding with this life: states, and how long ago each began."""
    told = moments or ((State.OPEN, timedelta()),)
    history = tuple(Moment(at=NOW - ago, state=state) for state, ago in told)
    return RECORD.model_copy(
        update={
            "key": key,
            "rule": rule,
            "also": (),
            "state": history[-1].state,
            "first_seen": history[0].at,
            "last_seen": history[-1].at,
            "history": history,
            **changes,
        }
    )


def a_sweep(ended: timedelta = timedelta(hours=1), **changes: object) -> Sweep:
    at = NOW - ended
    begun = at - timedelta(minutes=20)
    sweep = Sweep(
        id=f"{begun:%Y%m%dT%H%M%S}",
        state=SweepState.DONE,
        started_at=begun,
        listed_at=begun,
        ended_at=at,
        asked=2,
        complete=True,
    )
    return sweep.model_copy(update=changes)


def made(
    records: Iterable[FindingRecord] = (),
    inventory: Iterable[Mapping[str, object]] | None = (),
    **others: Any,
) -> Report:
    """A report of an organization of two accounts that were just swept, unless told otherwise."""
    seen = [AccountSeen(id=it, swept_at=NOW - timedelta(hours=1)) for it in (HUB, MEMBER)]
    known: dict[str, Any] = {
        "id": "2026-W47",
        "by": "schedule",
        "settings": settings_in_force(),
        "sweeps": [a_sweep()],
        "accounts": seen,
        "controls": controls(),
        **others,
    }
    return report(records, inventory, known=Known(**known), now=NOW)


def control(of: Report, id_: str) -> ControlRow:
    (row,) = [it for it in of.controls if it.control == id_]
    return row


# Findings


def test_all_findings_of_a_storm_are_in_it() -> None:
    storm = (a_record(f"{number:020x}", rule=KEY) for number in range(10_000))
    made_of = made(storm)
    assert len({row.key for row in made_of.findings}) == 10_000
    assert made_of.open_by_severity[RECORD.severity] == 10_000
    assert made_of.days[-1].open == 10_000
    rows = list(csv.DictReader(io.StringIO(report_files.tables(made_of)["findings"].decode())))
    assert len(rows) == 10_000


def test_open_findings_come_first_then_the_gravest() -> None:
    keys = [
        row.key
        for row in made(
            [
                a_record("closed-critical", (State.RESOLVED, DAY), severity=Severity.CRITICAL),
                a_record("open-low", severity=Severity.LOW),
                a_record("open-critical", severity=Severity.CRITICAL),
                a_record("failed-high", (State.FAILED, DAY), severity=Severity.HIGH),
            ]
        ).findings
    ]
    assert keys == ["open-critical", "failed-high", "open-low", "closed-critical"]


def test_a_finding_that_the_index_gives_twice_counts_once() -> None:
    of = made([a_record(), a_record("f" * 20, (State.RESOLVED, DAY))])
    assert [row.state for row in of.findings] == [State.OPEN]
    assert sum(of.open_by_severity.values()) == 1


@pytest.mark.parametrize("state", State)
def test_numbers_lists_chart_and_page_count_the_same(state: State) -> None:
    of = made([a_record("a" * 20, (state, DAY)), a_record("b" * 20, (State.OPEN, DAY))])
    is_open = sum(of.open_by_severity.values())
    assert is_open == of.days[-1].open == sum(row.state in OPEN for row in of.findings)
    assert is_open == control(of, "IA-5").open
    assert is_open == sum(it.open for it in of.accounts) or RECORD.account not in {HUB, MEMBER}
    assert of.contained == control(of, "IA-5").contained == (state is State.ACTED)
    shown = page(of)
    assert f"Open findings: {is_open}<" in shown
    assert f"Contained: {of.contained}<" in shown
    assert f"Closed: {2 - is_open - of.contained}<" in shown


def test_every_severity_is_counted_also_where_nothing_is_open() -> None:
    assert made().open_by_severity == dict.fromkeys(Severity, 0)


# Over time


def test_days_tell_what_opened_closed_and_was_open() -> None:
    of = made([a_record("f" * 20, (State.OPEN, 3 * DAY), (State.RESOLVED, DAY))])
    assert [(it.opened, it.closed, it.open) for it in of.days[-5:]] == [
        (0, 0, 0),
        (1, 0, 1),
        (0, 0, 1),
        (0, 1, 0),
        (0, 0, 0),
    ]


def test_what_was_contained_within_the_day_opened_and_closed() -> None:
    life = ((State.ACTING, timedelta(seconds=9)), (State.ACTED, timedelta()))
    of = made([a_record("f" * 20, *life)])
    assert (of.days[-1].opened, of.days[-1].closed, of.days[-1].open) == (1, 1, 0)


def test_an_exempt_finding_never_opened() -> None:
    of = made([a_record("f" * 20, (State.EXEMPT, DAY))])
    assert sum(it.opened + it.closed for it in of.days) == 0


def test_each_episode_opens_anew() -> None:
    states = (State.OPEN, State.RESOLVED, State.OPEN, State.RESOLVED)
    of = made([a_record("f" * 20, *((it, (4 - n) * DAY) for n, it in enumerate(states)))])
    assert sum(it.opened for it in of.days) == 2
    assert sum(it.closed for it in of.days) == 2


def test_what_was_open_before_the_period_is_open_on_its_first_day() -> None:
    of = made([a_record("f" * 20, (State.OPEN, 300 * DAY))])
    assert len(of.days) == of.period_days
    assert of.days[-1].day == TODAY
    assert {it.open for it in of.days} == {1}
    assert sum(it.opened for it in of.days) == 0


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(State), st.integers(0, 200)), min_size=1, max_size=8),
        max_size=6,
    )
)
def test_days_always_add_up_to_what_is_open_now(lives: list[list[tuple[State, int]]]) -> None:
    records = [
        a_record(
            f"{number:020x}",
            *((state, days * DAY) for state, days in sorted(life, key=lambda it: -it[1])),
        )
        for number, life in enumerate(lives)
    ]
    of = made(records)
    assert of.days[-1].open == sum(it.state in OPEN for it in records)
    assert of.days[-1].open == sum(of.open_by_severity.values())
    assert all(it.open >= 0 for it in of.days)


def test_a_release_under_way_is_open_until_it_ended_and_opened_nothing() -> None:
    life = ((State.ACTING, 2 * DAY), (State.ACTED, 2 * DAY), (State.RELEASING, timedelta(hours=1)))
    under_way = made([a_record("f" * 20, *life)])
    assert under_way.open_by_severity[RECORD.severity] == 1
    assert under_way.days[-1].open == 1
    assert under_way.findings[0].state in OPEN
    assert control(under_way, "IAM.3").state != "open findings"
    assert control(under_way, "IA-5").open == 1
    over = made([a_record("f" * 20, *life, (State.RELEASED, timedelta(minutes=59)))])
    assert (over.days[-1].opened, over.days[-1].closed, over.days[-1].open) == (0, 0, 0)


def test_a_history_that_was_cut_is_a_gap_and_counts_as_open_before() -> None:
    flapping = [
        ((State.OPEN, State.RESOLVED)[n % 2], (HISTORY_LENGTH - n) * timedelta(hours=1))
        for n in range(HISTORY_LENGTH)
    ]
    cut = a_record("f" * 20, *flapping, first_seen=NOW - 60 * DAY)
    of = made([cut])
    assert of.days[-10].open == 1
    assert of.days[-1].open == 0
    assert any("changed more often than the ledger remembers" in gap for gap in of.gaps)
    whole = made([cut.model_copy(update={"first_seen": cut.history[0].at})])
    assert not any("changed more often" in gap for gap in whole.gaps)


# Time to contain


def test_time_to_contain_is_from_the_event_to_the_act() -> None:
    def contained(seconds: int, key: str) -> FindingRecord:
        life = ((State.ACTING, timedelta(seconds=30)), (State.ACTED, timedelta(seconds=20)))
        evidence = RECORD.evidence.model_copy(
            update={"event_time": NOW - timedelta(seconds=20 + seconds)}
        )
        return a_record(key, *life, evidence=evidence)

    of = made([contained(12, "a"), contained(40, "b"), contained(90, "c")])
    assert of.median_contain_seconds == 40
    assert {row.key: row.contained_seconds for row in of.findings} == {"a": 12, "b": 40, "c": 90}


def test_what_a_sweep_found_has_no_time_to_contain_and_that_is_said() -> None:
    evidence = RECORD.evidence.model_copy(update={"actor": "Keyward", "event_time": NOW - DAY})
    of = made([a_record("f" * 20, (State.ACTED, timedelta()), evidence=evidence)])
    assert of.median_contain_seconds is None
    assert of.findings[0].contained_seconds is None
    assert any("The time to contain leaves out 1 finding" in gap for gap in of.gaps)


def test_what_was_contained_before_the_period_is_in_no_median() -> None:
    evidence = RECORD.evidence.model_copy(update={"event_time": NOW - 301 * DAY})
    of = made([a_record("f" * 20, (State.ACTED, 300 * DAY), evidence=evidence)])
    assert of.median_contain_seconds is None
    assert of.findings[0].contained_seconds == DAY.total_seconds()


# The inventory


def lines() -> Iterator[dict[str, object]]:
    account = {"account": MEMBER}
    for days, name in ((5, "new"), (45, "young"), (400, "old"), (4000, "ancient")):
        created = (NOW - days * DAY).isoformat()
        yield {"kind": "user", **account, "user": name, "created": created}
        yield {"kind": "access-key", **account, "user": name, "active": True, "changed": created}
    yield {"kind": "user", **account, "user": "nobody-knows", "created": None}
    yield {"kind": "access-key", **account, "user": "old", "active": False, "changed": None}
    yield {"kind": "password", **account, "user": "old", "changed": None}
    yield {"kind": "permission-set", "name": "ReadOnly", "arn": SET_ARN, "accounts": 2}
    for kind, id_, account_id in (
        ("USER", "u1", HUB),
        ("USER", "u1", MEMBER),
        ("GROUP", "g1", MEMBER),
    ):
        yield {
            "kind": "assignment",
            "account": account_id,
            "permission_set": "ReadOnly",
            "permission_set_arn": SET_ARN,
            "principal_type": kind,
            "principal_id": id_,
        }
    yield {"kind": "something of a later version"}


def test_users_and_active_keys_are_counted_by_age() -> None:
    of = made(inventory=lines())
    assert (of.users, of.keys, of.passwords) == (5, 4, 1)
    bands = {it.label: (it.users, it.keys) for it in of.ages}
    assert bands == {
        "up to 30 days": (1, 1),
        "31 to 90 days": (1, 1),
        "91 to 180 days": (0, 0),
        "181 days to a year": (0, 0),
        "1 to 2 years": (1, 1),
        "over 2 years": (1, 1),
        "age not known": (1, 0),
    }


@pytest.mark.parametrize(
    ("days", "label"), [(30, "up to 30 days"), (31, "31 to 90 days"), (731, "over 2 years")]
)
def test_the_age_at_the_boundary(days: int, label: str) -> None:
    created = (NOW - days * DAY).isoformat()
    of = made(inventory=[{"kind": "user", "created": created}])
    assert [it.label for it in of.ages if it.users] == [label]


def test_assignments_to_people_stand_against_those_to_groups() -> None:
    of = made(inventory=lines())
    assert (of.assignments_to_people, of.assignments_to_groups) == (2, 1)


def sets_of(*records: FindingRecord, **others: Any) -> dict[str, SetRow]:
    entries: dict[str, dict[str, object]] = {
        "ReadOnly": {"session_hours": 4},
        "Developer": {"session_hours": 4},
    }
    settings = settings_in_force(permission_sets=entries)
    of = made(records, lines(), **({"settings": settings} | others))
    return {row.name: row for row in of.sets}


def test_permission_sets_are_told_against_the_catalogue() -> None:
    rows = sets_of()
    assert rows["ReadOnly"].state == "as in the catalogue"
    assert rows["Developer"].state == "missing"
    assert (rows["ReadOnly"].accounts, rows["ReadOnly"].people, rows["ReadOnly"].groups) == (
        2,
        1,
        1,
    )


@pytest.mark.parametrize("state", [State.OPEN, State.FAILED, State.EXEMPT, State.RELEASED])
def test_a_set_that_drifted_differs_whoever_lets_it_stand(state: State) -> None:
    drift = a_record("f" * 20, (state, DAY), rule="idc-permission-set-drift", unique_id=SET_ARN)
    assert sets_of(drift)["ReadOnly"].state == "differs"


@pytest.mark.parametrize("state", [State.ACTED, State.RESOLVED])
def test_a_set_that_was_put_back_is_as_in_the_catalogue(state: State) -> None:
    drift = a_record("f" * 20, (state, DAY), rule="idc-permission-set-drift", unique_id=SET_ARN)
    assert sets_of(drift)["ReadOnly"].state == "as in the catalogue"


def test_where_nobody_compares_no_set_is_called_as_in_the_catalogue() -> None:
    off = settings_in_force(
        rules={"idc-permission-set-drift": {"mode": "off"}},
        permission_sets={"ReadOnly": {"session_hours": 4}},
    )
    row = sets_of(settings=off)["ReadOnly"]
    assert row.state == "not compared"
    assert "not compared" in page(made((), lines(), settings=off))


def test_without_a_catalogue_no_set_is_in_it_and_that_is_said() -> None:
    of = made(inventory=lines())
    assert [row.state for row in of.sets] == ["not in the catalogue"]
    assert any("no catalogue" in gap for gap in of.gaps)


# Exemptions


def test_exemptions_tell_when_they_end() -> None:
    exemptions = {
        "ended": an_exemption(KEY, until=(NOW - timedelta(minutes=1)).isoformat()),
        "today": an_exemption(KEY, until=(NOW + timedelta(hours=2)).isoformat()),
        "later": an_exemption(KEY, until=(NOW + 30 * DAY).isoformat()),
    }
    of = made(settings=settings_in_force(exemptions=exemptions))
    assert [(it.name, it.days_left) for it in of.exemptions] == [
        ("ended", -1),
        ("today", 0),
        ("later", 30),
    ]
    assert all(it.whom and it.rules == (KEY,) for it in of.exemptions)


def test_an_exemption_that_cannot_be_read_is_a_gap() -> None:
    of = made(settings=settings_in_force(exemptions={"odd": {"account": MEMBER, "what": 1}}))
    assert of.exemptions == ()
    assert any("that this version can't read" in gap and "odd" in gap for gap in of.gaps)


# Accounts


def test_accounts_out_of_sight_come_first_with_why() -> None:
    accounts = [
        AccountSeen(id=HUB, name="hub", swept_at=NOW, heard_at=NOW),
        AccountSeen(id=MEMBER, swept_at=NOW, wrong=("can't be read: denied",)),
        AccountSeen(id="222233334444"),
        AccountSeen(id="333344445555", swept_at=NOW - FRESH - timedelta(seconds=1)),
        AccountSeen(id="555566667777", swept_at=NOW - FRESH),
        AccountSeen(id=IDENTITY_CENTER, swept_at=NOW, wrong=("can't be read: KMS",)),
    ]
    of = made([a_record()], accounts=accounts)
    rows = {row.id: row for row in of.accounts}
    assert [row.covered for row in of.accounts] == [False, False, False, True, True]
    assert rows[MEMBER].why == "can't be read: denied"
    assert rows["222233334444"].why == "no sweep was there yet"
    assert "the last sweep was there" in (rows["333344445555"].why or "")
    assert rows[HUB].name == "hub"
    assert rows[RECORD.account].open == 1
    assert any(gap.startswith("Identity Center could not be read") for gap in of.gaps)
    assert any(MEMBER in gap for gap in of.gaps)


# Controls


def test_a_control_is_met_where_a_fresh_complete_sweep_found_nothing() -> None:
    row = control(made(), "IAM.4")
    assert (row.state, row.open, row.why) == ("met", 0, None)


def test_an_open_finding_tells_on_every_control_of_its_rule() -> None:
    of = made([a_record(rule="iam-root-access-key-created")])
    assert {it.control for it in of.controls if it.open} >= {"IAM.4", "1.3", "1.4", "IA-5"}
    assert control(of, "IAM.4").state == "open findings"


def test_a_finding_that_names_a_rule_beside_its_own_counts_for_both() -> None:
    folded = a_record(rule="iam-user-created", also=(KEY, "iam-console-password-set"))
    of = made([folded])
    assert control(of, "IAM.5").open == 1
    assert control(of, "IA-2").open == 1


def test_what_was_contained_or_let_stand_is_counted_and_not_open() -> None:
    of = made(
        [
            a_record("a", (State.ACTED, DAY), rule="iam-access-key-too-old"),
            a_record("b", (State.EXEMPT, DAY), rule="iam-access-key-too-old"),
            a_record("c", (State.RELEASED, DAY), rule="iam-access-key-too-old"),
            a_record("d", (State.RESOLVED, DAY), rule="iam-access-key-too-old"),
        ]
    )
    row = control(of, "IAM.3")
    assert (row.open, row.contained, row.exempt, row.state) == (0, 1, 2, "met")
    assert "but for 2 let stand" in page(of)
    assert "but for" not in page(made())


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"sweeps": []}, "No sweep was complete yet"),
        ({"sweeps": [a_sweep(complete=False)]}, "No sweep was complete yet"),
        ({"sweeps": [a_sweep(FRESH + timedelta(seconds=1))]}, "The last complete sweep ended"),
        ({"sweeps": [a_sweep(failed=2)]}, "2 accounts could not be read"),
        ({"sweeps": [a_sweep(silent=1)]}, "1 account could not be read"),
        ({"accounts": [AccountSeen(id=MEMBER)]}, "1 account could not be read"),
        (
            {"accounts": [AccountSeen(id=MEMBER, swept_at=NOW - FRESH - timedelta(seconds=1))]},
            "1 account could not be read",
        ),
        (
            {"settings": in_force(Accepted(compiled_at=NOW - timedelta(minutes=70)), every())},
            "Settings were changed after the last complete sweep began",
        ),
        (
            {"settings": settings_in_force(rules={"iam-root-access-key-created": {"mode": "off"}})},
            "Off: iam-root-access-key-created",
        ),
    ],
)
def test_a_control_is_not_judged_where_nobody_looked(others: dict[str, Any], why: str) -> None:
    row = control(made(**others), "IAM.4")
    assert row.state == "not judged"
    assert (row.why or "").startswith(why)


def test_a_sweep_of_just_26_hours_ago_still_counts() -> None:
    assert control(made(sweeps=[a_sweep(FRESH)]), "IAM.4").state == "met"


def test_a_rule_that_allows_more_than_the_control_does_not_judge_it() -> None:
    def with_days(days: int) -> ControlRow:
        rules: dict[str, dict[str, object]] = {"iam-access-key-too-old": {"max_age_days": days}}
        return control(made(settings=settings_in_force(rules=rules)), "IAM.3")

    assert with_days(90).state == "met"
    assert with_days(91).state == "not judged"
    assert "max_age_days is 91, not 90" in (with_days(91).why or "")


def test_a_rule_that_only_events_raise_never_makes_a_control_met() -> None:
    row = control(made(), "AC-6(9)")
    assert row.state == "not judged"
    assert "trail-stopped" in (row.why or "")


def test_enforced_counts_rules_under_the_ceiling() -> None:
    accepted = Accepted(rules={KEY: {"mode": "enforce"}})
    held_back = in_force(accepted, every())
    assert control(made(settings=held_back), "IA-5").enforced == 0
    ceiling = accepted.settings.model_copy(update={"ceiling": Mode.ENFORCE})
    let = in_force(accepted.model_copy(update={"settings": ceiling}), every())
    assert control(made(settings=let), "IA-5").enforced == 1


# Gaps


def test_a_deployment_that_never_swept_says_so_and_claims_nothing() -> None:
    of = made(inventory=None, sweeps=[], accounts=[])
    assert of.inventory_at is None
    assert of.ages == ()
    assert of.sets == ()
    assert {it.state for it in of.controls} == {"not judged"}
    assert of.gaps[0].startswith("No sweep was complete yet")
    assert all(gap.endswith(".") for gap in of.gaps)


def test_an_old_inventory_is_a_gap() -> None:
    of = made(sweeps=[a_sweep(timedelta(hours=50))])
    assert any("The inventory is 50 hours old" in gap for gap in of.gaps)


def test_an_inventory_that_is_gone_is_a_gap() -> None:
    of = made(inventory=None)
    assert of.inventory_at is None
    assert any("could not be found" in gap for gap in of.gaps)


def test_rules_that_are_off_and_settings_that_are_newer_are_gaps() -> None:
    accepted = Accepted(rules={KEY: {"mode": "off"}}, compiled_at=NOW)
    gaps = made(settings=in_force(accepted, every())).gaps
    assert f"Rules that are off find nothing (1): {KEY}." in gaps
    assert any(gap.startswith("Settings were changed after") for gap in gaps)


def test_what_could_not_be_read_is_told_as_it_was_said() -> None:
    assert "The names could not be read." in made(gaps=("The names could not be read.",)).gaps


def test_an_empty_estate_has_a_report() -> None:
    of = made()
    assert of.findings == ()
    assert of.users == 0
    assert of.inventory_at == NOW - timedelta(hours=1)
    assert of.settings_version == 0
    assert of.ceiling == "report"


def test_a_pause_is_told_while_it_lasts() -> None:
    def paused(until: datetime) -> Report:
        return made(settings=in_force(Accepted(paused_until=until), every()))

    assert paused(NOW + DAY).paused_until == NOW + DAY
    assert paused(NOW - DAY).paused_until is None


# Files


def test_json_has_the_report_again() -> None:
    of = made([a_record(subject="access key \u202eAKIA")], lines())
    body = report_files.as_json(of)
    assert body.isascii()
    assert Report.model_validate(json.loads(body)) == of


def test_csv_has_each_list_again() -> None:
    exemptions = {"ours": an_exemption(KEY)}
    of = made([a_record()], lines(), settings=settings_in_force(exemptions=exemptions))
    for name, body in report_files.tables(of).items():
        assert body.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))
        known = getattr(of, {"permission-sets": "sets"}.get(name, name))
        assert len(rows) == len(known) > 0, name
        if known:
            assert set(rows[0]) == set(type(known[0]).model_fields), name


HOSTILE = st.sampled_from(
    [
        '=HYPERLINK("https://evil.example")',
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u200e=1",
        "\uff1d1",
        "x;=1",
        "x; +1",
        'x;"=1',
    ]
) | st.text(max_size=50)


@given(HOSTILE)
def test_no_cell_is_a_formula_to_a_spreadsheet(text: str) -> None:
    of = made([a_record(subject=text, reason=text, owner=text, outcome=text)])
    body = report_files.tables(of)["findings"].decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(body, newline=""))
    for column in ("subject", "reason", "owner", "outcome"):
        cell = row[column]
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert not cell.strip().startswith(("=", "+", "-", "@"))
        assert not any(it in cell for it in "\r\n\t\u202e\u200e\u2028")
        for part in cell.split(";"):  # where a comma is no separator, a semicolon is
            assert not part.strip().lstrip("\"' ").startswith(("=", "+", "-", "@")) or (
                part.startswith("'")
            )


def test_a_number_below_zero_stays_a_number() -> None:
    exemptions = {"ended": an_exemption(KEY, until=(NOW - 3 * DAY).isoformat())}
    of = made(settings=settings_in_force(exemptions=exemptions))
    body = report_files.tables(of)["exemptions"].decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(body, newline=""))
    assert row["days_left"] == "-3"
