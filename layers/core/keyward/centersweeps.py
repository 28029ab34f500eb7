"""A sweep in Identity Center: reads who holds what, by the cheapest way, message by message.

Each message takes one step: it claims the sweep, goes on for some seconds, saves how far it got,
and sends the next message. A step that crashes is taken again by the redelivery of its message.
What it suspects goes the way of every event: a check on the queue of the guard that judges it,
which reads just that again before anything is done. What is kept and decided is in centersweep.py.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyward import centersweep, resolving
from keyward.baselines import (
    SELECTED,
    Names,
    Place,
    names_in,
    selecting,
    unknown_units,
    wanted,
)
from keyward.centersweep import KINDS, CenterSweep, Holder, Phase, SeenSet, Way
from keyward.errors import GatewayError, NotFoundError
from keyward.events import KEYWARD, SweepPart, SweepStep, check_message, sweep_message
from keyward.facts import identity_center
from keyward.facts.accounts import GRACE_OVER
from keyward.facts.directory import SCIM_TOKEN_AGE
from keyward.findings import Finding, FindingRecord, State, finding_key
from keyward.gateways.sqs import SqsGateway
from keyward.model import (
    AccountAssignment,
    AccountId,
    Actor,
    Expectation,
    Hint,
    IdentityCenterChange,
    Part,
    PermissionSet,
    PrincipalKind,
    Subject,
)
from keyward.observability import count, logger
from keyward.principals import CONTROL_TOWER_GROUPS, CONTROL_TOWER_SETS
from keyward.rollout import decided
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services
from keyward.settings import Mode
from keyward.sweep import IDENTITY_CENTER, Swept

STEP = timedelta(seconds=40)
"""A step begins nothing more after so long: a Lambda has 60 seconds, and one set takes some."""

SWEEP = "Sweep"
"""Why Keyward looks: nobody knows since when what it finds is so."""

CHUNK, ACCOUNTS = 100, 25
"""So many assignments are judged at once; and so many accounts, of which some cost a call."""

CHECKS = 50
"""So many checks are sent in a step ..."""

CALLS_A_CHECK = 9
"""... and each takes about so many calls, for which the next step waits: nobody stands in line for
half an hour then, and events find room."""

LINES = 10_000
"""So many lines are in one file of the inventory."""

STALE = "baseline-assignment-stale"
FIRST_USER = "account-factory-user-assignment"
BY_BASELINE = frozenset({STALE, FIRST_USER})
"""Rules of account_baseline: their findings are of what is known here, and judged there."""

GRACE_MINUTES = 60
"""What rule account-factory-user-assignment waits where its settings don't say."""

FIRST_SETS = ("AWSAdministratorAccess",)
"""What it looks at where they don't."""

GONE = "not there any more when a sweep read all assignments"
WANTED = "in order when a sweep read all assignments: baselines want it by now, or look elsewhere"


