"""What is known -> a report. Pure.

What isn't known is no zero: it stands among the report's gaps, in full sentences.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Literal

from keyward.controls import Control, Controls
from keyward.exemptions import Exemption
from keyward.findings import FindingRecord, Severity, State
from keyward.planner import HISTORY_LENGTH
from keyward.planning import last_complete
from keyward.report import (
    AccountRow,
    AgeBand,
    ControlRow,
    Day,
    ExemptionRow,
    FindingRow,
    Report,
    SetRow,
    SetState,
)
from keyward.rule import InForce
from keyward.settings import Mode
from keyward.sweep import IDENTITY_CENTER, Sweep, SweepState
from keyward.text import many

OPEN = frozenset({State.OPEN, State.FAILED, State.ACTING, State.RELEASING})
"""What is in these states is wrong, and nobody has put it right or let it stand yet."""

LET_STAND = frozenset({State.EXEMPT, State.RELEASED})
"""What is in these states is as it was; somebody answers for it."""

FRESH = timedelta(hours=26)
"""A complete sweep that ended longer ago says too little of today: there are several a day."""

BANDS = (
    ("up to 30 days", 30),
    ("31 to 90 days", 90),
    ("91 to 180 days", 180),
    ("181 days to a year", 365),
    ("1 to 2 years", 730),
)
"""Label and highest age in whole days; what is older is over two years."""

OLDEST = "over 2 years"
UNKNOWN = "age not known"

DIFFERS = frozenset(
    {
        "idc-permission-set-drift",
        "idc-boundary-missing",
        "idc-session-too-long",
        "idc-permission-set-admin-equivalent",
    }
)
"""Rules by whose findings a permission set of the catalogue isn't what is written there."""

DRIFT = "idc-permission-set-drift"

NAMED = 5
"""So many of a list are named in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSeen:
    """An account as sweeps and events show it. `wrong` says what keeps Keyward from seeing it."""

    id: str
    name: str | None = None
    swept_at: datetime | None = None
    heard_at: datetime | None = None
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that a report is made of, but for the findings and the inventory.

    `sweeps` are the oldest first. `accounts` has Identity Center, too. `gaps` are sentences about
    what could not be read.
    """

    id: str
    by: str
    settings: InForce
    sweeps: Sequence[Sweep]
    accounts: Sequence[AccountSeen]
    controls: Controls
    gaps: tuple[str, ...] = ()


def report(
    records: Iterable[FindingRecord],
    inventory: Iterable[Mapping[str, object]] | None,
    *,
    known: Known,
    now: datetime,
) -> Report:
    """The report of these findings and of the last complete sweep's inventory; None: there is none.

    Both are gone through once. A finding that comes twice counts as it came first.
    """
    accepted = known.settings.accepted
    period = accepted.settings.reports.period_days
    findings = _Findings(first=now.astimezone(UTC).date() - timedelta(days=period - 1), now=now)
    for record in records:
        findings.add(record)
    complete = last_complete(known.sweeps)
    held = _Held(now=now)
    for line in inventory or ():
        held.add(line)
    seen = inventory is not None and complete is not None
    return Report(
        id=known.id,
        by=known.by,
        made_at=now,
        period_days=period,
        settings_version=accepted.version,
        ceiling=accepted.ceiling(now).value,
        paused_until=_later(accepted.paused_until, now),
        inventory_at=complete.ended_at if seen and complete is not None else None,
        sweep=complete.id if seen and complete is not None else None,
        open_by_severity={it: findings.open_by_severity[it] for it in reversed(Severity)},
        contained=findings.contained,
        users=held.users,
        keys=held.keys,
        passwords=held.passwords,
        assignments_to_people=held.to_people,
        assignments_to_groups=held.to_groups,
        median_contain_seconds=median(findings.took) if findings.took else None,
        days=tuple(findings.days()),
        ages=tuple(held.bands()) if seen else (),
        sets=tuple(_sets(held, findings, known.settings, now)) if seen else (),
        exemptions=tuple(_exemptions(known.settings.exemptions, now)),
        accounts=tuple(_accounts(known.accounts, findings.open_in, now)),
        findings=tuple(findings.rows()),
        controls=tuple(_controls(findings, known, now)),
        gaps=tuple(_gaps(findings, known, now, seen=seen)),
    )


