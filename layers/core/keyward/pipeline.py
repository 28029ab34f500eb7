"""The whole story on one screen: an event comes in, and what must be done about it is done.

parse -> judge -> confirm -> plan -> execute -> record; the ledger's stream tells.
Events are hints: what they claim decides only whether the present state is read, and the state is
judged by the same rules.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from keyward import (
    alive,
    centersweeps,
    converging,
    events,
    executor,
    facts,
    planner,
    releasing,
    rollouts,
    surveying,
)
from keyward.actions import (
    AssignAccess,
    Before,
    Done,
    IamAction,
    IdentityCenterAction,
    Pending,
    RecreatePermissionSet,
    RestorePermissionSet,
)
from keyward.assigning import INCOMPLETE, NotGivenError
from keyward.catalogue import catalogue_of
from keyward.converging import about_of
from keyward.errors import STALE_CREDENTIALS, GatewayError, NotFoundError
from keyward.events import Canary, Follow, RolloutStep, SweepPart, SweepStep
from keyward.facts.accounts import NAME_GONE
from keyward.facts.iam import USER_CHECK
from keyward.findings import Finding, FindingRecord, Notice, Severity, State
from keyward.gateways.reach import Reach
from keyward.ledger import Begun
from keyward.model import (
    AccountAccess,
    AccountAssignment,
    Contained,
    EventOnly,
    Hint,
    IamUser,
    IdentityCenterChange,
    OfAccounts,
    OfIdentityCenter,
    Part,
    PermissionSet,
    Subject,
)
from keyward.observability import count, count_by, logger, took
from keyward.planner import Plan
from keyward.releasing import LONGEST_WAIT_SECONDS
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services
from keyward.settings import Mode
from keyward.sweep import ScimToken
from keyward.told import Order

SOON_SECONDS = {
    "Busy": 5,
    "InProgress": 5,
    "RateLimited": 5,
    "HistoryLags": 60,
    "NotInPlace": 15,
    "NotReady": 60,
}
"""Codes of what is over soon: Identity Center's guard puts the event back on its queue, which would
deliver it again much later."""

LEFT_SECONDS = 5
"""So long after the claim on an act has run out somebody looks whether a crash left it."""

LONG = frozenset({"Busy", "NotInPlace"})
"""Codes of what may take half an hour, as where somebody else is at an account."""

NAMES_SECONDS, NAMES_AGAIN = 5, timedelta(hours=1)
"""So soon an account is looked at again whose act met what is gone, and so seldom."""

GONE = "not so any more when Keyward looked: nothing was done"


def enforce(body: str, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Judges one event and does what the rules ask for; a second delivery changes nothing.

    Raises EventError for what cannot be read, and GatewayError(retryable) for what a later
    delivery may mend: the latter after everything else about the event was done.
    """
    rules = tuple(rules)
    match events.message(events.loads(body)):
        case Follow() as follow:
            _follow(follow, rules=rules, services=services, now=now)
        case RolloutStep() as step:
            rollouts.step(step, rules=rules, services=services, now=now)
        case SweepStep(part=SweepPart.IDENTITY_CENTER) as step:
            centersweeps.step(step, rules=rules, services=services, now=now)
        case SweepStep() as step:
            surveying.step(step, rules=rules, services=services, now=now)
        case Canary() as canary:
            alive.arrived(canary, services=services, now=now)
        case Hint() as hint:
            alive.hear(hint, services)
            if _is_look_at_user(hint):
                # It tells what is so by now: a late one must not take back what was found since.
                hint = replace(hint, time=max(hint.time, now))
            if hint.order is not None:
                _carry_out(hint, body, rules=rules, services=services, now=now)
            else:
                _enforce(hint, body, rules=rules, services=services, now=now)


