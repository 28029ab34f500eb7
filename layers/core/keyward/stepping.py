"""One step of a rollout: how far it is, what it reads, when it waits, and how it ends.

What a step does is in charting.py while the rollout is planned, and in granting.py after that.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from keyward import planner, resolving
from keyward import rollout as rolling
from keyward.baselines import SELECTED
from keyward.errors import GatewayError, NotFoundError
from keyward.events import own_look
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.model import AccountAccess, Hint, PrincipalKind
from keyward.observability import count, logger
from keyward.planner import Plan
from keyward.rollout import Again, Look, Rollout, RolloutState, is_claimed, waits_for
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services
from keyward.text import many

RULE = "baseline-assignment-missing"
"""The rule for whose sake all of it is done."""

STEP = timedelta(seconds=40)
"""A step begins nothing more after so long: a Lambda has 60 seconds, and one call may take some."""

ATTEMPTS = 3
"""So often a write is tried anew when somebody else was faster."""

NAMED = 20
"""So many failures are named when all is told at the end; each has a finding of its own."""

CONTENTION = "Contention"

GOING = frozenset({RolloutState.PLANNING, RolloutState.RUNNING})
"""The states in which a message is on its way."""


class TakenError(Exception):
    """Somebody else ended the rollout, or goes on with it: nothing more is to be done here."""


def wake(rollout: Rollout, services: Services, now: datetime) -> None:
    """Sends a message where the last one was lost: the claim that waits for it has run out."""
    if rollout.state in GOING and not is_claimed(rollout, now):
        services.baseline_queue.roll(rollout.id, ticket=rollout.ticket, delay_seconds=0)


@dataclass(kw_only=True)
class Step:
    """One step of a rollout. `stored` is what the ledger has of it, `rollout` how far it is."""

    rollout: Rollout
    stored: Rollout
    rules: tuple[AnyRule, ...]
    services: Services
    now: datetime
    began: datetime
    full: str | None = field(default=None, init=False)
    """Why AWS takes on nothing more in this step."""
    room: int = field(default=0, init=False)
    """So many assignments may be asked for in this step."""
    outcomes: Counter[str] = field(default_factory=Counter, init=False)
    """How many findings ended how, by the name of its metric."""

    def __post_init__(self) -> None:
        accepted = self.services.accepted(self.now)
        self.settings: InForce = in_force(accepted, self.rules)
        self.center = self.services.identity_center(self.now)
        self.organization = self.services.organization
        self.ledger = self.services.ledger

    @property
    def at(self) -> datetime:
        """What time it is, by the clock of the message."""
        elapsed: timedelta = self.services.clock() - self.began
        return self.now + elapsed

    def has_time(self) -> bool:
        """Whether something more may be begun."""
        return self.at - self.now < STEP

    def put(self, **changes: object) -> None:
        """The rollout as it is by now, not saved yet."""
        self.rollout = self.rollout.model_copy(update=changes)

    def save(self) -> None:
        """Writes how far it is. Who stops the rollout meanwhile is heard."""
        for _ in range(ATTEMPTS):
            self.put(version=self.stored.version + 1)
            try:
                self.ledger.save_rollout(self.rollout, replacing=self.stored)
            except GatewayError as error:
                if error.code != CONTENTION:
                    raise
                there = self.ledger.rollout(self.rollout.id)
                if there is None or there.state.over or there.ticket != self.stored.ticket:
                    raise TakenError from error
                self.put(stopping=there.stopping)
                self.stored = there
            else:
                self.stored = self.rollout
                return
        message = f"rollout {self.rollout.id}: others were faster {ATTEMPTS} times"
        raise GatewayError(message, code=CONTENTION, retryable=True)

    def put_off(self, error: GatewayError) -> int:
        """How long to wait after an error; who has waited for long enough gives the rollout up."""
        waits_since = self.rollout.again[""].since if "" in self.rollout.again else self.at
        if not error.retryable or self.at - waits_since > rolling.PATIENCE:
            self.end(RolloutState.STOPPED, str(error))
            return 0
        logger.warning("rollout put off", rollout=self.rollout.id, reason=str(error))
        return self.pause(str(error))

    def pause(self, why: str | None) -> int:
        """For how long nothing can be done, longer each time; 0 and forgotten where all is well."""
        again = {key: it for key, it in self.rollout.again.items() if key}
        if why is None:
            self.put(again=again)
            return 0
        last = self.rollout.again.get("") or Again(why=why, since=self.at, not_before=self.at)
        self.put(again={**again, "": last.model_copy(update={"refusals": last.refusals + 1})})
        pauses = rolling.PAUSES_SECONDS
        return pauses[min(last.refusals, len(pauses) - 1)]

    def has_to_wait(self) -> bool:
        """Whether another rollout has to be over first, which `outcome` says.

        Two at once would plan or ask for the same. Where several wait, the oldest goes first.
        """
        for it in self.ledger.rollouts():
            if it.id == self.rollout.id or it.state is not RolloutState.RUNNING:
                continue
            is_waiting = self.rollout.state is RolloutState.RUNNING and it.started_at is None
            if is_waiting and it.id > self.rollout.id:
                continue
            wake(it, self.services, self.at)
            self.put(outcome=waits_for(it.id))
            return True
        self.put(outcome=None)
        return False

    def look_at(self, missing: Mapping[str, tuple[int, ...]]) -> None:
        """Has it read which of these there are by now."""
        looks = rolling.looks_for(missing, self.rollout.pairs)
        self.put(looks=looks, looked_at=self.at)

    def look(self) -> None:
        """Reads lists for as long as there is time; what they show is missing no more."""
        looks = list(self.rollout.looks or ())
        held: list[tuple[str, str, str]] = []
        try:
            while looks and self.has_time():
                found, after = self.read(looks[0])
                held += found
                if after is None:
                    del looks[0]
                else:
                    looks[0] = looks[0].model_copy(update={"after": after})
        finally:
            self.rollout = rolling.seen(self.rollout, held)
            self.put(looks=tuple(looks))

    def read(self, look: Look) -> tuple[list[tuple[str, str, str]], str | None]:
        """Account, permission set and group of each assignment on one page, and the next page."""
        try:
            if look.group_id is not None:
                held, after = self.center.some_assignments_of(
                    PrincipalKind.GROUP, look.group_id, after=look.after
                )
                return [(account, arn, look.group_id) for account, arn in held], after
            account, arn = look.account or "", look.permission_set_arn or ""
            holders = self.center.principals_of(account, arn)
        except NotFoundError:
            self.drop_what_is_gone(look.group_id, look.permission_set_arn)
            return [], None
        return [(account, arn, it.id) for it in holders if it.kind is PrincipalKind.GROUP], None

    def drop_what_is_gone(self, group: str | None, arn: str | None) -> bool:
        """Whether Identity Center has that group or set no more: nobody can have it then.

        That is told; and its name is looked up again, since it may stand for another by now.
        """
        kind, id_ = "", ""
        if group is not None and self.is_gone(group):
            kind, id_ = "group", group
        elif arn is not None and self.is_set_gone(arn):
            kind, id_ = "permission set", arn
        if not kind:
            return False
        gone = [
            (number, pair)
            for number, pair in enumerate(self.rollout.pairs)
            if id_ in {pair.group_id, pair.permission_set_arn}
        ]
        unknown = dict.fromkeys(self.rollout.unknown)
        for _, pair in gone:
            name = pair.group_name if kind == "group" else pair.permission_set_name
            if name is not None:
                self.ledger.forget_id("group" if kind == "group" else "permission-set", name)
            for baseline in pair.baselines:
                unknown[f"{kind} {name or id_} (baseline {baseline})"] = None
        for text in unknown.keys() - set(self.rollout.unknown):
            self.ledger.notice(resolving.unknown(text, now=self.at))
        self.rollout = rolling.without(self.rollout, (number for number, _ in gone), sent=True)
        self.put(unknown=tuple(unknown))
        return True

    def is_gone(self, group: str) -> bool:
        """Whether there is no such group any more. One call."""
        return self.center.principal_name(PrincipalKind.GROUP, group) is None

    def is_set_gone(self, arn: str) -> bool:
        """Whether there is no such permission set any more. One call."""
        try:
            self.center.name_of(arn)
        except NotFoundError:
            return True
        return False

    def planned(self, account: str, numbers: Iterable[int]) -> Plan | None:
        """What is to be done about an account that lacks these; None where no rule minds."""
        missing = tuple(self.rollout.pairs[number].access for number in numbers)
        mine = self.rollout.wanted.get(account, ())
        subject = AccountAccess(
            account=account,
            name=self.rollout.names.get(account) or None,
            state=SELECTED,
            parents=self.rollout.places.get(account),
            instance_arn=self.center.instance_arn(),
            baselines=tuple(dict.fromkeys(name for it in missing for name in it.baselines)),
            wanted=tuple(self.rollout.pairs[number].access for number in mine),
            missing=missing,
            since=self.rollout.created_at,
        )
        findings = judge(self.rules, [subject], hint=self.hint(), settings=self.settings)
        exempt, others = planner.without_exempt(findings, settings=self.settings, now=self.at)
        hub = self.services.environment.hub_account
        plans = planner.plan(others, settings=self.settings, hub_account=hub, now=self.at)
        return next(iter((*exempt, *plans)), None)

    def hint(self) -> Hint:
        """What the findings say that they come from."""
        return own_look(
            id_=self.rollout.id,
            why="BaselineRollout",
            time=self.rollout.created_at,
            account=self.services.environment.hub_account,
            region=self.services.environment.region,
        )

    @property
    def stage(self) -> str:
        """By what a finding is known to be this rollout's."""
        return f"in rollout {self.rollout.id}"

    def is_ours(self, record: FindingRecord | None) -> bool:
        """Whether this rollout is at the finding, and nobody else."""
        return (
            record is not None
            and record.state is State.ACTING
            and record.pending is not None
            and record.pending.stage == self.stage
        )

    def end(self, state: RolloutState, outcome: str | None) -> None:
        """Ends the rollout, and tells what came of it."""
        why = f"rollout {self.rollout.id} has ended: {outcome}"
        for key in self.rollout.begun.values():
            record = self.ledger.finding(key)
            if record is not None and self.is_ours(record):
                over = planner.interrupted(record, why, now=self.at)
                self.ledger.finish(over, replacing=record)
        notice = _told_at_the_end(self.rollout, state, outcome, self.at)
        if notice is not None:
            self.ledger.notice(notice)
        count("RolloutsEnded")
        logger.info(
            "rollout ended",
            rollout=self.rollout.id,
            state=state,
            assigned=self.rollout.assigned,
            outcome=outcome,
        )
        self.rollout = rolling.over(self.rollout, state, outcome, self.at)