def _later(at: datetime | None, now: datetime) -> datetime | None:
    return at if at is not None and now < at else None


# Findings


@dataclass(slots=True, kw_only=True)
class _Findings:
    """Findings added up one by one, so that no more of each is kept than its row."""

    first: date
    now: datetime
    rows_by_key: dict[str, FindingRow] = field(default_factory=dict)
    open_by_severity: Counter[Severity] = field(default_factory=Counter)
    open_in: Counter[str] = field(default_factory=Counter)
    together: Counter[tuple[str, frozenset[str]]] = field(default_factory=Counter)
    differing: set[str] = field(default_factory=set)
    opened: Counter[date] = field(default_factory=Counter)
    closed: Counter[date] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    contained: int = 0
    cut: int = 0
    untimed: int = 0

    def add(self, record: FindingRecord) -> None:
        """Counts the finding, once."""
        if record.key in self.rows_by_key:
            return
        seconds = _contained_seconds(record)
        self.rows_by_key[record.key] = _row(record, seconds)
        rules = frozenset({record.rule, *record.also})
        if record.state in OPEN:
            self.open_by_severity[record.severity] += 1
            self.open_in[record.account] += 1
            self.together["open", rules] += 1
        elif record.state is State.ACTED:
            self.contained += 1
            self.together["contained", rules] += 1
        elif record.state in LET_STAND:
            self.together["exempt", rules] += 1
        if rules & DIFFERS and record.state not in {State.ACTED, State.RESOLVED}:
            self.differing |= {record.unique_id, record.subject}
        self._add_time(record, seconds)
        self._add_history(record)

    def _add_time(self, record: FindingRecord, seconds: float | None) -> None:
        acted = [it.at for it in record.history if it.state is State.ACTED]
        if not acted or acted[-1].astimezone(UTC).date() < self.first:
            return
        if seconds is None:
            self.untimed += 1
        else:
            self.took.append(seconds)

    def _add_history(self, record: FindingRecord) -> None:
        is_cut = len(record.history) >= HISTORY_LENGTH and record.history[0].at > record.first_seen
        self.cut += is_cut
        is_open = is_cut
        if is_cut:
            self.opened[record.first_seen.astimezone(UTC).date()] += 1
        for moment in record.history:
            # A release that is over opened nothing by being under way.
            if moment.state is not State.RELEASING or moment is record.history[-1]:
                is_open = self._turn(is_open, moment.state, moment.at)
        self._turn(is_open, record.state, record.last_seen)

    def _turn(self, was_open: bool, state: State, at: datetime) -> bool:  # noqa: FBT001 - before and after
        is_open = state in OPEN
        if is_open and not was_open:
            self.opened[at.astimezone(UTC).date()] += 1
        elif was_open and not is_open:
            self.closed[at.astimezone(UTC).date()] += 1
        return is_open

    def days(self) -> Iterator[Day]:
        """Each day of the period, the oldest first; the last is today, as far as it is over."""
        before = sum(number for day, number in self.opened.items() if day < self.first)
        before -= sum(number for day, number in self.closed.items() if day < self.first)
        day, today = self.first, self.now.astimezone(UTC).date()
        is_open = before
        while day <= today:
            is_open += self.opened[day] - self.closed[day]
            yield Day(
                day=day.isoformat(),
                opened=self.opened[day],
                closed=self.closed[day],
                open=is_open,
            )
            day += timedelta(days=1)

    def rows(self) -> list[FindingRow]:
        """All of them: those that are open first, then the gravest, then the newest."""
        return sorted(
            self.rows_by_key.values(),
            key=lambda it: (
                it.state not in OPEN,
                -it.severity.rank,
                -it.first_seen.timestamp(),
                it.key,
            ),
        )

    def number(self, what: Literal["open", "contained", "exempt"], rules: Iterable[str]) -> int:
        """How many such findings these rules have; one that two of them have counts once."""
        wanted = frozenset(rules)
        return sum(
            number
            for (kind, named), number in self.together.items()
            if kind == what and named & wanted
        )