def _enforce(
    hint: Hint, body: str, *, rules: tuple[AnyRule, ...], services: Services, now: datetime
) -> None:
    settings = in_force(services.accepted(now), rules)
    if (many := facts.scope(hint, settings.baselines)) is not None:
        rollouts.begin(
            many,
            automatic=True,
            by=hint.actor.label,
            reason=f"{hint.event_name} (event {hint.event_id})",
            services=services,
            now=now,
        )
    if (seconds := facts.too_early(hint, now)) > 0:
        services.baseline_queue.send(body, delay_seconds=min(seconds, LONGEST_WAIT_SECONDS))
        return
    claimed = facts.claimed(hint, settings.catalogue, settings.baselines)
    _remember_tokens(claimed, hint, services)
    suspected = judge(rules, claimed, hint=hint, settings=settings)
    seconds = 0
    if suspected:
        ready, seconds = _ready(rules, suspected, hint, now)
        at_once = [finding for finding in suspected if finding.rule in {rule.id for rule in ready}]
        if at_once:
            case = _Case(hint=hint, rules=ready, settings=settings, services=services, now=now)
            seconds = case.take(at_once) or seconds
    if seconds:
        services.queue_of(suspected[0].rule).send(body, delay_seconds=seconds)
    else:  # an event that comes again asks for it then
        _have_looked_at_again(hint, claimed, rules=rules, settings=settings, services=services)


def _carry_out(
    hint: Hint, body: str, *, rules: tuple[AnyRule, ...], services: Services, now: datetime
) -> None:
    """Does to one finding what somebody ordered, by what is so now; to all others nothing.

    An order that is too old, was carried out, or is about an earlier episode does nothing. What a
    crash left is finished by this message's next delivery, however old the order is by then.
    """
    key = hint.order or ""
    ledger = services.ledger
    record = ledger.finding(key)
    if record is not None and record.state is State.ACTING and record.ordered_by is not None:
        if record.pending is None and planner.is_late(record, 0, now=now):
            message = f"finding {key}: another worker is at it; try again later"
            raise GatewayError(message, code="Busy", retryable=True)
        _follow(Follow(finding=key, ticket=0), rules=rules, services=services, now=now)
        return
    order = ledger.order(key, now=now)
    if order is None or record is None or not planner.is_to_be_carried_out(order, record):
        logger.info("order is over", event_id=hint.event_id, finding=key)
        return
    its = tuple(rule for rule in rules if rule.id == record.rule)
    settings = in_force(services.accepted(now), rules)
    claimed = facts.claimed(hint, settings.catalogue, settings.baselines)
    suspected = judge(its, claimed, hint=hint, settings=settings)
    case = _Case(hint=hint, rules=its, settings=settings, services=services, now=now, order=order)
    if not suspected:
        case.tell_not_done("its rule or settings have nothing against it any more")
    elif seconds := case.take(suspected):
        services.queue_of(record.rule).send(body, delay_seconds=seconds)


