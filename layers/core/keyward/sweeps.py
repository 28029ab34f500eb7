"""The function sweep: turns the organization into hints for the guards, message by message.

It may list accounts, put messages on the guards' queues, and write down how far it is; nothing
else. What a guard does with a hint is the same as with an event. A crash after any call, and a
message that comes twice or late, leave no account out: what is asked twice is only looked at twice.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyward import events, exemptions
from keyward.errors import EventError, GatewayError
from keyward.events import SweepPart, SweepStep
from keyward.facts.accounts import BASELINE_SWEEP
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.sqs import SqsGateway, follow_message
from keyward.observability import count, logger, took
from keyward.rule import in_force
from keyward.services import Services
from keyward.sweep import IDENTITY_CENTER, Sweep, SweepState, Swept, sweep_id
from keyward.text import many

STEP = timedelta(seconds=40)
"""A step begins nothing more after so long: a Lambda has 60 seconds, and one call may take some."""

INTERRUPTED = timedelta(minutes=15)
"""An act whose claim ran out so long ago was left by a crash: no message is on its way any more."""

FINDINGS_PAGE = 100
"""So many findings are read at once."""

SOONEST_SECONDS, LATEST_SECONDS = 60, 240
"""How often it is looked whether all parts are done: less often the longer it takes.