def _told_at_the_end(
    rollout: Rollout, state: RolloutState, outcome: str | None, now: datetime
) -> Notice | None:
    """What people hear of the end; None where nothing came of it that isn't told otherwise."""
    failures = [text for texts in rollout.failed.values() for text in texts]
    named = "; ".join(
        f"{rollout.names.get(account) or account} ({account}): {'; '.join(texts)}"
        for account, texts in islice(rollout.failed.items(), NAMED)
    )
    more = f"; and in {len(rollout.failed) - NAMED} more" if len(rollout.failed) > NAMED else ""
    numbers = (
        f"{rollout.assigned} of {rollout.total} assignments were made, in "
        f"{many(rollout.done, 'account')}"
        f"{f'; {len(failures)} came to nothing: {named}{more}' if failures else ''}"
        f"{f'; {len(rollout.skipped)} accounts were left out' if rollout.skipped else ''}."
    )
    show = f"Look at it: keyward baseline show {rollout.id}."
    if state is RolloutState.STOPPED:
        return Notice(
            kind="baseline-stopped",
            id=rollout.id,
            title=(
                f"Baselines: rollout {rollout.id} stopped after "
                f"{many(rollout.assigned, 'assignment')}"
            ),
            text=(
                f"{outcome}. Rollout {rollout.id} ({rollout.scope}) goes no further: {numbers} "
                f"{show} Plan what is left: keyward baseline plan."
            ),
            severity=Severity.HIGH,
            at=now,
        )
    if not rollout.assigned:
        return None
    return Notice(
        kind="baseline-done",
        id=rollout.id,
        title=(
            f"Baselines: {many(rollout.assigned, 'assignment')} made in "
            f"{many(rollout.done, 'account')}"
        ),
        text=f"{rollout.reason}. Rollout {rollout.id} ({rollout.scope}) is done: {numbers} {show}",
        severity=Severity.MEDIUM if failures else Severity.LOW,
        at=now,
    )


def acts(planned: Plan | None) -> bool:
    """Whether something is to be done about an account."""
    return planned is not None and planned.action is not None


def why_not(planned: Plan | None) -> str:
    """Why nothing is done about an account."""
    if planned is None:
        return f"rule {RULE} doesn't object"
    if planned.exempt_by is not None:
        return f"exemption {planned.exempt_by} covers it"
    return planned.held or f"rule {RULE} is in mode {planned.mode.value}"
