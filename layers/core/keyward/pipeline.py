"""The whole story on one screen: an event comes in, and what must be done about it is done.

parse -> judge -> confirm -> plan -> execute -> record; the ledger's stream tells.
Events are hints: what they claim decides only whether the present state is read, and the state is
judged by the same rules.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from keyward import events, executor, facts, planner
from keyward.actions import Before
from keyward.errors import STALE_CREDENTIALS, GatewayError, NotFoundError
from keyward.findings import Finding, Notice, Severity, State
from keyward.ledger import Begun
from keyward.model import Contained, Hint, IamUser, OwnResource, Subject
from keyward.observability import count, logger
from keyward.planner import Plan
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services

GONE = "not so any more when Keyward looked: nothing was done"


def enforce(body: str, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Judges one event and does what the rules ask for; a second delivery changes nothing.

    Raises EventError for what cannot be read, and GatewayError(retryable) for what a later
    delivery may mend: the latter after everything else about the event was done.
    """
    rules = tuple(rules)
    hint = events.parse(events.loads(body))
    settings = in_force(services.accepted(now), rules)
    suspected = judge(rules, facts.claimed(hint), hint=hint, settings=settings)
    if not suspected:
        return
    if not services.is_member(hint.account, now):
        _tell_of_stranger(hint, services, now)
        return
    case = _Case(hint=hint, rules=rules, settings=settings, services=services, now=now)
    try:
        confirmed, unconfirmed, exempt = case.confirm(suspected)
    except GatewayError as error:
        if error.retryable:
            if error.code in STALE_CREDENTIALS:
                services.forget(hint.account)
            raise
        services.forget(hint.account)
        confirmed, unconfirmed, exempt = case.cannot_look(suspected, error), [], []
    case.each(
        (
            *((case.act, planned) for planned in case.plan(confirmed)),
            *((case.settle, planned) for planned in case.plan(unconfirmed)),
            *((case.note, planned) for planned in exempt),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One suspicious event on its way through the pipeline."""

    hint: Hint
    rules: tuple[AnyRule, ...]
    settings: InForce
    services: Services
    now: datetime

    def confirm(self, suspected: list[Finding]) -> tuple[list[Finding], list[Finding], list[Plan]]:
        """The findings that the present state bears out, those that it doesn't, the exempt ones.

        Who it is about is read first, so that an exemption costs no further call.
        """
        own = [finding for finding in suspected if isinstance(finding.subject, OwnResource)]
        others = [finding for finding in suspected if finding not in own]
        if not others:
            return own, [], []
        iam = self.services.iam(self.hint.account, self.now)
        known, gone = facts.identified(
            _subjects(others),
            hint=self.hint,
            iam=iam,
            ledger=self.services.ledger,
            now=self.now,
        )
        exempt, named = self._without_exempt(self._judge(known))
        present = facts.current(_subjects(named), iam=iam)
        _, confirmed = self._without_exempt(self._judge(present))
        borne_out = {_identity(finding) for finding in confirmed}
        unconfirmed = [finding for finding in others if finding.subject in gone]
        unconfirmed += [finding for finding in named if _identity(finding) not in borne_out]
        return own + confirmed, unconfirmed, exempt

    def plan(self, findings: list[Finding]) -> list[Plan]:
        """One plan for each subject."""
        return planner.plan(
            findings,
            settings=self.settings,
            hub_account=self.services.environment.hub_account,
            now=self.now,
        )

    def act(self, planned: Plan) -> None:
        """Records a confirmed finding and, where the plan says so, acts on it."""
        before = None
        owner = planned.finding.subject.owner
        if planned.action is not None and owner is not None:
            iam = self.services.iam(self.hint.account, self.now)
            try:
                action, before = executor.look(planned.action, user=owner, iam=iam)
            except GatewayError as error:
                if error.retryable or isinstance(error, NotFoundError):
                    raise
                planned = _held(planned, error)
            else:
                planned = replace(planned, action=action)
                before = _before_containment(planned.finding.subject, before)
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
        if begun.over_budget:
            self._tell_of_budget(planned)
        self._complete(begun, before)

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
        own = [finding for finding in suspected if isinstance(finding.subject, OwnResource)]
        others = [finding for finding in suspected if finding not in own]
        known = facts.recorded(
            _subjects(others), hint=self.hint, ledger=self.services.ledger, now=self.now
        )
        for planned in self.plan(self._judge(known)):
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
        """Acts on the intent that was written, reads back, and writes the outcome."""
        record = begun.record
        if not begun.proceed or record is None or record.action is None:
            return
        ledger = self.services.ledger
        if begun.took_over:
            held = ledger.containment(record.account, record.unique_id)
            before = held.before if held is not None else before
        iam = self.services.iam(record.account, self.now)
        try:
            if begun.took_over:
                before = executor.look_again(record.action, before or Before(), iam)
            outcome = executor.carry_out(
                record.action, before=before or Before(), iam=iam, sleep=self.services.sleep
            )
            state = State.ACTED
        except NotFoundError:
            outcome, state = "gone before Keyward could act", State.RESOLVED
        except GatewayError as error:
            if error.retryable:
                raise
            outcome, state = str(error), State.FAILED
            count("ActionsFailed")
        ledger.finish(
            planner.finished(record, state, outcome=outcome, now=self.now), replacing=record
        )
        logger.info(
            "action finished",
            event_id=self.hint.event_id,
            rule=record.rule,
            finding=record.key,
            subject=record.subject,
            action=record.action.name,
            state=state,
            outcome=outcome,
        )
        if state is State.ACTED:
            count("ActionsVerified")

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


def _before_containment(subject: Subject, before: Before) -> Before:
    """What a release restores of a credential that somebody switched on while it was contained."""
    if isinstance(subject, Contained) and not isinstance(subject.of, IamUser):
        return before.model_copy(
            update={"statuses": dict.fromkeys(before.statuses, subject.was_active)}
        )
    return before


def _held(planned: Plan, error: GatewayError) -> Plan:
    """The same plan where AWS doesn't let Keyward do it: told, and not done."""
    return replace(planned, action=None, spend=None, held=f"cannot enforce here: {error}")


def _subjects(findings: Iterable[Finding]) -> list[Subject]:
    """The findings' subjects, each once."""
    subjects: list[Subject] = []
    for finding in findings:
        if finding.subject not in subjects:
            subjects.append(finding.subject)
    return subjects


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
