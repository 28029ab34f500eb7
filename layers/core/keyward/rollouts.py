"""Brings baselines to many accounts, message by message: plans, waits for a word, assigns.

Each message takes one step: it claims the rollout, goes on for some seconds, saves how far it got,
and sends the next message. A step that crashes is taken again by the redelivery of its message:
what AWS was to be asked for is in the ledger before AWS is asked. What to do next is decided in
rollout.py.

There is no second way round the pipeline: before an account is given anything, its finding is
judged, planned and recorded like any other, and says what became of it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from keyward import planner, resolving
from keyward import rollout as rolling
from keyward.actions import AssignmentTarget, Before, Pending, RequestKind
from keyward.baselines import (
    SELECTED,
    Baselines,
    Names,
    Place,
    names_in,
    selecting,
    unknown_units,
    wanted,
)
from keyward.errors import GatewayError, NotFoundError, RequestError
from keyward.events import KEYWARD, RolloutStep
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.identity_center import CONFLICT
from keyward.gateways.organization import ROOT, AccountDescription
from keyward.ledger import Begun
from keyward.model import Access, AccountAccess, Actor, Hint, PrincipalKind
from keyward.observability import count, logger
from keyward.planner import Plan
from keyward.releasing import LONGEST_WAIT_SECONDS
from keyward.rollout import Again, Look, Rollout, RolloutState, digests, in_scope, remaining
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services
from keyward.settings import Accepted, Mode

__all__ = ["apply", "begin", "remaining", "step", "stop"]

RULE = "baseline-assignment-missing"
"""The rule for whose sake all of it is done."""

STEP = timedelta(seconds=40)
"""A step begins nothing more after so long: a Lambda has 60 seconds, and one call may take some."""

HOLD = timedelta(hours=12)
"""So long a rollout holds the findings of accounts that it is at, unless it ends before."""

FRESH = timedelta(minutes=10)
"""What was planned longer ago is looked at again before anything is done by it."""

LOST = timedelta(minutes=5)
"""After so long AWS is through with what nobody knows whether it took on."""

OTHERS_WAIT = timedelta(minutes=5)
"""So much later an account is looked at again that somebody else is at."""

KEPT = timedelta(hours=12)
"""So long a plan that waits for a word is not made anew by the next sweep."""

ATTEMPTS = 3
"""So often a write is tried anew when somebody else was faster."""

NAMED = 20
"""So many failures are named when all is told at the end; each has a finding of its own."""

CONTENTION = "Contention"

BUSY = frozenset({"Busy", CONTENTION})
"""Codes by which the ledger says that somebody else is at a finding."""

FULL = frozenset(
    {
        CONTENTION,
        "RateLimited",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes by which AWS, or Keyward's own line for its calls, takes on nothing more for now."""

GOING = frozenset({RolloutState.PLANNING, RolloutState.RUNNING})
"""The states in which a message is on its way."""


class _TakenError(Exception):
    """Somebody else ended the rollout, or goes on with it: nothing more is to be done here."""


# What operators and events ask for


def begin(  # noqa: PLR0913 - all of it by name
    scope: str, *, automatic: bool, by: str, reason: str, services: Services, now: datetime
) -> Rollout:
    """Begins to plan a rollout; the rest follows by messages. Raises GatewayError.

    Others of the same scope that have not begun to assign are stopped: it plans from what is so
    now. One that an event begins is not begun twice for the same event, nor where a plan of the
    same settings waits for somebody's word.
    """
    accepted = services.accepted(now)
    known = services.ledger.rollouts()
    for it in known:
        _wake(it, services, now)
    same = [it for it in known if it.scope == scope]
    for it in same:
        if automatic and _stands_for(it, reason, accepted, now):
            return it
    identity = f"{scope}\n{by}\n{reason}\n{now.isoformat()}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    made = Rollout(
        id=f"{now:%Y%m%dT%H%M%S}-{digest[:6]}",
        ticket=1,
        scope=scope,
        automatic=automatic,
        limit=accepted.settings.account_baselines.changes_without_apply,
        by=by,
        reason=reason,
        created_at=now,
        claim_until=now + timedelta(seconds=services.environment.claim_seconds),
    )
    services.ledger.save_rollout(made, replacing=None)
    for it in same:
        if it.state in {RolloutState.PLANNING, RolloutState.PLANNED}:
            _end_at_once(it.id, f"superseded by {made.id}", services, now)
    services.baseline_queue.roll(made.id, ticket=made.ticket, delay_seconds=0)
    logger.info("rollout begun", rollout=made.id, scope=scope, automatic=automatic)
    return made