def _contained_seconds(record: FindingRecord) -> float | None:
    """From the event to the first act after it that was verified; None where nobody knows.

    What a sweep found came about nobody knows when.
    """
    if record.evidence.by_itself:
        return None
    begun = record.evidence.event_time
    acts = (it.at for it in record.history if it.state is State.ACTED and it.at >= begun)
    first = next(acts, None)
    return None if first is None else (first - begun).total_seconds()


def _row(record: FindingRecord, seconds: float | None) -> FindingRow:
    return FindingRow(
        key=record.key,
        severity=record.severity,
        state=record.state,
        rule=record.rule,
        account=record.account,
        subject=record.subject,
        reason=record.reason,
        actor=record.evidence.actor,
        first_seen=record.first_seen,
        last_seen=record.last_seen,
        contained_seconds=seconds,
        outcome=record.outcome or record.held,
        owner=record.owner,
    )


# What the inventory has


@dataclass(slots=True, kw_only=True)
class _Set:
    """A permission set of the inventory, and who holds it."""

    arns: set[str] = field(default_factory=set)
    listed: bool = False
    provisioned: int = 0
    accounts: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Held:
    """Lines of the inventory added up."""

    now: datetime
    users: int = 0
    keys: int = 0
    passwords: int = 0
    to_people: int = 0
    to_groups: int = 0
    user_ages: Counter[str] = field(default_factory=Counter)
    key_ages: Counter[str] = field(default_factory=Counter)
    sets: dict[str, _Set] = field(default_factory=dict)

    def add(self, line: Mapping[str, object]) -> None:
        """Counts what the line tells of; of kinds that say nothing here nothing."""
        match line.get("kind"):
            case "user":
                self.users += 1
                self.user_ages[self._band(line.get("created"))] += 1
            case "access-key" if line.get("active") is True:
                self.keys += 1
                self.key_ages[self._band(line.get("changed"))] += 1
            case "password":
                self.passwords += 1
            case "permission-set":
                it = self.sets.setdefault(str(line.get("name")), _Set())
                it.listed = True
                it.arns.add(str(line.get("arn")))
                provisioned = line.get("accounts")
                it.provisioned = provisioned if isinstance(provisioned, int) else 0
            case "assignment":
                self._add_assignment(line)
            case _:
                pass

    def _add_assignment(self, line: Mapping[str, object]) -> None:
        it = self.sets.setdefault(str(line.get("permission_set")), _Set())
        it.arns.add(str(line.get("permission_set_arn")))
        it.accounts.add(str(line.get("account")))
        if line.get("principal_type") == "USER":
            self.to_people += 1
            it.people.add(str(line.get("principal_id")))
        else:
            self.to_groups += 1
            it.groups.add(str(line.get("principal_id")))

    def _band(self, at: object) -> str:
        try:
            age = (self.now - datetime.fromisoformat(str(at))).days
        except (ValueError, TypeError):
            return UNKNOWN
        return next((label for label, days in BANDS if age <= days), OLDEST)

    def bands(self) -> Iterator[AgeBand]:
        """Users and active keys by age; those of no known age only where there are any."""
        for label in (*(label for label, _ in BANDS), OLDEST, UNKNOWN):
            band = AgeBand(label=label, users=self.user_ages[label], keys=self.key_ages[label])
            if label != UNKNOWN or band.users or band.keys:
                yield band


def _sets(held: _Held, findings: _Findings, settings: InForce, now: datetime) -> Iterator[SetRow]:
    """Every permission set that the catalogue or the inventory names."""
    compared = settings.mode(DRIFT, now) is not Mode.OFF
    for name in sorted({*settings.catalogue, *held.sets}):
        it = held.sets.get(name, _Set())
        ids = {*it.arns, f"permission-set/{name}", f"permission set {name}"}
        state: SetState
        if name not in settings.catalogue:
            state = "not in the catalogue"
        elif not it.listed:
            state = "missing"
        elif ids & findings.differing:
            state = "differs"
        else:
            state = "as in the catalogue" if compared else "not compared"
        yield SetRow(
            name=name,
            state=state,
            accounts=max(it.provisioned, len(it.accounts)),
            people=len(it.people),
            groups=len(it.groups),
        )


