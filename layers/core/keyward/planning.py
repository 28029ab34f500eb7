"""What enforcing a rule would do to whom today, from what the ledger has of open findings. Pure.

Each finding says what mode enforce would do about it as of when it was looked at last: the
planner's own word. Here it is added up, and given a digest by which somebody can confirm it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyward.actions import Enforcement
from keyward.findings import FindingRecord, State, Would
from keyward.sweep import Sweep, SweepState

CANDIDATES = (State.OPEN, State.FAILED)
"""The states of findings that a rule which begins to enforce would act on."""

NOT_LOOKED_AT = "not looked at since Keyward was upgraded: a full sweep tells"

EXISTED = "existed before the rule enforces"

OLD = timedelta(days=1)
"""A plan of a sweep that ended longer ago may miss much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What would happen about one finding: the act by name, or why there is none.

    `known` is false where nobody has judged it yet. `together` is the rule that it was found by,
    where that is another. `due`: it is not acted on before then, since its owner was warned.
    """

    rule: str
    finding: str
    episode: int
    account: str
    subject: str
    owner: str | None
    action: str | None
    held: str | None
    known: bool
    together: str | None
    due: datetime | None

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in a list of rows."""
        return self.rule, self.account, self.finding


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePlan:
    """What enforcing one rule would do. `exempt` counts findings that exemptions cover.

    `digest` is of the acts alone: the same acts on the same findings have the same.
    """

    rule: str
    rows: tuple[Row, ...]
    exempt: int
    digest: str

    @property
    def acts(self) -> int:
        """How many acts it would be."""
        return sum(row.action is not None for row in self.rows)

    @property
    def unknown(self) -> int:
        """Of how many findings nobody knows."""
        return sum(not row.known for row in self.rows)

    @property
    def accounts(self) -> int:
        """In how many accounts something would be done."""
        return len({row.account for row in self.rows if row.action is not None})


def plan_of(
    rule: str, records: Iterable[FindingRecord], *, existing: bool, exemptions: Iterable[str] = ()
) -> RulePlan:
    """The plan of one rule. `existing`: as if it enforced what was there before, too.

    Of `records` those count that are about the rule, and open, or exempt by one of `exemptions`,
    those in force.
    """
    named, in_force = _named(rule, records), set(exemptions)
    rows = sorted(
        (_row(rule, it, existing=existing) for it in named if it.state in CANDIDATES),
        key=lambda row: row.place,
    )
    acts = "\n".join(f"{row.finding} {row.episode} {row.action}" for row in rows if row.action)
    return RulePlan(
        rule=rule,
        rows=tuple(rows),
        exempt=sum(it.state is State.EXEMPT and it.exempt_by in in_force for it in named),
        digest=hashlib.sha256(f"{rule}\n{acts}".encode()).hexdigest()[:12],
    )


def _named(rule: str, records: Iterable[FindingRecord]) -> list[FindingRecord]:
    """The findings of the rule, and of other subjects those that name it, one of each.

    Where a later look at a finding didn't hear the rule that an event named, it objects no more.
    """
    records = sorted(records, key=lambda it: it.state not in CANDIDATES)
    own = [it for it in records if it.rule == rule]
    folded: dict[tuple[str, str, str], FindingRecord] = {}
    for it in records:
        if it.rule != rule and (rule in it.also_would or (rule in it.also and it.would is None)):
            folded.setdefault(_subject(it), it)
    known = {_subject(it) for it in own if it.state in CANDIDATES}
    return [*own, *(it for subject, it in folded.items() if subject not in known)]


def _subject(record: FindingRecord) -> tuple[str, str, str]:
    return record.account, record.subject_kind, record.unique_id


def _row(rule: str, record: FindingRecord, *, existing: bool) -> Row:
    would = _would(rule, record)
    is_left = would is not None and would.existed and not existing
    acts = would is not None and would.held is None and not is_left
    held = NOT_LOOKED_AT if would is None else would.held or (EXISTED if is_left else None)
    return Row(
        rule=rule,
        finding=record.key,
        episode=record.episode,
        account=record.account,
        subject=record.subject,
        owner=record.owner,
        action=would.action if would is not None and acts else None,
        held=held,
        known=would is not None,
        together=None if record.rule == rule else record.rule,
        due=record.grace_until if acts else None,
    )


def _would(rule: str, record: FindingRecord) -> Would | None:
    if record.rule != rule:
        return record.also_would.get(rule)
    if record.would is None and record.enforcement is Enforcement.REPORT:
        return Would(held="it is only ever reported")
    return record.would


def last_complete(sweeps: Sequence[Sweep]) -> Sweep | None:
    """The newest sweep that looked everywhere; `sweeps` are the oldest first."""
    done = [it for it in sweeps if it.state is SweepState.DONE and it.complete]
    return done[-1] if done else None


def doubts(sweeps: Sequence[Sweep], now: datetime) -> list[str]:
    """Why what the ledger knows may not be all that there is, a line each."""
    complete = last_complete(sweeps)
    if complete is None or complete.ended_at is None:
        return ["no sweep was complete yet: what it would find is not in here"]
    found = []
    if now - complete.ended_at > OLD:
        when = f"{complete.ended_at:%Y-%m-%d %H:%M} UTC"
        found.append(f"the last complete sweep ended at {when}: what came since may be missing")
    newest = [it for it in sweeps if it.state is SweepState.DONE][-1]
    if newest.failed:
        found.append(f"{newest.failed} accounts could not be read in sweep {newest.id}")
    if newest.silent:
        found.append(f"{newest.silent} accounts said nothing in sweep {newest.id}")
    return found