@dataclass(kw_only=True)
class _Step:
    """One step of a sweep of Identity Center; `state` is how far it is, saved at the end."""

    state: CenterSweep
    rules: tuple[AnyRule, ...]
    services: Services
    now: datetime
    began: datetime
    sent: int = field(default=0, init=False)
    """So many checks were sent in this step."""

    def __post_init__(self) -> None:
        self.accepted = self.services.accepted(self.now)
        self.settings: InForce = in_force(self.accepted, self.rules)
        self.center = self.services.identity_center(self.now)
        self.organization = self.services.organization
        self.ledger = self.services.ledger
        self.hub = self.services.environment.hub_account
        self.made = self.center.calls_made

    @property
    def at(self) -> datetime:
        """What time it is, by the clock of the message."""
        elapsed: timedelta = self.services.clock() - self.began
        return self.now + elapsed

    def goes_on(self) -> bool:
        """Whether something more may be begun."""
        is_done = self.state.phase is Phase.DONE
        return not is_done and self.sent < CHECKS and self.at - self.now < STEP

    def enter(self, phase: Phase) -> None:
        """Begins the next phase."""
        self.state.phase, self.state.position = phase, 0
        self.state.page = self.state.after = None

    def tried[T](self, what: str, call: Callable[[], T]) -> T | None:
        """What the call gives; None where it is gone, or can't be read, which is noted.

        Raises GatewayError(retryable), but for what AWS has refused for PATIENCE.
        """
        found = None
        try:
            found = call()
        except NotFoundError:
            pass
        except GatewayError as error:
            since = self.state.waits_since or self.at
            is_hopeless = error.code != "RateLimited" and self.at - since > centersweep.PATIENCE
            if error.retryable and not is_hopeless:
                raise
            self.note(what, str(error))
        self.state.waits_since, self.state.refusals = None, 0
        return found

    def note(self, what: str, why: str) -> None:
        """Notes what could not be read. Raises GatewayError where that is too much by now."""
        self.state.unread.append(what)
        if len(self.state.why) < centersweep.NAMED:
            self.state.why.append(why)
        logger.warning("sweep could not read", sweep=self.state.id, what=what, reason=why)
        if len(self.state.unread) > centersweep.MOST_UNREAD:
            message = f"more than {centersweep.MOST_UNREAD} could not be read: {why}"
            raise GatewayError(message, code="TooMuchUnread")

    def runs(self, rule: str) -> bool:
        """Whether this guard judges by the rule."""
        return any(it.id == rule for it in self.rules)

    def mode(self, rule: str) -> Mode:
        """What a rule may do by now, be it another guard's."""
        try:
            own = Mode(str(self.accepted.rules.get(rule, {}).get("mode", Mode.REPORT)))
        except ValueError:
            own = Mode.REPORT
        return min(own, self.accepted.ceiling(self.at), key=lambda mode: mode.rank)

    def check(self, key: str, parameters: Mapping[str, str], why: str = SWEEP) -> str:
        """Keyward's word to itself; with the same key it is the same in each sweep."""
        return check_message(
            id_=f"sweep-{self.state.id}-{key}",
            account=self.hub,
            region=self.services.environment.region,
            time=self.at,
            why=why,
            parameters=parameters,
        )

    def send(self, queue: SqsGateway, bodies: Iterable[str]) -> None:
        """Has these looked at by the guard of this queue."""
        messages = list(bodies)
        queue.send_all(messages)
        self.sent += len(messages)
        self.state.checks += len(messages)

    @functools.cached_property
    def hint(self) -> Hint:
        """By what rules judge here."""
        return Hint(
            event_id=f"sweep-{self.state.id}",
            event_source=KEYWARD,
            event_name=SWEEP,
            time=self.state.started_at,
            account=self.hub,
            region=self.services.environment.region,
            actor=Actor(type="Keyward", invoked_by="Keyward"),
            parameters={},
            response={},
            origin="sweep",
        )

    def judge(self, subjects: Iterable[Subject]) -> list[Finding]:
        """What this guard's rules object to."""
        return judge(self.rules, subjects, hint=self.hint, settings=self.settings)

    def to_look_at(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those of the findings that aren't known and told; of one subject the first.

        A finding that was folded into another stands in that one's `also`.
        """
        by_subject: dict[tuple[str, str], list[Finding]] = {}
        for finding in findings:
            unique = finding.subject.unique_id or finding.subject.label
            by_subject.setdefault((finding.account, unique), []).append(finding)
        keys = [it.key for group in by_subject.values() for it in group]
        known = self.ledger.findings(keys) if keys else {}
        chosen = []
        for group in by_subject.values():
            records = [known[it.key] for it in group if it.key in known]
            if any(self._needs_look(it, records) for it in group):
                chosen.append(group[0])
        return chosen

    def _needs_look(self, finding: Finding, records: list[FindingRecord]) -> bool:
        own = [it for it in records if it.key == finding.key]
        leads = [it for it in records if finding.rule in it.also and it.state is State.OPEN]
        record = next(iter((*leads, *own)), None)
        is_set = isinstance(finding.subject, PermissionSet)
        if is_set and own and not leads and own[0].details != finding.reason.details:
            return True
        return self.needs_look(finding.rule, finding.subject, record)

    def needs_look(self, rule: str, subject: Subject, record: FindingRecord | None) -> bool:
        """Whether what a rule objects to has to be looked at, by what is on record."""
        exempt = self.settings.exemption(rule=rule, subject=subject, now=self.at) is not None
        acts = centersweep.would_act(
            record,
            mode=self.mode,
            existing=lambda of: self.accepted.rules.get(of, {}).get("existing"),
            now=self.at,
        )
        return centersweep.needs_look(record, exempt=exempt, acts=acts, full=self.state.full)

    # What is known of assignments

    @functools.cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Each permission set in each account where it is provisioned, by their places."""
        sets = enumerate(self.state.sets)
        return [(of_set, place) for of_set, seen in sets for place in seen.accounts]

    @functools.cached_property
    def every(self) -> list[tuple[Holder, AccountId, SeenSet]]:
        """Everything that is held."""
        return list(self.state.assignments())

    @functools.cached_property
    def by_account(self) -> dict[AccountId, list[tuple[Holder, SeenSet]]]:
        """Who holds what in each account."""
        found: dict[AccountId, list[tuple[Holder, SeenSet]]] = {}
        for holder, account, seen in self.every:
            found.setdefault(account, []).append((holder, seen))
        return found

    @functools.cached_property
    def before(self) -> tuple[frozenset[tuple[AccountId, str]] | None, datetime | None]:
        """What the last sweep saw, if it saw all, and when it began."""
        last = self.ledger.last_seen_in(IDENTITY_CENTER)
        if last is None or not last.ok or last.sweep == self.state.id:
            return None, None
        kept = self.ledger.center_sweep(last.sweep)
        if kept is None:
            return None, None
        state = CenterSweep.unpacked(kept[1], version=kept[0])
        return (state.keys(), state.started_at) if state.phase is Phase.DONE else (None, None)

    @functools.cached_property
    def names(self) -> Names | None:
        """What the names in baselines stand for; None where of one of them nobody knows it.

        No call is made: whoever brings baselines to accounts has them looked up.
        """
        baselines = self.settings.baselines
        if baselines.keys() != self.accepted.baselines.keys():
            return None  # what nobody can read may want anything
        known = resolving.recalled(names_in(baselines.values()), self.ledger)
        groups = {it.name: it.id for it in self.state.holders if it.kind is PrincipalKind.GROUP}
        sets = {it.name: it.arn for it in self.state.sets}
        names = Names(
            groups={**{name: id_ for name, id_ in groups.items() if name}, **known.groups},
            permission_sets={name: arn for name, arn in sets.items() if name},
            units=known.units,
        )
        _, unknown = wanted(baselines, baselines, names)
        return None if unknown or unknown_units(baselines, names) else names

    @functools.cached_property
    def everywhere(self) -> frozenset[tuple[str, str]]:
        """Permission set and group of all that any baseline wants in any account."""
        if self.names is None:
            return frozenset()
        access, _ = wanted(self.settings.baselines, self.settings.baselines, self.names)
        return frozenset(it.key for it in access)

    def assignment(self, account: AccountId, arn: str, holder: Holder) -> AccountAssignment:
        """An assignment as far as it is known here: what the set grants is not."""
        return AccountAssignment(
            account=account,
            permission_set_arn=arn,
            principal_kind=holder.kind,
            principal_id=holder.id,
            instance_arn=self.center.instance_arn(),
            principal_name=holder.name,
            parents=self.state.above(account),
        )

    def objections(self, held: Iterable[tuple[Holder, AccountId, SeenSet]]) -> list[Finding]:
        """What the rules object to in these; what a set grants was asked when it was read."""
        watched = {seen.arn: seen.watched for _, _, seen in held}
        found = self.judge(
            self.assignment(account, seen.arn, holder) for holder, account, seen in held
        )
        return [
            finding
            for finding in found
            if isinstance(finding.subject, AccountAssignment)
            if not finding.reason.maybe
            or finding.rule in watched[finding.subject.permission_set_arn]
        ]

    def look_at(self, assignment: AccountAssignment, key: str) -> str:
        """The check of one assignment."""
        keys, then = self.before
        unique = assignment.unique_id or ""
        since = centersweep.since(assignment.account, unique, before=keys, then=then)
        return self.check(
            key,
            {
                "accountId": assignment.account,
                "permissionSetArn": assignment.permission_set_arn,
                "principalType": assignment.principal_kind.value,
                "principalId": assignment.principal_id,
                **({} if since is None else {"since": since.isoformat()}),
            },
        )


def step(of: SweepStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Goes on reading for some seconds, and sends the message that goes on. Raises GatewayError.

    A second or a late message changes nothing.
    """
    state = _claimed(of, services, now)
    if state is None:
        return
    work = _Step(
        state=state, rules=tuple(rules), services=services, now=now, began=services.clock()
    )
    wait = 0
    try:
        while work.goes_on():
            _PHASES[state.phase](work)
    except GatewayError as error:
        wait = _put_off(work, error)
    else:
        rate = work.accepted.settings.identity_center.calls_per_second
        wait = math.ceil(work.sent * CALLS_A_CHECK / rate)
    state.calls += work.center.calls_made - work.made
    _save(work, wait)


def _claimed(of: SweepStep, services: Services, now: datetime) -> CenterSweep | None:
    """How far the sweep is, ours alone until the claim ends; None: the message is one too many."""
    kept = services.ledger.center_sweep(of.id)
    if kept is None:
        state = CenterSweep(id=of.id, full=of.full, started_at=now, ticket=of.ticket)
    else:
        state = CenterSweep.unpacked(kept[1], version=kept[0])
    if not centersweep.is_due(state, of.ticket, now=now):
        return None
    state.ticket += 1
    state.version += 1
    state.claim_until = now + timedelta(seconds=services.environment.claim_seconds)
    try:
        services.ledger.save_center_sweep(of.id, state.packed(), version=state.version, now=now)
    except GatewayError as error:
        if error.code != "Contention":
            raise
        return None  # who was faster goes on, or has sent the message that does
    return state


def _save(work: _Step, wait: int) -> None:
    """Saves how far the sweep is, and sends the message that goes on from there."""
    state = work.state
    try:
        state.packed()
    except ValueError as error:
        _fail(work, str(error))
        state.forget()
    is_done = state.phase is Phase.DONE
    state.ticket += 1
    state.version += 1
    claim = timedelta(seconds=wait + work.services.environment.claim_seconds)
    state.claim_until = None if is_done else work.at + claim
    work.ledger.save_center_sweep(state.id, state.packed(), version=state.version, now=work.at)
    if not is_done:
        following = SweepStep(
            id=state.id, part=SweepPart.IDENTITY_CENTER, full=state.full, ticket=state.ticket
        )
        work.services.center_queue.send(sweep_message(following), delay_seconds=wait)


def _put_off(work: _Step, error: GatewayError) -> int:
    """How long to wait after an error; what no wait mends ends the sweep, and so does its age."""
    state = work.state
    if not error.retryable or work.at - state.started_at > centersweep.LONGEST:
        _fail(work, str(error))
        return 0
    state.waits_since = state.waits_since or work.at
    pauses = centersweep.PAUSES_SECONDS
    wait = pauses[min(state.refusals, len(pauses) - 1)]
    state.refusals += 1
    logger.warning("sweep put off", sweep=state.id, phase=state.phase, reason=str(error))
    return wait


def _fail(work: _Step, why: str) -> None:
    """Ends the sweep before its time: what was found until then is being looked at."""
    logger.error("sweep of identity center failed", sweep=work.state.id, reason=why)
    count("CenterSweepsFailed")
    work.state.unread.append(IDENTITY_CENTER)
    work.state.why.insert(0, why)
    _finish(work)


def _finish(work: _Step) -> None:
    state = work.state
    state.phase = Phase.DONE
    why = "; ".join(state.why)
    more = f"{len(state.unread)} could not be read: " if state.unread else ""
    work.ledger.saw(
        Swept(
            sweep=state.id,
            account=IDENTITY_CENTER,
            at=work.at,
            full=state.full,
            ok=not state.unread,
            why=f"{more}{why}" or None,
            users=state.groups + state.users,
            suspected=state.checks,
            calls=state.calls + work.center.calls_made - work.made,
        )
    )


# Permission sets


def _list(work: _Step) -> None:
    work.state.sets = [SeenSet(arn=arn) for arn in sorted(work.center.arns())]
    work.enter(Phase.SETS)


def _read_set(work: _Step) -> None:
    """Reads one permission set, and has it looked at where something about it is new."""
    state = work.state
    if state.position >= len(state.sets):
        _miss(work)
        work.enter(Phase.COUNTING)
        state.kinds = list(KINDS)
        return
    seen = state.sets[state.position]
    found = work.tried(
        seen.arn,
        lambda: identity_center.as_it_is(
            seen.arn,
            every=[it.arn for it in state.sets],
            catalogue=work.settings.catalogue,
            reach=work.services.reach(work.hub, work.now),
            ledger=work.ledger,
            now=work.at,
        ),
    )
    if found is not None:
        seen.name = found.name
        seen.accounts = [state.place(account) for account in found.accounts or ()]
        seen.watched = sorted(_watched(work, found))
        _look_at_set(work, work.judge([found]), {"permissionSetArn": seen.arn})
    state.position += 1


def _miss(work: _Step) -> None:
    """Has the sets looked at that the catalogue names and that aren't there."""
    names = {it.name for it in work.state.sets}
    for name in sorted(work.settings.catalogue.keys() - names):
        if any(it.name is None for it in work.state.sets) and work.state.unread:
            return  # it may be the one that could not be read
        missing = PermissionSet(
            account=work.hub, name=name, exists=False, catalogue=work.settings.catalogue
        )
        _look_at_set(work, work.judge([missing]), {"permissionSetName": name})


def _look_at_set(work: _Step, findings: list[Finding], parameters: Mapping[str, str]) -> None:
    work.state.found += [it.key for it in findings]
    chosen = work.to_look_at(findings)
    work.send(work.services.center_queue, (work.check(it.key, parameters) for it in chosen))


def _watched(work: _Step, found: PermissionSet) -> Iterator[str]:
    """The rules that object to an assignment of this set for what it grants.

    Where they do depends on the account and on who gets it, which is asked later; what the set
    grants is known only now.
    """
    nobody = Holder(kind=PrincipalKind.GROUP, id="")
    asked = (work.assignment(account, found.arn or "", nobody) for account in found.accounts or ())
    maybe = {it.rule: it.subject for it in work.judge(asked) if it.reason.maybe}
    for rule, subject in maybe.items():
        if isinstance(subject, AccountAssignment):
            whole = replace(subject, permission_set=found)
            if rule in {it.rule for it in work.judge([whole])}:
                yield rule


# Assignments


def _count(work: _Step) -> None:
    """Counts groups and users, as far as it matters for which way is cheaper."""
    state = work.state
    page = work.tried(
        "identity store",
        lambda: work.center.some_principals(state.kinds[0], after=state.page),
    )
    found, state.page = page or ((), None)
    if state.kinds[0] is PrincipalKind.GROUP:
        state.groups += len(found)
    else:
        state.users += len(found)
    if state.page is None:
        state.kinds.pop(0)
    state.counted = not state.kinds
    principals, pairs = state.groups + state.users, state.pairs()
    if not state.counted and principals <= pairs and page is not None:
        return
    state.way = centersweep.cheaper(principals=principals, pairs=pairs)
    if page is None:
        state.way, state.counted = Way.BY_ACCOUNT, False
    state.forget()
    work.enter(Phase.READING)
    logger.info(
        "sweep reads assignments",
        sweep=state.id,
        way=state.way,
        principals=principals,
        pairs=pairs,
    )


def _read(work: _Step) -> None:
    """Reads on by the way that was chosen, and changes over where the other is cheaper by now."""
    state = work.state
    by_principal = state.way is Way.BY_PRINCIPAL
    if _read_principal(work) if by_principal else _read_pair(work):
        state.kinds = list(KINDS)
        work.enter(Phase.PLACES if by_principal else Phase.NAMING)
    elif centersweep.changes_over(state):
        logger.info(
            "sweep changes over",
            sweep=state.id,
            way=state.way,
            calls=state.cost.calls,
            done=state.cost.done,
        )
        state.way = Way.BY_ACCOUNT if by_principal else Way.BY_PRINCIPAL
        state.changed_over = True
        state.forget()


def _read_principal(work: _Step) -> bool:
    """Reads one page of one principal's assignments; True once nothing is left to read."""
    state = work.state
    if not state.queue:
        if not state.kinds:
            return True
        kind = state.kinds[0]
        page = work.tried(
            "identity store", lambda: work.center.some_principals(kind, after=state.page)
        )
        found, state.page = page or ((), None)
        state.queue = [Holder(kind=kind, id=id_, name=name or None) for id_, name in found]
        if state.page is None:
            state.kinds.pop(0)
        return False
    holder = state.queue[0]
    made = work.center.calls_made
    read = work.tried(
        holder.id,
        lambda: work.center.some_assignments_of(holder.kind, holder.id, after=state.after),
    )
    held, state.after = read or ((), None)
    state.cost.calls += work.center.calls_made - made
    state.hold(holder, (_number(state, account, arn) for account, arn in held))
    if state.after is None:
        state.queue.pop(0)
        state.cost.done += 1
    return False


def _read_pair(work: _Step) -> bool:
    """Reads who holds one set in one account; True once nothing is left to read."""
    state = work.state
    pairs = work.pairs
    if state.position >= len(pairs):
        return True
    of_set, place = pairs[state.position]
    arn, account = state.sets[of_set].arn, state.accounts[place]
    made = work.center.calls_made
    principals = work.tried(f"{account}/{arn}", lambda: work.center.principals_of(account, arn))
    state.cost.calls += work.center.calls_made - made
    state.cost.done += 1
    state.position += 1
    for principal in principals or ():
        holder = Holder(kind=principal.kind, id=principal.id)
        state.hold(holder, [place * centersweep.STRIDE + of_set])
    return False


def _name(work: _Step) -> None:
    """Finds out what holders are called, as far as that costs little beside all that was read."""
    state = work.state
    unnamed = {it.id: it for it in state.holders if it.name is None}
    if not unnamed or not state.kinds or state.position > max(state.pairs() // 10, 2):
        work.enter(Phase.PLACES)
        return
    page = work.tried(
        "names", lambda: work.center.some_principals(state.kinds[0], after=state.page)
    )
    found, state.page = page or ((), None)
    for id_, name in found:
        if id_ in unnamed:
            unnamed[id_].name = name or None
    if state.page is None:
        state.kinds.pop(0)
    state.position += 1


def _number(state: CenterSweep, account: AccountId, arn: str) -> int:
    """The number of an assignment; sets and accounts that came meanwhile are added."""
    return state.place(account) * centersweep.STRIDE + state.place_of_set(arn)


# Where accounts are


def _find_places(work: _Step) -> None:
    """Walks through the OUs, where it matters in which one an account is."""
    state = work.state
    if not _places_matter(work) or state.units == {}:
        work.enter(Phase.JUDGING)
        return
    if state.units is None:
        root = work.tried("the organization", work.organization.root)
        state.units = {} if root is None else {root: []}
        return
    unit, above = next(iter(state.units.items()))
    page = work.tried(unit, lambda: work.organization.some_accounts_in(unit, after=state.page))
    accounts, state.page = page or ((), None)
    mine = {it.id for it in accounts if it.state == SELECTED}.intersection(state.accounts)
    if mine:
        parents = [unit, *above]
        if parents not in state.parents:
            state.parents.append(parents)
        state.places |= dict.fromkeys(sorted(mine), state.parents.index(parents))
    if state.page is None:
        below = work.tried(unit, lambda: work.organization.units_in(unit)) or {}
        del state.units[unit]
        state.units |= {it: [unit, *above] for it in sorted(below.values())}


def _places_matter(work: _Step) -> bool:
    """Whether a baseline is in force, or a rule speaks of OUs."""
    units = (it.get("organizational_units") for it in work.accepted.rules.values())
    return bool(work.settings.baselines) or any(units)


# Judging


def _judge(work: _Step) -> None:
    """Judges some assignments; what is new is looked at."""
    position = work.state.position
    some = work.every[position : position + CHUNK]
    if not some:
        work.enter(Phase.BASELINES)
        return
    bodies = [
        work.look_at(it.subject, it.key)
        for it in work.to_look_at(work.objections(some))
        if isinstance(it.subject, AccountAssignment)
    ]
    work.send(work.services.center_queue, bodies)
    work.state.position += len(some)


def _judge_by_baselines(work: _Step) -> None:
    """Has accounts looked at by account_baseline: with what no baseline wants there, or no more."""
    state = work.state
    some = sorted(work.by_account)[state.position : state.position + ACCOUNTS]
    if not some or not work.settings.baselines:
        work.enter(Phase.TOKENS)
        return
    bodies: list[str] = []
    for account in some:
        selected = _selected(work, account)
        stale = [] if selected is None else list(_stale(work, account, selected))
        if _any_new(work, STALE, "stale", stale):
            bodies.append(work.check(account, {"account": account}))
        users = list(_first_users(work, account)) if selected else []
        if _any_new(work, FIRST_USER, "user", users):
            bodies += _grace_over(work, account)
    work.send(work.services.baseline_queue, bodies)
    state.position += len(some)


def _any_new(work: _Step, rule: str, code: str, held: list[AccountAssignment]) -> bool:
    keys = {
        finding_key(rule=rule, account=it.account, unique_id=it.unique_id or "", code=code): it
        for it in held
    }
    work.state.found += keys
    known = work.ledger.findings(keys) if keys else {}
    return any(work.needs_look(rule, it, known.get(key)) for key, it in keys.items())


def _selected(work: _Step, account: AccountId) -> tuple[str, ...] | None:
    """The baselines that select the account; None where nobody can tell, or it doesn't matter."""
    baselines, names = work.settings.baselines, work.names
    above = work.state.above(account)
    held = work.by_account[account]
    matters = any(_may_be_stale(work, it, seen) for it, seen in held)
    matters = matters or any(_may_be_first(work, it, seen) for it, seen in held)
    if names is None or above is None or not matters:
        return None
    shared = work.accepted.settings.account_baselines.shared_accounts
    place = Place(account=account, parents=above, by_id_only=account in {work.hub, *shared})
    chosen = decided(baselines, place, names)
    if chosen is not None:
        return chosen
    tags = work.tried(f"tags of {account}", lambda: work.organization.tags(account))
    if tags is None:
        return None
    tagged = Place(account=account, parents=above, tags=tags, by_id_only=place.by_id_only)
    return selecting(baselines, tagged, names)


def _may_be_stale(work: _Step, holder: Holder, seen: SeenSet) -> bool:
    if holder.kind is not PrincipalKind.GROUP or holder.name in CONTROL_TOWER_GROUPS:
        return False
    if work.mode(STALE) is Mode.OFF:
        return False
    exclusive = any(it.exclusive for it in work.settings.baselines.values())
    of_catalogue = exclusive and seen.name in work.settings.catalogue
    return of_catalogue or (seen.arn, holder.id) in work.everywhere


def _stale(work: _Step, account: AccountId, selected: Iterable[str]) -> Iterator[AccountAssignment]:
    """The groups' assignments that a baseline wants elsewhere, or an exclusive one not here."""
    baselines, names = work.settings.baselines, work.names
    if names is None:
        return
    here = {it.key for it in wanted(baselines, selected, names)[0]}
    exclusive = any(baselines[name].exclusive for name in selected)
    for holder, seen in work.by_account[account]:
        key = seen.arn, holder.id
        if key in here or not _may_be_stale(work, holder, seen):
            continue
        if key in work.everywhere or (exclusive and seen.name in work.settings.catalogue):
            yield _by_baseline(work, account, holder, seen)


def _may_be_first(work: _Step, holder: Holder, seen: SeenSet) -> bool:
    if holder.kind is not PrincipalKind.USER or work.mode(FIRST_USER) is Mode.OFF:
        return False
    named = work.accepted.rules.get(FIRST_USER, {}).get("permission_sets", FIRST_SETS)
    sets = named if isinstance(named, list | tuple) else ()
    return seen.name in CONTROL_TOWER_SETS and seen.name in sets


def _first_users(work: _Step, account: AccountId) -> Iterator[AccountAssignment]:
    """The assignments to people of what Account Factory assigns."""
    for holder, seen in work.by_account[account]:
        if _may_be_first(work, holder, seen):
            yield _by_baseline(work, account, holder, seen)


def _by_baseline(
    work: _Step, account: AccountId, holder: Holder, seen: SeenSet
) -> AccountAssignment:
    return replace(work.assignment(account, seen.arn, holder), expected=Expectation())


def _grace_over(work: _Step, account: AccountId) -> list[str]:
    """The check of an account whose first days are over; nothing while they aren't."""
    described = work.tried(account, lambda: work.organization.account(account))
    if described is None or described.joined is None:
        return []
    minutes = work.accepted.rules.get(FIRST_USER, {}).get("grace_minutes", GRACE_MINUTES)
    grace = timedelta(minutes=minutes if isinstance(minutes, int) else GRACE_MINUTES)
    if work.at - described.joined < grace:
        return []
    parameters = {"account": account, "finished": described.joined.isoformat()}
    return [work.check(f"{account}-first", parameters, GRACE_OVER)]


# Tokens of automatic provisioning


def _judge_tokens(work: _Step) -> None:
    """Has the SCIM tokens told that near their end: at each stage once."""
    for token in work.ledger.scim_tokens():
        subject = IdentityCenterChange(
            account=work.hub,
            part=Part.SCIM_TOKEN,
            name=token.id,
            change=SCIM_TOKEN_AGE,
            values={"madeAt": token.made_at.isoformat()},
            since=token.made_at,
        )
        findings = work.judge([subject])
        work.state.found += [it.key for it in findings]
        known = work.ledger.findings(it.key for it in findings)
        parameters = {"id": token.id, "madeAt": token.made_at.isoformat()}
        work.send(
            work.services.center_queue,
            (
                work.check(it.key, parameters, SCIM_TOKEN_AGE)
                for it in findings
                if it.key not in known or known[it.key].state is State.RESOLVED
            ),
        )
    work.enter(Phase.SETTLING)


# Settling


def _settle(work: _Step) -> None:
    """Closes what is no longer so, or has it looked at: each open finding of these kinds once."""
    state = work.state
    records = sorted(_open(work), key=lambda it: it.key)
    for record in records:
        if state.after is not None and record.key <= state.after:
            continue
        _settle_one(work, record)
        state.after = record.key
        if not work.goes_on():
            return
    work.enter(Phase.ENDING)


def _open(work: _Step) -> Iterator[FindingRecord]:
    for wanted_state in (State.OPEN, State.FAILED):
        after = None
        while True:
            page, after = work.ledger.findings_in(wanted_state, limit=200, after=after)
            yield from (it for it in page if it.last_seen < work.state.started_at)
            if after is None:
                break


def _settle_one(work: _Step, record: FindingRecord) -> None:
    match record.subject_kind:
        case "AccountAssignment" if work.runs(record.rule) or record.rule in BY_BASELINE:
            _settle_assignment(work, record)
        case "PermissionSet" if work.runs(record.rule):
            _settle_set(work, record)
        case "IdentityCenterChange" if work.runs(record.rule):
            _settle_token(work, record)
        case _:
            pass


def _settle_assignment(work: _Step, record: FindingRecord) -> None:
    parts = centersweep.assigned(record.unique_id)
    if parts is None or work.mode(record.rule) is Mode.OFF:
        return
    arn, kind, principal = parts
    unread = {IDENTITY_CENTER, "identity store", arn, principal, f"{record.account}/{arn}"}
    if unread.intersection(work.state.unread):
        return
    held = [
        (holder, record.account, seen)
        for holder, seen in work.by_account.get(record.account, ())
        if (seen.arn, holder.kind, holder.id) == (arn, kind, principal)
    ]
    if record.rule in BY_BASELINE:
        if not held:
            work.ledger.resolve(record, why=GONE, now=work.at)
        elif record.key not in work.state.found and _is_clear(work, record):
            work.ledger.resolve(record, why=WANTED, now=work.at)
        return
    if record.key in {it.key for it in work.objections(held)}:
        return
    if not held and record.state is State.FAILED:
        work.ledger.resolve(record, why=GONE, now=work.at)
        return
    assignment = work.assignment(record.account, arn, Holder(kind=kind, id=principal))
    work.send(work.services.center_queue, [work.look_at(assignment, record.key)])


def _is_clear(work: _Step, record: FindingRecord) -> bool:
    """Whether it is known that no baseline objects: nobody knew too little to tell."""
    return record.rule == STALE and _selected(work, record.account) is not None


def _settle_set(work: _Step, record: FindingRecord) -> None:
    if record.key in work.state.found or work.mode(record.rule) is Mode.OFF:
        return
    if {IDENTITY_CENTER, record.unique_id}.intersection(work.state.unread):
        return
    name = record.unique_id.removeprefix("permission-set/")
    parameter = "permissionSetArn" if name == record.unique_id else "permissionSetName"
    work.send(work.services.center_queue, [work.check(record.key, {parameter: name})])


def _settle_token(work: _Step, record: FindingRecord) -> None:
    """Closes the word about a token's age once it is gone, or older than that word says."""
    if record.key in work.state.found:
        return
    keys = {
        finding_key(rule=record.rule, account=record.account, unique_id=record.unique_id, code=code)
        for code in ("aging", "expired")
    }
    if record.key in keys:
        work.ledger.resolve(record, why="renewed, deleted or expired by now", now=work.at)


# The end


def _end(work: _Step) -> None:
    """Leaves the inventory, and says that the sweep is through."""
    _write_inventory(work)
    _finish(work)
    count("CenterSweeps")
    logger.info(
        "sweep of identity center done",
        sweep=work.state.id,
        way=work.state.way,
        assignments=len(work.every),
        checks=work.state.checks,
        unread=len(work.state.unread),
    )


def _write_inventory(work: _Step) -> None:
    bucket = work.services.inventory
    if bucket is None:
        return
    state = work.state
    place = f"inventory/{state.id}/identity-center"
    bucket.put_lines(f"{place}/0.jsonl", _lines_of_sets(state))
    every = work.every
    for number in range(math.ceil(len(every) / LINES) or 1):
        some = every[number * LINES : (number + 1) * LINES]
        bucket.put_lines(
            f"{place}/{number + 1}.jsonl",
            (
                {
                    "kind": "assignment",
                    "account": account,
                    "permission_set": seen.name or seen.arn,
                    "permission_set_arn": seen.arn,
                    "principal_type": holder.kind.value,
                    "principal_id": holder.id,
                    "principal": holder.name,
                }
                for holder, account, seen in some
            ),
        )
    exemptions = [
        {
            "kind": "exemption",
            "id": name,
            "account": it.account,
            "rules": list(it.rules),
            "owner": it.owner,
            "reason": it.reason,
            "ticket": it.ticket,
            "until": it.until.isoformat(),
        }
        for name, it in sorted(work.settings.exemptions.items())
    ]
    bucket.put_lines(f"{place}/exemptions.jsonl", exemptions)


def _lines_of_sets(state: CenterSweep) -> Iterator[dict[str, object]]:
    for seen in state.sets:
        if seen.name is not None:
            yield {
                "kind": "permission-set",
                "name": seen.name,
                "arn": seen.arn,
                "accounts": len(seen.accounts),
            }


_PHASES: dict[Phase, Callable[[_Step], None]] = {
    Phase.LISTING: _list,
    Phase.SETS: _read_set,
    Phase.COUNTING: _count,
    Phase.READING: _read,
    Phase.NAMING: _name,
    Phase.PLACES: _find_places,
    Phase.JUDGING: _judge,
    Phase.BASELINES: _judge_by_baselines,
    Phase.TOKENS: _judge_tokens,
    Phase.SETTLING: _settle,
    Phase.ENDING: _end,
}