def apply(id_: str, *, by: str, services: Services, now: datetime) -> Rollout:
    """Lets a plan that waits be carried out; one that runs already goes on.

    Raises RequestError where there is none, or it does not wait; GatewayError.
    """
    rollout = services.ledger.rollout(id_)
    if rollout is not None and rollout.state is RolloutState.RUNNING:
        _wake(rollout, services, now)
        return rollout
    if rollout is None or rollout.state is not RolloutState.PLANNED:
        state = "unknown" if rollout is None else rollout.state.value
        message = f"rollout {id_} is {state}: keyward baseline plan makes a new one"
        raise RequestError(message)
    claim = timedelta(seconds=services.environment.claim_seconds)
    running = rollout.model_copy(
        update={
            "state": RolloutState.RUNNING,
            "by": by,
            "version": rollout.version + 1,
            "ticket": rollout.ticket + 1,
            "claim_until": now + claim,
        }
    )
    services.ledger.save_rollout(running, replacing=rollout)
    services.baseline_queue.roll(id_, ticket=running.ticket, delay_seconds=0)
    logger.info("rollout applied", rollout=id_, total=running.total)
    return running


def stop(id_: str, *, by: str, services: Services, now: datetime) -> Rollout:
    """Lets nothing more be asked for; what AWS is at is followed to its end.

    Raises RequestError where there is no such rollout; GatewayError.
    """
    return _end_at_once(id_, f"stopped by {by}", services, now)