A queue could hold the message back for 900: but its age would raise the queue's alarm, and a
message that failed must not come again while the claim that waits for the next one holds.
"""

ATTEMPTS = 3
"""So often a sweep is begun anew when somebody else was faster."""

NAMED = 20
"""So many accounts that said nothing are named."""

CONTENTION = "Contention"

BAD_PAGE = "InvalidInputException"
"""The code by which Organizations refuses a page's token: it counts for a while only.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
"""

ACTIVE = "ACTIVE"

MINE = frozenset({SweepPart.START, SweepPart.LIST, SweepPart.CLOSE})


def hear(body: str, *, sent: datetime, services: Services, now: datetime) -> None:
    """Takes the step that a message asks for, which was sent then.

    Raises EventError for what is no step of this function's; GatewayError.
    """
    match events.message(events.loads(body)):
        case SweepStep(part=part) as of if part in MINE:
            step(of, sent=sent, services=services, now=now)
        case _:
            message = "not a step of a sweep: nothing is done"
            raise EventError(message)


def begin(
    *, full: bool, by: str, services: Services, now: datetime, sent: datetime | None = None
) -> Sweep:
    """Begins a sweep; the rest follows by messages. Returns it, or the one that is under way.

    Two are never under way at once. Who asks for a full one while another is under way has it
    after that. Where the word was `sent` before the newest sweep began, that one is meant by it.
    Raises GatewayError.
    """
    for _ in range(ATTEMPTS):
        newest = services.ledger.newest_sweep()
        if newest is not None and newest.is_under_way(now):
            _go_on_with(newest, full=full, by=by, services=services, now=now)
            return newest
        is_had = newest is not None and sent is not None and newest.started_at >= sent
        if newest is not None and is_had and (newest.full or not full):
            return newest
        made = Sweep(
            id=sweep_id(now),
            number=newest.number + 1 if newest else 1,
            full=full,
            by=by,
            started_at=now,
            claim_until=now + _claim(services),
        )
        try:
            if newest is not None and newest.state is not SweepState.DONE:
                _end(newest, services, now)
            services.ledger.begin_sweep(made)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            services.sweep_queue.send(_message(made))
            logger.info("sweep begun", sweep=made.id, full=full, by=by)
            return made
    message = f"sweep: others were faster {ATTEMPTS} times: try again"
    raise GatewayError(message, code=CONTENTION, retryable=True)


def wake(sweep: Sweep, *, seen: Iterable[Swept], services: Services) -> None:
    """Has a sweep that somebody follows end now, where every part said that it is done.

    By itself it looks within LATEST_SECONDS. Raises GatewayError.
    """
    if sweep.state is SweepState.WAITING and not _silent(sweep, seen, services):
        services.sweep_queue.send(_message(sweep))


def step(of: SweepStep, *, services: Services, now: datetime, sent: datetime | None = None) -> None:
    """Takes one step (START, LIST or CLOSE) of a sweep. Raises GatewayError.

    How far the sweep is decides what is done, not which of LIST and CLOSE the message says.
    """
    if of.part is SweepPart.START:
        begin(full=of.full, by=of.by, services=services, now=now, sent=sent)
        return
    claimed = _claimed(of, services, now)
    if claimed is None:
        logger.info("step of a sweep is one too many", sweep=of.id, ticket=of.ticket)
        return
    work = _Work(sweep=claimed, services=services, now=now, began=services.clock())
    try:
        _take(work)
    except GatewayError as error:
        if error.code != CONTENTION:
            raise
        logger.info("sweep is over, or another's", sweep=claimed.id)


@dataclass(kw_only=True)
class _Work:
    """One step of a sweep. `sweep` is as the ledger has it."""

    sweep: Sweep
    services: Services
    now: datetime
    began: datetime

    @property
    def at(self) -> datetime:
        """What time it is, by the clock of the message."""
        elapsed: timedelta = self.services.clock() - self.began
        return self.now + elapsed

    def has_time(self) -> bool:
        """Whether something more may be begun."""
        return self.at - self.now < STEP

    def save(self, accounts: Collection[str] = (), **changes: object) -> None:
        """Writes how far it is, and which accounts it asked to be looked at."""
        version, asked = self.sweep.version + 1, self.sweep.asked + len(accounts)
        after = self.sweep.model_copy(update={"version": version, "asked": asked, **changes})
        self.services.ledger.save_sweep(after, replacing=self.sweep, asked=accounts)
        self.sweep = after


def _take(work: _Work) -> None:
    """Goes on for as long as there is time, and sends the message that goes on from there."""
    wait = 0
    is_over = not work.sweep.is_under_way(work.at)
    if not is_over and work.sweep.state is SweepState.STARTING:
        _start(work)
    if not is_over and work.sweep.state is SweepState.LISTING:
        wait = _list(work)
    if not is_over and work.sweep.state is SweepState.WAITING:
        is_over, wait = _is_done(work.sweep, work.services), _look_again_seconds(work)
    if is_over:
        _end(work.sweep, work.services, work.at)
        return
    claim_until = work.at + timedelta(seconds=wait) + _claim(work.services)
    work.save(ticket=work.sweep.ticket + 1, claim_until=claim_until)
    work.services.sweep_queue.send(_message(work.sweep), delay_seconds=wait)


def _start(work: _Work) -> None:
    """All that is asked for once a sweep; some of it twice where a crash comes between."""
    sweep, services = work.sweep, work.services
    for_center = SweepStep(id=sweep.id, part=SweepPart.IDENTITY_CENTER, full=sweep.full)
    services.center_queue.send(events.sweep_message(for_center))
    services.baseline_queue.send(
        events.check_message(
            id_=f"sweep-{sweep.id}",
            account=services.environment.hub_account,
            region=services.environment.region,
            time=sweep.started_at,
            why=BASELINE_SWEEP,
            parameters={},
        )
    )
    settings = in_force(services.accepted(work.now), ())
    for notice in exemptions.ends(settings.exemptions, now=work.at):
        services.ledger.notice(notice)
    for state in (State.ACTING, State.RELEASING):
        _follow_interrupted(state, work)
    work.save(state=SweepState.LISTING)


def _follow_interrupted(state: State, work: _Work) -> None:
    """Has somebody look at each act or release that a crash left.

    The oldest comes first, and who is looked at is claimed anew: what a step has no time for is the
    next sweep's.
    """
    after = None
    while work.has_time():
        page, after = work.services.ledger.findings_in(state, limit=FINDINGS_PAGE, after=after)
        messages: dict[SqsGateway, list[str]] = {}
        for record in page:
            queue = _queue_of(record, work.services) if _is_interrupted(record, work.at) else None
            if queue is not None:
                ticket = record.pending.ticket if record.pending else 0
                messages.setdefault(queue, []).append(follow_message(record.key, ticket=ticket))
        for queue, bodies in messages.items():
            queue.send_all(bodies)
        if after is None:
            return


def _is_interrupted(record: FindingRecord, now: datetime) -> bool:
    return (record.claim_until or record.last_seen) < now - INTERRUPTED


def _queue_of(record: FindingRecord, services: Services) -> SqsGateway | None:
    """The queue of the guard that follows it; None where this version has no such rule."""
    try:
        return services.queue_of(record.rule)
    except KeyError:
        logger.warning("act of an unknown rule is let be", finding=record.key, rule=record.rule)
        return None


def _list(work: _Work) -> int:
    """Asks account by account to be looked at, as long as there is time; how long to wait then.

    What passes by itself, such as throttling, is waited for: pages that are through stay so.
    """
    while work.sweep.state is SweepState.LISTING and work.has_time():
        sweep = work.sweep
        try:
            accounts, after = work.services.organization.some_accounts(after=sweep.page)
        except GatewayError as error:
            is_page = error.code == BAD_PAGE and sweep.page is not None
            if not error.retryable and not is_page:
                raise
            logger.warning("list of accounts put off", sweep=sweep.id, reason=str(error))
            if is_page:
                work.save(page=None, asked=0)
            return SOONEST_SECONDS
        active = [account.id for account in accounts if account.state == ACTIVE]
        work.services.iam_sweep_queue.send_all(
            events.sweep_message(
                SweepStep(id=sweep.id, part=SweepPart.ACCOUNT, full=sweep.full, account=account)
            )
            for account in active
        )
        changes: dict[str, object] = {"page": after}
        if after is None:
            changes |= {"state": SweepState.WAITING, "listed_at": work.at}
        work.save(active, **changes)
    return 0


def _is_done(sweep: Sweep, services: Services) -> bool:
    return not _silent(sweep, services.ledger.seen_by(sweep.id), services)


def _silent(sweep: Sweep, seen: Iterable[Swept], services: Services) -> list[str]:
    """The parts that were asked and have not said that they are done."""
    asked = {IDENTITY_CENTER, *services.ledger.asked(sweep.id)}
    return sorted(asked - {it.account for it in seen})


def _look_again_seconds(work: _Work) -> int:
    """After how long to look again: a quarter of the time that was waited already."""
    waited = work.at - (work.sweep.listed_at or work.sweep.started_at)
    return min(max(round(waited.total_seconds() / 4), SOONEST_SECONDS), LATEST_SECONDS)


def _end(sweep: Sweep, services: Services, now: datetime) -> None:
    """Ends the sweep, well or not, and tells who said nothing."""
    seen = services.ledger.seen_by(sweep.id)
    silent = _silent(sweep, seen, services)
    ended = sweep.model_copy(
        update={
            "version": sweep.version + 1,
            "state": SweepState.DONE,
            "claim_until": None,
            "ended_at": now,
            "complete": sweep.listed_at is not None and not silent,
            "failed": sum(not it.ok for it in seen),
            "silent": len(silent),
        }
    )
    if not ended.complete:
        services.ledger.notice(_told_of_silence(ended, silent, now))
    services.ledger.save_sweep(ended, replacing=sweep)
    count("SweepCompleted", int(ended.complete))
    if ended.full:
        count("FullSweepCompleted", int(ended.complete))
    took("SweepSeconds", (now - sweep.started_at).total_seconds())
    logger.info(
        "sweep ended",
        sweep=ended.id,
        complete=ended.complete,
        asked=ended.asked,
        failed=ended.failed,
        silent=ended.silent,
    )


def _told_of_silence(ended: Sweep, silent: list[str], now: datetime) -> Notice:
    named = ", ".join("Identity Center" if it == IDENTITY_CENTER else it for it in silent[:NAMED])
    more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
    listed = "" if ended.listed_at else "The list of accounts was not read to its end. "
    return Notice(
        kind="sweep-silent",
        id=ended.id,
        title=f"Sweep {ended.id} is not complete: {many(len(silent), 'part')} said nothing",
        text=(
            f"{listed}Nobody knows what is wrong in: {named or 'the accounts that were not listed'}"
            f"{more}. Look whether messages are among the dead letters (keyward status), mend what "
            f"keeps them from being worked on, then keyward redrive, or keyward sweep."
        ),
        severity=Severity.HIGH,
        at=now,
    )


def _go_on_with(sweep: Sweep, *, full: bool, by: str, services: Services, now: datetime) -> None:
    """Wakes the sweep where its message was lost; and has a full one asked for again later."""
    if not sweep.is_claimed(now):
        services.sweep_queue.send(_message(sweep))
    if full and not sweep.full:
        again = SweepStep(id=sweep.id, part=SweepPart.START, full=True, by=by)
        services.sweep_queue.send(events.sweep_message(again), delay_seconds=LATEST_SECONDS)
    logger.info("a sweep is under way", sweep=sweep.id, full=full, by=by)


def _claimed(of: SweepStep, services: Services, now: datetime) -> Sweep | None:
    """The sweep, ours alone until the claim ends; None where this message is one too many."""
    for _ in range(ATTEMPTS):
        sweep = services.ledger.sweep(of.id)
        if sweep is None or sweep.state is SweepState.DONE:
            return None
        if sweep.ticket != of.ticket and sweep.is_claimed(now):
            return None
        claimed = sweep.model_copy(
            update={
                "version": sweep.version + 1,
                "ticket": sweep.ticket + 1,
                "claim_until": now + _claim(services),
            }
        )
        try:
            services.ledger.save_sweep(claimed, replacing=sweep)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            return claimed
    message = f"sweep {of.id}: others were faster {ATTEMPTS} times"
    raise GatewayError(message, code=CONTENTION, retryable=True)


def _claim(services: Services) -> timedelta:
    return timedelta(seconds=services.environment.claim_seconds)


def _message(sweep: Sweep) -> str:
    """The message that goes on with the sweep."""
    part = SweepPart.CLOSE if sweep.state is SweepState.WAITING else SweepPart.LIST
    return events.sweep_message(
        SweepStep(id=sweep.id, part=part, full=sweep.full, ticket=sweep.ticket, by=sweep.by)
    )