def _remember_tokens(claimed: Iterable[Subject], hint: Hint, services: Services) -> None:
    """Keeps when a SCIM token was made, and lets one go that is gone: no API tells of any.

    Where an event that deletes one doesn't name it, it is taken for the oldest of then: of one that
    comes again no further token goes.
    """
    ledger = services.ledger
    for subject in claimed if hint.origin == "event" else ():
        if not isinstance(subject, IdentityCenterChange) or subject.part is not Part.SCIM_TOKEN:
            continue
        named = subject.values.get("tokenId")
        if subject.change == "CreateBearerToken":
            ledger.scim_token_made(ScimToken(id=named or hint.event_id, made_at=hint.time))
        elif subject.change.startswith("Delete"):
            known = [token for token in ledger.scim_tokens() if token.made_at <= hint.time]
            known.sort(key=lambda token: token.made_at)
            is_all = subject.change == "DeleteProvisioningTenant"
            is_had = not is_all and named is None and ledger.scim_token_went_by(hint.event_id)
            guessed = [] if is_had else [token.id for token in (known if is_all else known[:1])]
            for gone in guessed if is_all or named is None else [named]:
                ledger.scim_token_gone(gone, by=hint.event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One suspicious event on its way through the pipeline."""

    hint: Hint
    rules: tuple[AnyRule, ...]
    settings: InForce
    services: Services
    now: datetime
    order: Order | None = None
    """By whose order one finding is acted on."""

    def take(self, suspected: list[Finding]) -> int:
        """Confirms what is suspected, and does all that follows.

        Returns after how many seconds the event has to come again, 0 where it needn't. Raises
        GatewayError(retryable), after everything else was done.
        """
        if not self.services.is_member(self.hint.account, self.now):
            _tell_of_stranger(self.hint, self.services, self.now)
            self.tell_not_done("its account is no active member of the organization")
            return 0
        try:
            if self.order is not None:
                self._carry_out(self.order, suspected)
                return 0
            confirmed, unconfirmed, exempt = self._looked_at(suspected)
            self.each(
                (
                    *((self.act, planned) for planned in self.plan(confirmed)),
                    *((self.settle, planned) for planned in self.plan_to_settle(unconfirmed)),
                    *((self.note, planned) for planned in exempt),
                )
            )
        except GatewayError as error:
            of_center = any(
                isinstance(it.subject, OfIdentityCenter | OfAccounts) for it in suspected
            )
            is_late = self.now - self.hint.time > converging.PATIENCE
            if error.code not in SOON_SECONDS or is_late or not of_center:
                raise
            return _soon(error.code, self.now - self.hint.time)
        return 0

    def _carry_out(self, order: Order, suspected: list[Finding]) -> None:
        """Acts on the one finding that an order is about, or records why not.

        What failed before, and isn't so any more, may be half done: an operator decides.
        """
        try:
            confirmed, _, exempt = self._looked_at(suspected)
        except GatewayError as error:
            if error.retryable:
                raise
            self.tell_not_done(f"{planner.OUT_OF_REACH}: {error}")
            return
        ledger = self.services.ledger
        record = ledger.finding(order.finding)
        if record is None or not planner.is_to_be_carried_out(order, record):
            return
        covered = [planned for planned in exempt if planned.finding.key == record.key]
        meant = [finding for finding in confirmed if finding.key == record.key]
        for planned in covered:
            self.note(planned)
        for finding in meant:
            planned = planner.plan_of_order(
                finding,
                order,
                record,
                settings=self.settings,
                hub_account=self.services.environment.hub_account,
                now=self.now,
            )
            self._act_as_ordered(planned)
        if covered or meant:
            return
        if record.state is State.OPEN:
            ledger.resolve(record, why=f"{planner.said(order)}; {GONE}", now=self.now)
        else:
            self.tell_not_done(GONE)

    def _act_as_ordered(self, planned: Plan) -> None:
        planned, before = self._with_what_is(planned)
        if planned.action is None:
            self.tell_not_done(planned.held or planner.UNIDENTIFIED)
            return
        begun = self._begin(planned, before)
        if begun.over_budget:
            self.tell_not_done(planner.OVER_BUDGET)
        elif begun.released:
            self.tell_not_done("an operator released it, and that holds")

    def tell_not_done(self, why: str) -> None:
        """Records that the order was not carried out, and has that told: it is over."""
        ledger, order = self.services.ledger, self.order
        record = ledger.finding(order.finding) if order is not None else None
        if order is None or record is None or not planner.is_to_be_carried_out(order, record):
            return
        logger.warning("order not carried out", finding=record.key, reason=why)
        count("OrdersNotDone")
        told = planner.not_carried_out(record, order, why, now=self.now)
        ledger.finish(told, replacing=record)

    def _looked_at(
        self, suspected: list[Finding]
    ) -> tuple[list[Finding], list[Finding], list[Plan]]:
        """What `confirm` finds; where AWS doesn't let Keyward look, that is recorded and told."""
        try:
            return self.confirm(suspected)
        except GatewayError as error:
            if not error.retryable or error.code in STALE_CREDENTIALS:
                self.services.forget(self.hint.account)
            if error.retryable or self.order is not None:
                raise
            return self.cannot_look(suspected, error), [], []

    def confirm(self, suspected: list[Finding]) -> tuple[list[Finding], list[Finding], list[Plan]]:
        """The findings that the present state bears out, those that it doesn't, the exempt ones.

        Who it is about is read first, so that an exemption costs no further call.
        """
        own = [finding for finding in suspected if isinstance(finding.subject, EventOnly)]
        others = [finding for finding in suspected if finding not in own]
        excused, own = self._without_exempt(own)
        if not others:
            return own, [], excused
        reach = self._reach_of_a_look()
        ledger = self.services.ledger
        known, gone = facts.identified(
            _subjects(others), hint=self.hint, reach=reach, ledger=ledger, now=self.now
        )
        judged = self._judge(known)
        exempt, named = self._without_exempt(judged)
        if self._is_look:  # what isn't there is exempt from nothing
            exempt, named = [], judged
        excused += [planned for planned in exempt if not planned.finding.reason.maybe]
        unsure = _subjects(finding for finding in named if finding.reason.maybe)
        present = facts.current(
            _subjects(named), reach=reach, ledger=ledger, now=self.now, unsure=unsure
        )
        judged = self._judge(present)
        exempt, confirmed = self._without_exempt(judged)
        borne_out = confirmed
        if self._is_look:
            excused, borne_out = excused + exempt, judged
        unconfirmed = [finding for finding in others if finding.subject in gone]
        unconfirmed += [finding for finding in named if not _is_borne_out(finding, borne_out)]
        return own + confirmed, unconfirmed, excused

    def plan(self, findings: Iterable[Finding]) -> list[Plan]:
        """One plan for each subject."""
        return planner.plan(
            findings,
            settings=self.settings,
            hub_account=self.services.environment.hub_account,
            now=self.now,
        )

    def plan_to_settle(self, findings: list[Finding]) -> list[Plan]:
        """One plan for each subject, but each of what Keyward only looks at for itself.

        Of that, any may be on record, and none is news: folded, the gravest would hide the others.
        """
        looks = [it for it in findings if it.reason.maybe or it.evidence.actor.is_keyward]
        others = [finding for finding in findings if finding not in looks]
        return [*self.plan(others), *(plan for finding in looks for plan in self.plan([finding]))]

    def act(self, planned: Plan) -> None:
        """Records a confirmed finding and, where the plan says so, acts on it."""
        if planned.action is None and self._is_told(planned.finding):
            return
        planned, before = self._with_what_is(planned)
        if planned.warns and planned.owner is None:
            planned = replace(planned, owner=self.maker(planned.finding))
        self._begin(planned, before)

    def _with_what_is(self, planned: Plan) -> tuple[Plan, Before | None]:
        """The plan with its objects named, and what an undo needs; held where AWS denies that."""
        if planned.action is None:
            return planned, None
        subject = planned.finding.subject
        reach = self.services.reach(self.hint.account, self.now)
        try:
            action, before = executor.look(planned.action, subject=subject, reach=reach)
        except GatewayError as error:
            if error.retryable or isinstance(error, NotFoundError):
                raise
            return _held(planned, error), None
        return replace(planned, action=action), _before_containment(subject, before)

    def _begin(self, planned: Plan, before: Before | None) -> Begun:
        """Writes finding and intent, and acts on an intent that was written."""
        begun = self.services.ledger.begin(planned, before=before, now=self.now)
        logger.info(
            "finding recorded",
            event_id=self.hint.event_id,
            rule=planned.finding.rule,
            finding=planned.finding.key,
            subject=planned.finding.subject.label,
            state=begun.record.state if begun.record else None,
            released=begun.released,
        )
        count("FindingsRecorded")
        count_by(
            "FindingsRecorded", rule=planned.finding.rule, severity=planned.finding.severity.value
        )
        if begun.proceed and not begun.took_over and planned.spend is not None:
            count("BudgetUsed")
        if begun.over_budget:
            self._tell_of_budget(planned)
        if begun.proceed and begun.record is not None and _shows_no_more(planned.finding.subject):
            self._have_finished(begun.record)
        self._complete(begun, before)
        return begun

    def maker(self, finding: Finding) -> str | None:
        """Who is to be warned where nothing names an owner: who made it, as the ledger has it.

        Asked only where the finding isn't known to have an owner.
        """
        ledger = self.services.ledger
        known = ledger.finding(finding.key)
        if known is not None and known.grace_until is not None:
            return None
        for key in planner.findings_of_making(finding):
            made = ledger.finding(key)
            if made is not None and (who := planner.maker_in(made)) is not None:
                return who
        return None

    def settle(self, planned: Plan) -> None:
        """Records a suspicion that the state doesn't bear out; finishes what a crash left."""
        begun = self.services.ledger.settle(planned, why=GONE, now=self.now)
        self._complete(begun, None)

    def note(self, planned: Plan) -> None:
        """Records an exempt finding: once, and nobody is bothered."""
        self.services.ledger.begin(planned, before=None, now=self.now)
        logger.info(
            "finding exempt",
            event_id=self.hint.event_id,
            rule=planned.finding.rule,
            subject=planned.finding.subject.label,
            exemption=planned.exempt_by,
        )

    def cannot_look(self, suspected: list[Finding], error: GatewayError) -> list[Finding]:
        """Records what is suspected where AWS doesn't let Keyward look; the sweep tries again.

        Returns the findings that need no look.
        """
        own = [finding for finding in suspected if isinstance(finding.subject, EventOnly)]
        others = [finding for finding in suspected if finding not in own]
        known = facts.recorded(
            _subjects(others), hint=self.hint, ledger=self.services.ledger, now=self.now
        )
        # A permission set is found there later on, whoever administers it from where.
        hub = self.services.environment.hub_account
        known = [replace(it, account=hub) if isinstance(it, PermissionSet) else it for it in known]
        exempt, judged = self._without_exempt(self._judge(known))
        self.each((self.note, planned) for planned in exempt)
        for planned in self.plan(map(_unseen, judged)):
            self.services.ledger.begin(_held(planned, error), before=None, now=self.now)
        logger.error(
            "cannot enforce in account",
            event_id=self.hint.event_id,
            account=self.hint.account,
            reason=str(error),
        )
        count("CannotEnforce")
        return own

    def each(self, steps: Iterable[tuple[Callable[[Plan], None], Plan]]) -> None:
        """Takes every step, whatever becomes of the others; then raises the first failure."""
        failures = []
        for step, planned in steps:
            try:
                step(planned)
            except GatewayError as error:
                logger.warning(
                    "step failed",
                    event_id=self.hint.event_id,
                    rule=planned.finding.rule,
                    subject=planned.finding.subject.label,
                    reason=str(error),
                )
                failures.append(error)
        if failures:
            raise failures[0]

    def _complete(self, begun: Begun, before: Before | None) -> None:
        """Acts on the intent that was written, where it is ours to act on."""
        record = begun.record
        if not begun.proceed or record is None or record.action is None:
            return
        if begun.took_over:
            held = self.services.ledger.containment(record.account, record.held_as)
            before = held.before if held is not None else before
        _finish(
            record,
            before=before or Before(),
            took_over=begun.took_over,
            services=self.services,
            now=self.now,
        )

    def _have_finished(self, record: FindingRecord) -> None:
        """Sees to it that a crash in the act is mended though the event tells of it no more."""
        seconds = math.ceil(self.services.environment.claim_seconds) + LEFT_SECONDS
        self.services.queue_of(record.rule).follow(record.key, ticket=0, delay_seconds=seconds)

    @property
    def _looks_at_user(self) -> bool:
        """Whether a sweep has an IAM user looked at: nobody did anything."""
        return _is_look_at_user(self.hint)

    @property
    def _is_look(self) -> bool:
        """Whether it is about what is so: nobody claims anything."""
        return self._looks_at_user or self.order is not None

    def _is_told(self, finding: Finding) -> bool:
        """Whether an event led to a finding of another rule, which names all of this one's.

        A look doesn't see all that an event tells: by itself it would tell the same once more.
        """
        ledger, subject = self.services.ledger, finding.subject
        if not self._looks_at_user or ledger.finding(finding.key) is not None:
            return False
        of = subject.owner.user_id if subject.owner is not None else subject.unique_id
        return any(
            record.unique_id == subject.unique_id
            and {finding.rule, *finding.also} <= {record.rule, *record.also}
            and planner.maker_in(record) is not None
            for record in (ledger.open_in(finding.account, of=of) if of is not None else ())
        )

    def _reach_of_a_look(self) -> Reach:
        """What a look needs; one at much of a user reads each list once."""
        reach = self.services.reach(self.hint.account, self.now)
        if not self._looks_at_user:
            return reach
        return replace(reach, iam=cache(lambda: reach.iam().reading_once()))

    def _judge(self, subjects: Iterable[Subject]) -> list[Finding]:
        return judge(self.rules, subjects, hint=self.hint, settings=self.settings)

    def _without_exempt(self, findings: list[Finding]) -> tuple[list[Plan], list[Finding]]:
        return planner.without_exempt(findings, settings=self.settings, now=self.now)

    def _tell_of_budget(self, planned: Plan) -> None:
        spend = planned.spend
        window = f"{spend.window}" if spend else "unknown"
        self.services.ledger.notice(
            Notice(
                kind="budget-spent",
                id=f"{planned.finding.account}-{window}",
                title="Action budget spent: Keyward only reports until the window ends",
                text=(
                    f"In account {planned.finding.account} or the whole organization, Keyward has "
                    f"acted as often as /keyward/settings allows in one window. Findings are still "
                    f"recorded. Look at them (keyward findings list --state open), and raise "
                    f"budgets only if the acts were right."
                ),
                severity=Severity.CRITICAL,
                at=self.now,
                account=planned.finding.account,
            )
        )
        count("BudgetSpent")


def _is_look_at_user(hint: Hint) -> bool:
    return hint.event_source == events.KEYWARD and hint.event_name == USER_CHECK


def _finish(
    record: FindingRecord, *, before: Before, took_over: bool, services: Services, now: datetime
) -> None:
    """Acts, reads back, and writes the outcome, or what is still awaited."""
    record = _as_wanted_now(record, services, now)
    if record.action is None:
        return
    action, name = record.action, record.action.name
    reach = services.reach(record.account, now)
    outcome: Done | Pending
    is_gone = False
    try:
        if took_over:
            before = executor.look_again(action, before, reach)
            record = _to_be_looked_at(record, now)
        outcome = executor.carry_out(
            action,
            before=before,
            pending=record.pending,
            reach=reach,
            ledger=services.ledger,
            sleep=services.sleep,
            now=now,
        )
        state = State.ACTED
    except NotFoundError:
        outcome, state = Done(text="gone before Keyward could act"), State.RESOLVED
    except GatewayError as error:
        if error.retryable and isinstance(record.action, IamAction):
            raise
        waits = record.pending or Pending(since=now, stage="begins")
        not_made = error.not_made if isinstance(error, NotGivenError) else frozenset()
        is_gone = error.code == INCOMPLETE
        failed = Done(text=str(error), not_made=not_made)
        outcome = converging.put_off(waits, error, now) or failed
        state = State.FAILED
    record = _with_what_was_made(record, outcome)
    if isinstance(outcome, Pending):
        releasing.follow(record, outcome, services=services, now=now)
        logger.info(
            "action under way",
            rule=record.rule,
            finding=record.key,
            subject=record.subject,
            action=name,
            stage=outcome.stage,
        )
        return
    finished = planner.finished(record, state, outcome=outcome.text, now=now)
    if outcome.aftercare is not None:
        releasing.follow(finished, outcome.aftercare, replacing=record, services=services, now=now)
    else:
        services.ledger.finish(finished, replacing=record)
    if is_gone and not _failed_of_late(record, now):
        _have_names_looked_up(record, services, now)
    _count_end(record, name, state, outcome)
    if finished.state is State.ACTED and not finished.evidence.by_itself:
        since = services.clock() - finished.evidence.event_time
        took("TimeToContain", max(0.0, since.total_seconds()))


def _count_end(record: FindingRecord, name: str, state: State, outcome: Done) -> None:
    logger.info(
        "action finished",
        event_id=record.evidence.event_id,
        rule=record.rule,
        finding=record.key,
        subject=record.subject,
        action=name,
        state=state,
        outcome=outcome.text,
    )
    if state is State.ACTED:
        count("ActionsVerified")
    elif state is State.FAILED:
        count("ActionsFailed")


def _soon(code: str, age: timedelta) -> int:
    """After how many seconds an event comes again; what takes longest is looked at ever less."""
    seconds = SOON_SECONDS[code]
    if code not in LONG:
        return seconds
    return min(max(seconds, round(age.total_seconds() / 2)), LONGEST_WAIT_SECONDS)


def _failed_of_late(record: FindingRecord, now: datetime) -> bool:
    return any(it.state is State.FAILED and now - it.at < NAMES_AGAIN for it in record.history)


def _have_names_looked_up(record: FindingRecord, services: Services, now: datetime) -> None:
    """Has the account looked at once more: what is gone may have been made anew by its name."""
    message = events.check_message(
        id_=f"again-{record.key}-{record.version}",
        account=services.environment.hub_account,
        region=services.environment.region,
        time=now,
        why=NAME_GONE,
        parameters={"account": record.account},
    )
    services.queue_of(record.rule).send(message, delay_seconds=NAMES_SECONDS)


def _to_be_looked_at(record: FindingRecord, now: datetime) -> FindingRecord:
    """The record of an act that a crash left: nobody knows how far it is before he looks."""
    if record.pending is not None or isinstance(record.action, IamAction):
        return record
    looks = Pending(since=now, stage="taken over", looks=1)
    return record.model_copy(update={"pending": looks})


def _with_what_was_made(record: FindingRecord, outcome: Done | Pending) -> FindingRecord:
    """The record with what the act made, as a release needs it.

    That is the ARN of a permission set; and of an account's access no more than what it was given:
    what somebody else gives it later is his.
    """
    made: AssignAccess | RecreatePermissionSet
    match record.action:
        case RecreatePermissionSet() as action if outcome.arn is not None:
            made = action.model_copy(update={"made": outcome.arn})
        case AssignAccess() as access if isinstance(outcome, Done) and outcome.not_made:
            given = tuple(it for it in access.assignments if about_of(it) not in outcome.not_made)
            made = access.model_copy(update={"assignments": given})
        case _:
            return record
    return record.model_copy(update={"action": made})


def _as_wanted_now(record: FindingRecord, services: Services, now: datetime) -> FindingRecord:
    """The same act by the catalogue of now: its owners may have changed it since it began."""
    action = record.action
    if not isinstance(action, RestorePermissionSet | RecreatePermissionSet):
        return record
    catalogue = catalogue_of(services.accepted(now).permission_sets)
    wanted = catalogue.get(action.target.permission_set_name, action.wanted)
    return record.model_copy(update={"action": action.model_copy(update={"wanted": wanted})})


def _follow(
    follow: Follow, *, rules: tuple[AnyRule, ...], services: Services, now: datetime
) -> None:
    """Looks how far an act or a release is that waits for Identity Center; nothing else waits."""
    record = services.ledger.finding(follow.finding)
    if record is None or planner.is_late(record, follow.ticket, now=now):
        return
    claim_seconds = services.environment.claim_seconds
    claimed = planner.looked_at(record, now=now, claim_seconds=claim_seconds)
    services.ledger.finish(claimed, replacing=record)
    if claimed.state is State.RELEASING:
        releasing.resume(claimed, services=services, now=now)
    elif claimed.state is State.ACTING and (why := _why_not(claimed, rules, services, now)):
        stopped = planner.interrupted(claimed, why, now=now)
        services.ledger.finish(stopped, replacing=claimed)
    elif claimed.state is State.ACTING:
        held = services.ledger.containment(record.account, record.held_as)
        before = held.before if held is not None else Before()
        was_left = claimed.pending is None
        _finish(claimed, before=before, took_over=was_left, services=services, now=now)
    elif claimed.action is not None and not isinstance(claimed.action, IamAction):
        _take_back(claimed, claimed.action, services=services, now=now)


def _why_not(
    record: FindingRecord, rules: tuple[AnyRule, ...], services: Services, now: datetime
) -> str | None:
    """Why an act must not go on: the rule only reports, or an exemption covers the user, by now.

    What somebody ordered needs no rule that enforces.
    """
    settings = in_force(services.accepted(now), rules)
    is_known = record.ordered_by is None and record.rule in settings.rules
    if is_known and settings.mode(record.rule, now) is not Mode.ENFORCE:
        return f"rule {record.rule} only reports now"
    if not isinstance(record.action, IamAction):
        return None
    of = record.action.target
    user = IamUser(account=of.account, name=of.user_name, user_id=of.user_id, arn=of.user_arn)
    name = settings.exemption(rule=record.rule, subject=user, now=now)
    return f"exemption {name} covers it now" if name else None


def _take_back(
    record: FindingRecord, action: IdentityCenterAction, *, services: Services, now: datetime
) -> None:
    """Takes back what was to stand only for a while after an act."""
    waits = record.pending
    try:
        if waits is not None:
            waits = converging.take_back(
                action,
                pending=waits,
                center=services.identity_center(now),
                ledger=services.ledger,
                now=now,
            )
    except NotFoundError:
        waits = None
    except GatewayError as error:
        waits = waits and converging.put_off(waits, error, now)
        if waits is None:
            raise
    if waits is not None:
        releasing.follow(record, waits, services=services, now=now)
        return
    done = record.model_copy(
        update={"pending": None, "claim_until": None, "version": record.version + 1}
    )
    services.ledger.finish(done, replacing=record)


def _have_looked_at_again(
    hint: Hint,
    claimed: Iterable[Subject],
    *,
    rules: Iterable[AnyRule],
    settings: InForce,
    services: Services,
) -> None:
    """Sees to it that Keyward comes back to an account once what a rule waits for is over."""
    accounts = [subject for subject in claimed if isinstance(subject, AccountAccess)]
    for rule in rules if hint.origin == "event" else ():
        seconds = rule.again_seconds(settings.rules[rule.id])
        if seconds is None or settings.rules[rule.id].mode is Mode.OFF:
            continue
        for account in accounts:
            message = facts.look_again(hint, account, after_seconds=seconds)
            if message is None:
                continue
            services.queue_of(rule.id).send(
                message, delay_seconds=min(seconds, LONGEST_WAIT_SECONDS)
            )


def _ready(
    rules: Iterable[AnyRule], suspected: list[Finding], hint: Hint, now: datetime
) -> tuple[tuple[AnyRule, ...], int]:
    """The rules that look now; and after how many seconds the last one that suspects something can.

    A change that comes in several calls is to be complete by then. What Keyward tells itself needs
    no waiting. An event from a clock that is ahead has just happened.
    """
    age = max((now - hint.time).total_seconds(), 0) if hint.origin == "event" else math.inf
    ready = tuple(rule for rule in rules if rule.patience_seconds <= age)
    patience = {rule.id: rule.patience_seconds for rule in rules}
    longest = max(patience[finding.rule] for finding in suspected)
    return ready, max(math.ceil(longest - age), 0) if age < longest else 0


def _before_containment(subject: Subject, before: Before) -> Before:
    """What a release restores of a credential that somebody switched on while it was contained."""
    if isinstance(subject, Contained) and not isinstance(subject.of, IamUser):
        return before.model_copy(
            update={"statuses": dict.fromkeys(before.statuses, subject.was_active)}
        )
    return before


def _shows_no_more(subject: Subject) -> bool:
    """Whether nothing leads to the subject once it is gone: its event is about an account.

    Who looks at the account again then doesn't find it, and could not finish what a crash left.
    """
    return isinstance(subject, AccountAssignment) and subject.expected is not None


def _unseen(finding: Finding) -> Finding:
    """The same where nobody could look: what only may be so is not told as if it were."""
    if not finding.reason.maybe:
        return finding
    text = f"Keyward could not look: {finding.reason.text}"
    return replace(finding, reason=replace(finding.reason, text=text))


def _held(planned: Plan, error: GatewayError) -> Plan:
    """The same plan where AWS doesn't let Keyward do it: told, and not done."""
    return replace(planned, action=None, spend=None, held=f"{planner.OUT_OF_REACH}: {error}")


def _subjects(findings: Iterable[Finding]) -> list[Subject]:
    """The findings' subjects, each once."""
    subjects: list[Subject] = []
    for finding in findings:
        if finding.subject not in subjects:
            subjects.append(finding.subject)
    return subjects


def _is_borne_out(suspected: Finding, confirmed: Iterable[Finding]) -> bool:
    """Whether the rule objects to the subject as it is: of what only may be so, just to that."""
    if suspected.reason.maybe:
        return any(finding.key == suspected.key for finding in confirmed)
    return any(_identity(finding) == _identity(suspected) for finding in confirmed)


def _identity(finding: Finding) -> tuple[str, str]:
    return finding.rule, finding.subject.unique_id or finding.subject.label


def _tell_of_stranger(hint: Hint, services: Services, now: datetime) -> None:
    """An event names an account that is no active member: nothing is read or done there."""
    logger.error(
        "event from an account that is no active member",
        event_id=hint.event_id,
        account=hint.account,
    )
    count("StrangerEvents")
    services.ledger.notice(
        Notice(
            kind="stranger",
            id=f"{hint.account}-{now:%Y-%m-%d}",
            title=f"Event from account {hint.account}, which is no active member",
            text=(
                f"{hint.event_name} (event {hint.event_id}) came from account {hint.account}, "
                f"which is no ACTIVE member of the organization. Nothing was done there. Is it "
                f"closed or suspended, or is the policy of event bus keyward too wide?"
            ),
            severity=Severity.HIGH,
            at=now,
            account=hint.account,
        )
    )