# Settings, accounts


def _exemptions(exemptions: Mapping[str, Exemption], now: datetime) -> Iterator[ExemptionRow]:
    """All of them, those that end first first; a begun day that is left counts as none."""
    for name, it in sorted(exemptions.items(), key=lambda pair: (pair[1].until, pair[0])):
        yield ExemptionRow(
            name=name,
            account=it.account,
            whom=_whom(it),
            rules=it.rules,
            owner=it.owner,
            reason=it.reason,
            ticket=it.ticket,
            until=it.until,
            days_left=(it.until - now).days,
        )


def _whom(exemption: Exemption) -> str:
    if exemption.user_id is not None:
        return f"IAM user {exemption.user_id}"
    if exemption.user_pattern is not None:
        return f"IAM users called {exemption.user_pattern}, signed by {exemption.signed_by}"
    return str(exemption.unique_id)


def _accounts(
    accounts: Iterable[AccountSeen], open_in: Mapping[str, int], now: datetime
) -> Iterator[AccountRow]:
    """Those that Keyward doesn't see first, by id."""
    rows = [_account(it, open_in, now) for it in accounts if it.id != IDENTITY_CENTER]
    yield from sorted(rows, key=lambda row: (row.covered, row.id))


def _account(it: AccountSeen, open_in: Mapping[str, int], now: datetime) -> AccountRow:
    why = list(it.wrong)
    if it.swept_at is None:
        why.append("no sweep was there yet")
    elif now - it.swept_at > FRESH:
        why.append(f"the last sweep was there at {it.swept_at:%Y-%m-%d %H:%M} UTC")
    return AccountRow(
        id=it.id,
        name=it.name,
        covered=not why,
        swept_at=it.swept_at,
        heard_at=it.heard_at,
        open=open_in.get(it.id, 0),
        why="; ".join(why) or None,
    )


# Controls


def _controls(findings: _Findings, known: Known, now: datetime) -> Iterator[ControlRow]:
    doubt = _doubt(known, now)
    for control in known.controls.control:
        is_open = findings.number("open", control.rules)
        why = _not_judged(control, known, now) or doubt
        state: Literal["met", "open findings", "not judged"]
        state = "open findings" if is_open else "met" if why is None else "not judged"
        modes = [known.settings.mode(rule, now) for rule in control.rules]
        for framework, id_ in control.ids:
            yield ControlRow(
                framework=framework,
                control=id_,
                title=control.title,
                rules=control.rules,
                how=control.how,
                open=is_open,
                contained=findings.number("contained", control.rules),
                exempt=findings.number("exempt", control.rules),
                enforced=sum(mode is Mode.ENFORCE for mode in modes),
                state=state,
                why=why if state == "not judged" else None,
                source=control.source,
            )


def _doubt(known: Known, now: datetime) -> str | None:
    """Why the last complete sweep is no proof of anything; None where it is."""
    complete = last_complete(known.sweeps)
    if complete is None or complete.ended_at is None:
        return "No sweep was complete yet."
    if now - complete.ended_at > FRESH:
        return f"The last complete sweep ended at {complete.ended_at:%Y-%m-%d %H:%M} UTC."
    if _settings_are_newer(known.settings, complete):
        return "Settings were changed after the last complete sweep began."
    unseen = [
        it.id
        for it in known.accounts
        if it.wrong or it.swept_at is None or now - it.swept_at > FRESH
    ]
    if complete.failed or complete.silent or unseen:
        number = max(complete.failed + complete.silent, len(unseen))
        return f"{many(number, 'account')} could not be read in full."
    return None


def _settings_are_newer(settings: InForce, sweep: Sweep) -> bool:
    """Whether the sweep may have looked with other rules than those that are on now."""
    changed = settings.accepted.compiled_at
    return changed is not None and changed > sweep.started_at