def step(of: RolloutStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Takes the next step of a rollout, unless another message does. Raises GatewayError."""
    claimed = _claimed(of, services, now)
    if claimed is None:
        return
    work = _Step(
        rollout=claimed,
        stored=claimed,
        rules=tuple(rule for rule in rules if rule.id == RULE),
        services=services,
        now=now,
        began=services.clock(),
    )
    try:
        work.go()
    except _TakenError:
        logger.info("rollout is over, or another's", rollout=claimed.id)


def _stands_for(rollout: Rollout, reason: str, accepted: Accepted, now: datetime) -> bool:
    """Whether an event need not begin a rollout beside this one of the same scope."""
    if rollout.automatic and rollout.reason == reason:
        return True
    return (
        rollout.automatic
        and rollout.state is RolloutState.PLANNED
        and rollout.settings_version == accepted.version
        and now - rollout.created_at < KEPT
    )


def _wake(rollout: Rollout, services: Services, now: datetime) -> None:
    """Sends a message where the last one was lost: the claim that waits for it has run out."""
    if rollout.state in GOING and not _is_claimed(rollout, now):
        services.baseline_queue.roll(rollout.id, ticket=rollout.ticket, delay_seconds=0)


def _end_at_once(id_: str, why: str, services: Services, now: datetime) -> Rollout:
    """Ends a rollout that has assigned nothing; one that has is told to stop."""
    for _ in range(ATTEMPTS):
        rollout = services.ledger.rollout(id_)
        if rollout is None:
            message = f"there is no rollout {id_}"
            raise RequestError(message)
        if rollout.state.over:
            return rollout
        if rollout.started_at is None:
            ended = _ended(rollout, RolloutState.STOPPED, why, now)
        else:
            ended = rollout.model_copy(update={"stopping": rollout.stopping or why})
        ended = ended.model_copy(update={"version": rollout.version + 1})
        try:
            services.ledger.save_rollout(ended, replacing=rollout)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            _wake(ended, services, now)
            logger.info("rollout stopped", rollout=id_, why=why)
            return ended
    message = f"rollout {id_}: others were faster {ATTEMPTS} times: try again"
    raise GatewayError(message, code=CONTENTION, retryable=True)


def _claimed(of: RolloutStep, services: Services, now: datetime) -> Rollout | None:
    """The rollout, ours alone until the claim ends; None where this message is one too many."""
    for _ in range(ATTEMPTS):
        rollout = services.ledger.rollout(of.id)
        if rollout is None or rollout.state not in GOING:
            return None
        if rollout.ticket != of.ticket and _is_claimed(rollout, now):
            return None
        claim = timedelta(seconds=services.environment.claim_seconds)
        claimed = rollout.model_copy(
            update={
                "version": rollout.version + 1,
                "ticket": rollout.ticket + 1,
                "claim_until": now + claim,
            }
        )
        try:
            services.ledger.claim_rollout(claimed, replacing=rollout)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            return claimed
    message = f"rollout {of.id}: others were faster {ATTEMPTS} times"
    raise GatewayError(message, code=CONTENTION, retryable=True)


def _is_claimed(rollout: Rollout, now: datetime) -> bool:
    return rollout.claim_until is not None and now < rollout.claim_until


def _ended(rollout: Rollout, state: RolloutState, outcome: str | None, now: datetime) -> Rollout:
    """The rollout once it is over: what it kept only to go on with is let go."""
    kept = rollout.skipped.keys() | rollout.failed.keys()
    return rollout.model_copy(
        update={
            **{name: {} for name in ("units", "places", "wanted", "missing", "sent", "begun")},
            **dict.fromkeys(("asked", "untagged", "unverified", "others", "looks"), ()),
            "again": {},
            "names": {account: rollout.names[account] for account in kept & rollout.names.keys()},
            "state": state,
            "outcome": outcome,
            "ended_at": now,
            "claim_until": None,
        }
    )


@dataclass(kw_only=True)
class _Step:
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
        return self.at - self.now < STEP

    def put(self, **changes: object) -> None:
        self.rollout = self.rollout.model_copy(update=changes)

    def go(self) -> None:
        """Goes on, saves how far that came, and sends the message that goes on from there."""
        is_planned = self.rollout.state is not RolloutState.PLANNING
        try:
            wait = self.run() if is_planned else self.plan()
        except GatewayError as error:
            wait = self.put_off(error)
        else:
            wait = max(wait, self.pause(self.full))
        for name, number in self.outcomes.items():
            count(name, number)
        is_going = self.rollout.state in GOING
        claim = timedelta(seconds=wait + self.services.environment.claim_seconds)
        self.put(ticket=self.rollout.ticket + 1, claim_until=self.at + claim if is_going else None)
        self.save()
        if is_going:
            self.services.baseline_queue.roll(
                self.rollout.id, ticket=self.rollout.ticket, delay_seconds=wait
            )

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
                    raise _TakenError from error
                self.put(stopping=there.stopping)
                self.stored = there
            else:
                self.stored = self.rollout
                return
        raise _TakenError

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

    # The plan: it only reads

    def plan(self) -> int:
        """Goes on planning; returns after how many seconds to go on."""
        baselines = in_scope(self.settings.baselines, self.rollout.scope)
        if not baselines:
            self.end(RolloutState.DONE, "no baseline is in force that it could be about")
            return 0
        if self.rollout.known is None or self.rollout.baselines != digests(baselines):
            if self.rollout.automatic and self.has_to_wait():
                return LONGEST_WAIT_SECONDS
            self.find_names(baselines)
        while self.rollout.units and self.has_time():
            self.walk(baselines)
        while self.rollout.untagged and self.has_time():
            self.read_tags(baselines)
        if self.rollout.units or self.rollout.untagged:
            return 1
        if self.rollout.looks is None:
            self.look_at(self.rollout.missing)
        self.look()
        if not self.rollout.looks and self.has_time():
            self.decide()
        return 1

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
            _wake(it, self.services, self.at)
            self.put(outcome=f"waits until rollout {it.id} is over")
            return True
        self.put(outcome=None)
        return False

    def find_names(self, baselines: Baselines) -> None:
        """Begins the plan: finds out what names stand for, and where to look for accounts."""
        asked = names_in(baselines.values())
        names = resolving.resolved(
            asked,
            center=self.center,
            organization=self.organization,
            ledger=self.ledger,
            anew=True,
        )
        _, unknown = wanted(baselines, baselines, names)
        unknown = (*unknown, *unknown_units(baselines, names))
        for text in unknown:
            self.ledger.notice(resolving.unknown(text, now=self.at))
        kind, _, id_ = self.rollout.scope.partition(" ")
        units: dict[str, tuple[str, ...]] = {}
        if kind == "unit":
            units[id_] = () if id_.startswith(ROOT) else self.organization.parents(id_)
        elif kind != "account":
            units[self.organization.root()] = ()
        blank = Rollout(**self.rollout.model_dump(include=_KEPT))
        self.rollout = blank.model_copy(
            update={
                "baselines": digests(baselines),
                "known": names,
                "settings_version": self.settings.accepted.version,
                "units": units,
                "unknown": unknown,
            }
        )
        if kind == "account":
            described = self.organization.account(id_)
            if described is None:
                self.put(skipped={id_: "it is no member of the organization"})
            else:
                self.find_accounts([described], self.services.parents(id_, self.at), baselines)

    def walk(self, baselines: Baselines) -> None:
        """Finds the accounts on one page of the first unit's, and after the last its units."""
        unit, above = next(iter(self.rollout.units.items()))
        parents = (unit, *above)
        accounts, page = self.organization.some_accounts_in(unit, after=self.rollout.page)
        self.find_accounts(accounts, parents, baselines)
        units = dict(self.rollout.units)
        if page is None:
            below = self.organization.units_in(unit)
            del units[unit]
            units |= dict.fromkeys(below.values(), parents)
        self.put(units=units, page=page)

    def find_accounts(
        self,
        accounts: Iterable[AccountDescription],
        parents: tuple[str, ...],
        baselines: Baselines,
    ) -> None:
        """Finds out what baselines want in these accounts, where that needs no tags."""
        names, places = dict(self.rollout.names), dict(self.rollout.places)
        skipped, untagged = dict(self.rollout.skipped), list(self.rollout.untagged)
        found: dict[str, tuple[Access, ...]] = {}
        for account in accounts:
            names[account.id] = account.name
            if account.state != SELECTED:
                skipped[account.id] = f"it is {account.state}"
                logger.info("account skipped", account=account.id, state=account.state)
                continue
            places[account.id] = parents
            place = self.place(account.id, parents)
            selected = rolling.decided(baselines, place, self.names)
            if selected is None:
                untagged.append(account.id)
            elif selected:
                found[account.id] = wanted(baselines, selected, self.names)[0]
        self.put(names=names, places=places, skipped=skipped, untagged=tuple(untagged))
        self.rollout = rolling.with_accounts(self.rollout, found)

    def read_tags(self, baselines: Baselines) -> None:
        """Finds out what baselines want in one account where its tags decide."""
        account, *rest = self.rollout.untagged
        place = replace(
            self.place(account, self.rollout.places[account]), tags=self.organization.tags(account)
        )
        self.put(untagged=tuple(rest))
        if selected := selecting(baselines, place, self.names):
            access, _ = wanted(baselines, selected, self.names)
            self.rollout = rolling.with_accounts(self.rollout, {account: access})

    @property
    def names(self) -> Names:
        return self.rollout.known or Names()

    def place(self, account: str, parents: tuple[str, ...]) -> Place:
        shared = self.settings.accepted.settings.account_baselines.shared_accounts
        hub = self.services.environment.hub_account
        return Place(account=account, parents=parents, by_id_only=account in {hub, *shared})

    def decide(self) -> None:
        """Ends the plan: whether it is carried out at once, waits for a word, or is needless.

        Accounts that are exempt or out of bounds don't count, but are recorded with the others.
        """
        planned = {
            account: self.planned(account, numbers[:1])
            for account, numbers in self.rollout.missing.items()
        }
        mode = self.settings.mode(RULE, self.at)
        left_out = {account: _why_not(it) for account, it in planned.items() if not _acts(it)}
        if mode is Mode.ENFORCE:
            self.put(skipped=self.rollout.skipped | left_out)
        total = rolling.lacking(self.rollout)
        lacking = self.rollout.missing.keys() - self.rollout.skipped.keys()
        self.put(
            planned_at=self.at,
            total=total,
            accounts=len(lacking),
            state=RolloutState.PLANNED,
        )
        logger.info("rollout planned", rollout=self.rollout.id, total=total, accounts=len(lacking))
        if not self.rollout.automatic:
            return
        if not self.rollout.missing or mode is Mode.OFF:
            self.end(RolloutState.DONE, None)
        elif mode is Mode.REPORT:
            self.put(state=RolloutState.RUNNING, reports=True)
        elif total <= self.rollout.limit:
            self.put(state=RolloutState.RUNNING)
        else:
            self.ledger.notice(_waits_for_a_word(self.rollout, self.at))

    # What accounts hold

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
        return self.center.principal_name(PrincipalKind.GROUP, group) is None

    def is_set_gone(self, arn: str) -> bool:
        try:
            self.center.name_of(arn)
        except NotFoundError:
            return True
        return False

    # Accounts and their findings

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
        return Hint(
            event_id=self.rollout.id,
            event_source=KEYWARD,
            event_name="BaselineRollout",
            time=self.rollout.created_at,
            account=self.services.environment.hub_account,
            region=self.services.environment.region,
            actor=Actor(type="Keyward", invoked_by="Keyward"),
            parameters={},
            response={},
            origin="sweep",
        )

    @property
    def stage(self) -> str:
        """By what a finding is known to be this rollout's."""
        return f"in rollout {self.rollout.id}"

    def is_ours(self, record: FindingRecord | None) -> bool:
        return (
            record is not None
            and record.state is State.ACTING
            and record.pending is not None
            and record.pending.stage == self.stage
        )

    def take(self, account: str) -> bool:
        """Records the account's finding, as one that this rollout acts on; False where it mustn't.

        Nothing is done where the account was moved since, or is exempt, released or out of bounds;
        one that somebody else is at, or was since it was looked at, is left for later.
        """
        if self.at - self.rollout.created_at > FRESH and (why := self.moved(account)):
            self.rollout = rolling.skipping(self.rollout, account, why)
            return False
        planned = self.planned(account, self.rollout.missing[account])
        if planned is None:
            self.rollout = rolling.skipping(self.rollout, account, _why_not(planned))
            return False
        before = self.ledger.finding(planned.finding.key)
        is_newer = before is not None and before.last_seen > (self.rollout.looked_at or self.at)
        if is_newer and not self.is_ours(before):
            self.leave(account)
            return False
        try:
            begun = self.begun(planned)
        except GatewayError as error:
            if error.code not in BUSY:
                raise
            self.leave(account)
            return False
        if self.is_ours(begun.record):
            self.put(begun=self.rollout.begun | {account: planned.finding.key})
            return True
        if begun.released:
            self.rollout = rolling.skipping(self.rollout, account, "an operator released it")
        elif begun.record is not None and begun.record.state in {State.OPEN, State.EXEMPT}:
            why = begun.record.held or _why_not(planned)
            self.rollout = rolling.skipping(self.rollout, account, why)
        else:
            self.leave(account)
        return False

    def begun(self, planned: Plan) -> Begun:
        """Writes the intent, and that this rollout is at it."""
        begun = self.ledger.begin(planned, before=Before(), now=self.at)
        record = begun.record
        if not begun.proceed or record is None:
            return begun
        held = record.model_copy(
            update={
                "pending": Pending(stage=self.stage, since=self.at),
                "claim_until": self.at + HOLD,
                "version": record.version + 1,
            }
        )
        self.ledger.finish(held, replacing=record)
        return replace(begun, record=held)

    def leave(self, account: str) -> None:
        """Leaves an account to somebody else: it is looked at once more when all else is done."""
        why = "something else is being done about it"
        if account in self.rollout.again:
            self.rollout = rolling.skipping(self.rollout, account, why)
            return
        later = Again(why=why, since=self.at, not_before=self.at + OTHERS_WAIT)
        self.put(
            others=(*self.rollout.others, account), again=self.rollout.again | {account: later}
        )

    def moved(self, account: str) -> str | None:
        """Why an account is not to be given what was planned; None where it is where it was."""
        try:
            parents = resolving.above(account, organization=self.organization, ledger=self.ledger)
        except GatewayError as error:
            if error.retryable:
                raise
            return str(error)
        if parents == self.rollout.places.get(account):
            return None
        return "it was moved since it was planned: what its new place wants is seen to by that"

    def finish(self) -> None:
        """Records what became of the accounts that have all they can get.

        That it went well is told once, at the end; what failed is told by its finding.
        """
        through = []
        for account in rolling.through(self.rollout):
            if not self.has_time():
                break
            try:
                self.record_end(account)
            except GatewayError as error:
                if error.code != CONTENTION:
                    raise
            else:
                through.append(account)
        self.rollout = rolling.finished(self.rollout, through)

    def record_end(self, account: str) -> None:
        record = self.ledger.finding(self.rollout.begun[account])
        if record is None or not self.is_ours(record):
            return
        failures = self.rollout.failed.get(account, ())
        state = State.FAILED if failures else State.ACTED
        over = planner.finished(record, state, outcome=_outcome(failures), now=self.at)
        if not failures:
            over = over.model_copy(update={"untold": None})
        self.ledger.finish(over, replacing=record)
        self.outcomes["ActionsFailed" if failures else "ActionsVerified"] += 1

    # Assigning

    def run(self) -> int:
        """Goes on assigning; returns after how many seconds to go on."""
        if self.rollout.started_at is None and not self.start():
            return LONGEST_WAIT_SECONDS
        if self.rollout.reports:
            return self.report()
        self.heed_settings()
        if not self.look_through():
            return 1
        self.poll()
        if accounts := rolling.to_verify(self.rollout, self.at):
            unseen = {account: self.rollout.sent[account] for account in accounts}
            looks = rolling.looks_for(unseen, self.rollout.pairs)
            self.put(unverified=accounts, looks=looks)
            if not self.look_through():
                return 1
        self.finish()
        if self.rollout.stopping is None:
            self.ask()
        return self.how_long()

    def start(self) -> bool:
        """Begins to assign, unless another rollout does: then what is so by now is read anew."""
        has_waited = self.rollout.outcome is not None
        if self.has_to_wait():
            return False
        self.rollout = rolling.started(self.rollout, self.at)
        if has_waited or self.at - (self.rollout.looked_at or self.at) > FRESH:
            self.look_at(self.rollout.missing)
        return True

    def report(self) -> int:
        """Records what is missing, where the rule only reports: the notifier folds what is told."""
        for account, numbers in self.rollout.missing.items():
            if not self.has_time():
                return 1
            planned = self.planned(account, numbers)
            if planned is not None:
                told = replace(planned, action=None, spend=None)
                with _unless_busy():
                    self.ledger.begin(told, before=None, now=self.at)
            missing = {it: left for it, left in self.rollout.missing.items() if it != account}
            self.put(missing=missing)
        self.end(RolloutState.DONE, "only reported: the rule is not in mode enforce")
        return 0

    def heed_settings(self) -> None:
        """Stops where the rule only reports by now; leaves out what no baseline wants any more."""
        now = digests(in_scope(self.settings.baselines, self.rollout.scope))
        same = {name for name, it in self.rollout.baselines.items() if now.get(name) == it}
        if same != self.rollout.baselines.keys():
            pairs = enumerate(self.rollout.pairs)
            dropped = [number for number, pair in pairs if not same.intersection(pair.baselines)]
            self.rollout = rolling.without(self.rollout, dropped, sent=False)
        if self.settings.mode(RULE, self.at) is not Mode.ENFORCE:
            self.put(stopping=self.rollout.stopping or f"rule {RULE} only reports now")
        if self.rollout.stopping is not None:
            self.rollout = rolling.halted(self.rollout)

    def look_through(self) -> bool:
        """Whether all lists are read that were to be; what they don't show is asked for again."""
        if self.rollout.looks:
            self.look()
        if self.rollout.looks:
            return False
        self.rollout = rolling.after_looks(self.rollout, self.at)
        return True

    def poll(self) -> None:
        """Finds out what is under way no more, with one call; and why, of what failed before."""
        if not self.rollout.asked and not any(rolling.to_ask(self.rollout, self.at)):
            self.room = 0
            return
        under_way = self.center.under_way()
        self.room = rolling.UNDER_WAY - len(under_way)
        ours = {it.request for it in self.rollout.asked}
        before = len(self.rollout.asked)
        for it in self.rollout.asked:
            if it.request in under_way:
                continue
            unknown = not it.request and under_way - ours
            if unknown and self.at - (it.at or self.at) < LOST:
                continue
            self.see_end_of(it.account, it.pair, it.request)
        after = len(self.rollout.asked)
        self.put(pace_seconds=rolling.paced(self.rollout, before=before, after=after))

    def see_end_of(self, account: str, number: int, request: str) -> None:
        """A request has ended. Of those that failed once before AWS is asked what became of it."""
        again = self.rollout.again.get(f"{account}/{number}")
        status = None
        if request and again is not None and again.tries:
            status = self.center.status(RequestKind.ASSIGNMENT_CREATION, request)
        self.rollout = rolling.ended(self.rollout, account, number)
        if status is None or status.state != "FAILED":
            return
        pair = self.rollout.pairs[number]
        if not self.drop_what_is_gone(pair.group_id, pair.permission_set_arn):
            why = status.reason or "AWS gives no reason"
            self.rollout = rolling.not_made(self.rollout, account, number, why, self.at)

    def ask(self) -> None:
        """Asks for as much as there is room for: first it is written down, then AWS is asked."""
        before = set(self.rollout.asked)
        for account, numbers in rolling.to_ask(self.rollout, self.at):
            if self.room <= 0 or not self.has_time():
                break
            if account not in self.rollout.begun:
                if not self.take(account):
                    continue
            elif not self.is_ours(self.ledger.finding(self.rollout.begun[account])):
                why = "somebody released it, or is at it, meanwhile"
                self.rollout = rolling.skipping(self.rollout, account, why)
                continue
            chosen = numbers[: self.room]
            self.room -= len(chosen)
            self.rollout = rolling.asking(self.rollout, account, chosen, self.at)
        new = [it for it in self.rollout.asked if it not in before]
        if new:
            self.save()
        for it in new:
            if self.full is not None or not self.has_time():
                self.rollout = rolling.not_sent(self.rollout, it.account, it.pair)
            elif it in self.rollout.asked:
                self.ask_for(it.account, it.pair)

    def ask_for(self, account: str, number: int) -> None:
        """Asks AWS for one assignment; says what to do where it doesn't take it on."""
        pair = self.rollout.pairs[number]
        target = AssignmentTarget(
            account=account,
            instance_arn=self.center.instance_arn(),
            permission_set_arn=pair.permission_set_arn,
            permission_set_name=pair.permission_set_name or pair.permission_set_arn,
            principal_kind=PrincipalKind.GROUP,
            principal_id=pair.group_id,
            principal_name=pair.group_name,
        )
        try:
            request = self.center.assign(target)
        except NotFoundError as error:
            self.rollout = rolling.not_sent(self.rollout, account, number)
            if not self.drop_what_is_gone(pair.group_id, pair.permission_set_arn):
                self.rollout = rolling.refused(self.rollout, account, None, str(error), self.at)
        except GatewayError as error:
            if error.retryable and error.code not in {CONFLICT, *FULL}:
                return  # nobody knows whether AWS took it on
            self.rollout = rolling.not_sent(self.rollout, account, number)
            if error.code in FULL:
                self.full = str(error)
            elif error.code == CONFLICT:
                self.rollout = rolling.refused(self.rollout, account, number, str(error), self.at)
            else:
                self.rollout = rolling.failed(self.rollout, account, (number,), str(error))
        else:
            self.rollout = rolling.taken_on(self.rollout, account, number, request)

    def how_long(self) -> int:
        """After how many seconds to go on; ends the rollout where nothing is left to do."""
        rollout = self.rollout
        if not rollout.missing and not rollout.asked and not rollout.begun:
            self.end(
                RolloutState.DONE if rollout.stopping is None else RolloutState.STOPPED,
                rollout.stopping,
            )
            return 0
        if set(rollout.missing) == set(rollout.others) and not rollout.begun:
            times = [rollout.again[account].not_before for account in rollout.others]
            seconds = round((max(times) - self.at).total_seconds())
            if seconds <= 0:
                self.put(others=())
                self.look_at(rollout.missing)
            return max(1, min(seconds, LONGEST_WAIT_SECONDS))
        return rolling.seconds_to_wait(rollout, self.at, longest=LONGEST_WAIT_SECONDS)

    # The end

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
        self.rollout = _ended(self.rollout, state, outcome, self.at)


_KEPT = {
    "id",
    "version",
    "ticket",
    "scope",
    "automatic",
    "limit",
    "by",
    "reason",
    "created_at",
    "claim_until",
}
"""What stays of a rollout that is planned anew."""


def _acts(planned: Plan | None) -> bool:
    return planned is not None and planned.action is not None


def _why_not(planned: Plan | None) -> str:
    """Why nothing is done about an account."""
    if planned is None:
        return f"rule {RULE} doesn't object"
    if planned.exempt_by is not None:
        return f"exemption {planned.exempt_by} covers it"
    return planned.held or f"rule {RULE} is in mode {planned.mode.value}"


def _outcome(failures: tuple[str, ...]) -> str:
    if not failures:
        return "the account has all that it lacked and its baselines want"
    return f"{len(failures)} assignments came to nothing: {'; '.join(failures)}"


@contextmanager
def _unless_busy() -> Iterator[None]:
    """What somebody else is at is left to him."""
    try:
        yield
    except GatewayError as error:
        if error.code not in BUSY:
            raise


def _about(time: timedelta | None) -> str:
    """A length of time, in words."""
    minutes = max(1, round((time or timedelta()) / timedelta(minutes=1)))
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


def _waits_for_a_word(rollout: Rollout, now: datetime) -> Notice:
    return Notice(
        kind="baseline-waits",
        id=rollout.id,
        title=(
            f"Baselines: {rollout.total} assignments in {rollout.accounts} accounts wait for a word"
        ),
        text=(
            f"{rollout.reason}, by {rollout.by}. Rollout {rollout.id} ({rollout.scope}) would make "
            f"{rollout.total} assignments in {rollout.accounts} accounts: more than the "
            f"{rollout.limit} that account_baselines.changes_without_apply in /keyward/settings "
            f"lets pass. It would take {_about(remaining(rollout, now))}. Look at it: keyward "
            f"baseline show {rollout.id}. Let it go on: keyward baseline apply {rollout.id}. Or "
            f"not: keyward baseline stop {rollout.id}."
        ),
        severity=Severity.MEDIUM,
        at=now,
    )


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
        f"{rollout.assigned} of {rollout.total} assignments were made, in {rollout.done} accounts"
        f"{f'; {len(failures)} came to nothing: {named}{more}' if failures else ''}"
        f"{f'; {len(rollout.skipped)} accounts were left out' if rollout.skipped else ''}."
    )
    show = f"Look at it: keyward baseline show {rollout.id}."
    if state is RolloutState.STOPPED:
        return Notice(
            kind="baseline-stopped",
            id=rollout.id,
            title=f"Baselines: rollout {rollout.id} stopped after {rollout.assigned} assignments",
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
        title=f"Baselines: {rollout.assigned} assignments made in {rollout.done} accounts",
        text=f"{rollout.reason}. Rollout {rollout.id} ({rollout.scope}) is done: {numbers} {show}",
        severity=Severity.MEDIUM if failures else Severity.LOW,
        at=now,
    )