def _not_judged(control: Control, known: Known, now: datetime) -> str | None:
    """Why the rules as they are set don't judge all of the control; None where they do."""
    settings = known.settings
    off = [rule for rule in control.rules if settings.mode(rule, now) is Mode.OFF]
    if off:
        return f"Off: {', '.join(off)}."
    for rule, name, most in control.at_most:
        value = getattr(settings.rules[rule], name)
        if value > most:
            return f"{rule} allows more than the control: {name} is {value}, not {most}."
    heard = [rule for rule in control.rules if rule not in known.controls.swept]
    if heard:
        return f"Only events tell, or no sweep sees all: {', '.join(heard)}."
    return None


# Gaps


def _gaps(findings: _Findings, known: Known, now: datetime, *, seen: bool) -> Iterator[str]:
    yield from known.gaps
    yield from _gaps_of_sweeps(known, now, seen=seen)
    yield from _gaps_of_accounts(known.accounts)
    yield from _gaps_of_settings(known.settings, known.sweeps, now)
    if findings.cut:
        yield (
            f"{many(findings.cut, 'finding')} changed more often than the ledger remembers "
            f"({HISTORY_LENGTH} steps): of the time before, the chart counts as open from the day "
            "they were first seen."
        )
    if findings.untimed:
        yield (
            f"The time to contain leaves out {many(findings.untimed, 'finding')} that a sweep "
            "found, or whose event is newer than the act: nobody knows when they came about."
        )


def _gaps_of_sweeps(known: Known, now: datetime, *, seen: bool) -> Iterator[str]:
    complete = last_complete(known.sweeps)
    if complete is None or complete.ended_at is None:
        yield (
            "No sweep was complete yet: users, keys, passwords, assignments and permission sets "
            "are not known, and no control can be called met. Run keyward sweep --wait, then make "
            "the report again."
        )
        return
    if not seen:
        yield (
            f"The inventory of sweep {complete.id} could not be found: users, keys, passwords, "
            "assignments and permission sets are not known."
        )
    if now - complete.ended_at > FRESH:
        hours = round((now - complete.ended_at).total_seconds() / 3600)
        yield (
            f"The inventory is {hours} hours old: the last complete sweep ended at "
            f"{complete.ended_at:%Y-%m-%d %H:%M} UTC. What came since may be missing."
        )
    newest = [it for it in known.sweeps if it.state is SweepState.DONE][-1]
    if newest.id != complete.id:
        yield f"The newest sweep, {newest.id}, was not complete."


def _gaps_of_accounts(accounts: Iterable[AccountSeen]) -> Iterator[str]:
    accounts = list(accounts)
    center = next((it for it in accounts if it.id == IDENTITY_CENTER), None)
    if center is not None and center.wrong:
        yield f"Identity Center could not be read in full: {'; '.join(center.wrong)}."
    wrong = [it.id for it in accounts if it.wrong and it.id != IDENTITY_CENTER]
    if wrong:
        yield (
            f"Accounts that could not be read in full, or don't forward all events "
            f"({len(wrong)}): {_named(wrong)}. What is there may be missing."
        )
    never = [
        it.id
        for it in accounts
        if it.swept_at is None and not it.wrong and it.id != IDENTITY_CENTER
    ]
    if never:
        yield f"No sweep was in {many(len(never), 'account')} yet: {_named(never)}."


def _gaps_of_settings(settings: InForce, sweeps: Sequence[Sweep], now: datetime) -> Iterator[str]:
    complete = last_complete(sweeps)
    if complete is not None and _settings_are_newer(settings, complete):
        yield (
            "Settings were changed after the last complete sweep began: what a rule that is on or "
            "stricter since then objects to may be missing, and no control is called met."
        )
    off = sorted(rule for rule in settings.rules if settings.mode(rule, now) is Mode.OFF)
    if off:
        yield f"Rules that are off find nothing ({len(off)}): {_named(off)}."
    if settings.unreadable:
        yield (
            f"Exemptions that this version can't read are not listed "
            f"({len(settings.unreadable)}): {_named(sorted(settings.unreadable))}."
        )
    if not settings.catalogue:
        yield "There is no catalogue of permission sets: none can be compared with it."
    elif settings.mode(DRIFT, now) is Mode.OFF:
        yield f"{DRIFT} is off: nobody compares permission sets with the catalogue."


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
