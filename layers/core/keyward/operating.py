"""What an operator may ask for: one function an act, the same from the CLI and from Slack.

Every act that changes something is recorded with who asked and why, before it begins and once it
has ended. Invoking the operator function is the permission; of Slack's buttons the list in settings
is. Some releases take two people: then it counts who proved to be whom.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from keyward import (
    bootstrapping,
    confirming,
    inventory,
    ordering,
    people,
    planner,
    proving,
    redriving,
    releasing,
    reporting,
    rollouts,
    routing,
    rules,
    settling,
    standing,
    sweeps,
)
from keyward.actions import IamAction
from keyward.alerts import Alert
from keyward.baselines import SELECTED, baselines_of
from keyward.compiling import EXEMPTIONS, Parameter, compiled
from keyward.errors import GatewayError, KeywardError, RequestError
from keyward.events import check_message
from keyward.exemptions import EXEMPTABLE
from keyward.facts import access
from keyward.findings import Awaited, FindingRecord, Notice, Severity, State, finding_key
from keyward.model import Access, AccountAccess
from keyward.observability import count, logger
from keyward.people import Caller
from keyward.requests import (
    ActsRequest,
    BaselineAccountRequest,
    BaselineApplyRequest,
    BaselinePlanRequest,
    BaselineRolloutRequest,
    BaselineRolloutsRequest,
    BaselineStopRequest,
    BootstrapRequest,
    ExemptRequest,
    FindingRequest,
    FindingsRequest,
    InventoryRequest,
    NoteRequest,
    PauseRequest,
    PermissionSetsRequest,
    QuarantineRequest,
    RedriveRequest,
    ReleaseRequest,
    ReplayedRequest,
    ReplayRequest,
    ReportRequest,
    Request,
    ResumeRequest,
    StatusRequest,
    SweepConfirmRequest,
    SweepPlanRequest,
    SweepRequest,
    SweepStartRequest,
)
from keyward.rollout import Rollout, RolloutState, digests, in_scope
from keyward.rule import in_force
from keyward.services import Services
from keyward.settings import Accepted, Mode
from keyward.told import TOPIC, ActRecord

RELEASABLE = frozenset({State.ACTED, State.FAILED, State.ACTING, State.RELEASING, State.OPEN})

MISSING = "baseline-assignment-missing"
"""The rule that gives accounts the access of their baselines; `missing` is its only code."""

PLAN_LASTS = timedelta(hours=24)
"""A plan is applied within so long: accounts come, move and close meanwhile."""

ACCOUNTS_A_PAGE = 200
PAIRS_A_PAGE = 20_000
"""So many accounts, or assignments of theirs, are in one answer: Lambda sends 6 MB at most.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

FINDINGS_OF_ACCOUNT = 100
"""So many findings of one account are listed with its status."""

OF_NOTE = (State.OPEN, State.FAILED, State.ACTING, State.RELEASING, State.ACTED)
"""The states of findings that somebody may still do something about, the most urgent first."""


APPROVED_WITHIN = timedelta(hours=24)
"""So long a release that takes two people waits for the second."""

type Outcome = Literal["done", "waiting", "refused", "failed"]


def answer(
    request: object, *, services: Services, now: datetime, caller: Caller | None = None
) -> dict[str, object]:
    """What the act yields, or one line that says why not: {"ok": true, ...} or {"ok": false, ...}.

    `caller` is who pressed a button; None where the function was invoked, and the request says it.
    An answer with "waiting" says what has to come first: nothing was done yet.

    Raises GatewayError only where AWS is out of reach in a way that a later try may mend.
    """
    name = request.get("act") if isinstance(request, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(name, str) or name not in ACTS:
        return _refusal(f"unknown act {name!r}: one of {', '.join(sorted(ACTS))}")
    model, act = ACTS[name]
    try:
        typed = model.model_validate(request)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _refusal(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    if typed.changes:
        try:
            asker = caller or _invoker(typed, request, services, now)
        except RequestError as error:
            logger.warning("proof refused", act=name)
            count("ProofsRefused")
            return _refusal(str(error))
        typed = typed.asked_by(asker)
    logger.info("operator asked", act=name, by=typed.by)
    count("OperatorActs")
    _note(typed, "failed", "begun, and never ended", services)
    try:
        done = act(typed, services, now)
    except GatewayError as error:
        _note(typed, "failed" if error.retryable else "refused", str(error), services, at_end=True)
        if error.retryable:
            raise
        return _refusal(str(error))
    except KeywardError as error:
        _note(typed, "refused", str(error), services, at_end=True)
        return _refusal(str(error))
    waiting = done.get("waiting") if name == "release" else None
    _note(typed, "waiting" if waiting else "done", str(waiting or ""), services, at_end=True)
    return {"ok": True, **done}


def _invoker(
    typed: Request, request: Mapping[str, object], services: Services, now: datetime
) -> Caller:
    """Who invoked the function: proven where there is a proof, else as the request says.

    Where STS is out of reach nothing is proven, and what needs no proof goes on. Raises
    RequestError where a proof is no good.
    """
    arn, proven = typed.by, False
    if typed.proof is not None:
        try:
            arn = _proven(typed.proof, request, services, now)
        except GatewayError as error:
            logger.warning("caller not proven", reason=str(error))
        else:
            proven = True
    return Caller(
        via="invocation",
        identity=arn,
        label=arn,
        proven=proven,
        at=now,
        id=uuid.uuid4().hex[:12],
    )


def _proven(proof: str, request: Mapping[str, object], services: Services, now: datetime) -> str:
    callers = services.callers
    path = proving.path_of(proof, endpoint=callers.endpoint, now=now)
    said = callers.identity(path, header=(proving.HEADER, proving.bound_to(request)))
    return proving.arn_in(said, account=services.environment.hub_account)


def _note(
    typed: Request, outcome: Outcome, text: str, services: Services, *, at_end: bool = False
) -> None:
    """Keeps what is asked for; at the end what came of it, in the same place.

    Where that can't be kept at first, GatewayError is raised and nothing is done; at the end what
    is done is done, and the log alone has it.
    """
    caller = typed.caller
    if caller is None:
        return
    record = ActRecord(
        at=caller.at,
        id=caller.id,
        via=caller.via,
        by=caller.label,
        proven=caller.proven,
        act=typed.act,
        finding=getattr(typed, "finding", None),
        reason=str(getattr(typed, "reason", "") or getattr(typed, "note", "")),
        outcome=outcome,
        text=text[:500],
    )
    try:
        services.ledger.note_act(record)
    except GatewayError:
        if not at_end:
            raise
        logger.error("act not recorded", act=typed.act, by=caller.label, outcome=outcome)


def _refusal(text: str) -> dict[str, object]:
    return {"ok": False, "error": text}


def _findings(request: FindingsRequest, services: Services, _now: datetime) -> dict[str, object]:
    states = request.states or tuple(State)
    found: list[FindingRecord] = []
    after, following = request.after, None
    for state in states:
        if after is not None and after["gsi_state"]["S"] != state.value:
            continue
        while len(found) < request.limit:
            page, following = services.ledger.findings_in(
                state, limit=request.limit - len(found), after=after
            )
            found += [record for record in page if _wanted(record, request)]
            after = following
            if following is None:
                break
        if following is not None:
            break
    return {
        "findings": [record.model_dump(mode="json") for record in found],
        "next": following,
    }


def _wanted(record: FindingRecord, request: FindingsRequest) -> bool:
    return request.account in {None, record.account} and (
        request.rule is None or request.rule in {record.rule, *record.also}
    )


def _finding(request: FindingRequest, services: Services, now: datetime) -> dict[str, object]:
    """The finding, whether its release takes two people, and whether it waits for the second."""
    record = _existing(request.finding, services)
    takes_two = _takes_two(record, services)
    return {
        "finding": record.model_dump(mode="json"),
        "two_people": takes_two,
        "waits": takes_two and _awaited(record, now) is not None,
    }


def _release(request: ReleaseRequest, services: Services, now: datetime) -> dict[str, object]:
    """Restores what was there before; a second call finishes what a crash left half done.

    What takes two people waits for the second; who asks as the second approves.
    """
    record = _releasable(request.finding, services, now)
    if (
        not _takes_two(record, services) or record.state is State.RELEASING
    ):  # that it goes on was agreed to
        return _released(
            record,
            by=request.by,
            reason=request.reason,
            days=request.days,
            services=services,
            now=now,
        )
    caller = _who(request)
    awaited = _awaited(record, now)
    if awaited is not None:
        listed = _accepted(services).settings.operators.people
        why = people.same_person(awaited.person, caller.identity, listed)
        if why is not None:
            message = (
                f"finding {record.key}: {awaited.by} asked for its release at "
                f"{awaited.at:%Y-%m-%d %H:%M} UTC, which takes another person; {why}"
            )
            raise RequestError(message)
        return _approved(record, awaited, by=request.by, services=services, now=now)
    asked = Awaited(
        by=request.by, person=caller.identity, at=now, reason=request.reason, days=request.days
    )
    waits = planner.awaiting(record, asked, now=now)
    services.ledger.finish(waits, replacing=record)
    return {
        "waiting": f"needs a second person: keyward approve {record.key}",
        "finding": waits.model_dump(mode="json"),
    }


def _takes_two(record: FindingRecord, services: Services) -> bool:
    """Whether one person may ask for its release and another one must say yes.

    A release frees the subject, for whichever finding's sake it is held: one that is critical, and
    not over, is enough.
    """
    if not _accepted(services).settings.operators.two_people:
        return False
    ledger = services.ledger
    held = ledger.containment(record.account, record.held_as)
    keys = {
        key
        for unique_id in releasing.freed(record, held)
        for key in ledger.findings_of(record.account, unique_id)
    }
    over = {State.RELEASED, State.RESOLVED}
    others = ledger.findings(sorted(keys - {record.key})).values()
    return record.severity is Severity.CRITICAL or any(
        it.severity is Severity.CRITICAL and it.state not in over for it in others
    )


def _approve(request: NoteRequest, services: Services, now: datetime) -> dict[str, object]:
    """Releases what another person asked to have released."""
    record = _releasable(request.finding, services, now)
    caller = _who(request)
    if record.state is State.RELEASING:  # an approval that a crash left half done
        return _released(
            record,
            by=request.by,
            reason="an approval goes on",
            days=None,
            services=services,
            now=now,
        )
    awaited = _awaited(record, now)
    if awaited is None:
        message = (
            f"finding {record.key}: nobody has asked for its release within 24 hours: keyward "
            f"release {record.key}"
        )
        raise RequestError(message)
    listed = _accepted(services).settings.operators.people
    why = people.same_person(awaited.person, caller.identity, listed)
    if why is not None:
        message = (
            f"finding {record.key}: its release, asked for by {awaited.by}, takes another person's "
            f"approval; {why}"
        )
        raise RequestError(message)
    return _approved(record, awaited, by=request.by, services=services, now=now)


def _approved(
    record: FindingRecord, awaited: Awaited, *, by: str, services: Services, now: datetime
) -> dict[str, object]:
    """Releases it for the days and the reason that the first person gave."""
    return _released(
        record,
        by=f"{awaited.by}, approved by {by}",
        reason=awaited.reason,
        days=awaited.days,
        services=services,
        now=now,
    )


def _released(  # noqa: PLR0913 - all of it by name
    record: FindingRecord,
    *,
    by: str,
    reason: str,
    days: int | None,
    services: Services,
    now: datetime,
) -> dict[str, object]:
    released, restored = releasing.release(
        record,
        by=by,
        reason=reason,
        days=days or services.accepted(now).settings.release_days,
        services=services,
        now=now,
    )
    return {"finding": released.model_dump(mode="json"), "restored": restored}


def _releasable(key: str, services: Services, now: datetime) -> FindingRecord:
    """The finding, which can be released now. Raises RequestError."""
    record = _existing(key, services)
    held = services.ledger.containment(record.account, record.held_as)
    is_contained = record.state in {State.EXEMPT, State.RELEASED} and held is not None
    if record.state not in RELEASABLE and not is_contained:
        message = f"finding {record.key} is {record.state}: there is nothing to release"
        raise RequestError(message)
    _not_claimed(record, now)
    return record


def _not_claimed(record: FindingRecord, now: datetime) -> None:
    if _claimed(record, now):
        message = f"finding {record.key} is being worked on: {_how_long(record, now)}"
        raise RequestError(message)


def _who(request: Request) -> Caller:
    """Who asks. Raises RequestError where nothing proves it: one person could say to be two."""
    if request.caller is None or not request.caller.proven:
        message = (
            "a release that takes two people needs proof of who asks, which this request lacks: "
            "keyward sends it, and so do Slack's buttons"
        )
        raise RequestError(message)
    return request.caller


def _awaited(record: FindingRecord, now: datetime) -> Awaited | None:
    """The release that waits for a second person; None where none does, or did for too long."""
    awaited = record.awaited
    return awaited if awaited is not None and now - awaited.at <= APPROVED_WITHIN else None


def _acknowledge(request: NoteRequest, services: Services, now: datetime) -> dict[str, object]:
    record = _existing(request.finding, services)
    if record.state.closed:
        message = f"finding {record.key} is {record.state}: there is nothing to look at"
        raise RequestError(message)
    if (seen := record.acknowledged) is not None:
        message = f"finding {record.key}: acknowledged by {seen.by} at {seen.at:%Y-%m-%d %H:%M} UTC"
        raise RequestError(message)
    _not_claimed(record, now)
    acknowledged = planner.acknowledged(record, by=request.by, note=request.note, now=now)
    services.ledger.finish(acknowledged, replacing=record)
    return {"finding": acknowledged.model_dump(mode="json")}


def _quarantine(request: QuarantineRequest, services: Services, now: datetime) -> dict[str, object]:
    record = _existing(request.finding, services)
    if not ordering.is_carried_out(record, request.by, now):
        _not_claimed(record, now)
        if (why := ordering.may_order(record)) is not None:
            message = f"finding {record.key}: {why}"
            raise RequestError(message)
    ordering.order(record, by=request.by, reason=request.reason, services=services, now=now)
    return {"ordered": record.key}


def _acts(request: ActsRequest, services: Services, now: datetime) -> dict[str, object]:
    day = now if request.day is None else datetime.combine(request.day, time(), tzinfo=UTC)
    return {"acts": [it.model_dump(mode="json") for it in services.ledger.acts_on(day)]}


def _report_start(request: Request, services: Services, now: datetime) -> dict[str, object]:
    return {"report": reporting.start(by=request.by, services=services, now=now)}


def _report(request: ReportRequest, services: Services, now: datetime) -> dict[str, object]:
    return {"links": reporting.found(request.report, services=services, now=now)}


def _claimed(record: FindingRecord, now: datetime) -> bool:
    busy = record.state in {State.ACTING, State.RELEASING}
    return busy and record.claim_until is not None and now < record.claim_until


def _how_long(record: FindingRecord, now: datetime) -> str:
    """What to do until a claim ends: a worker's in a minute or two, a rollout's much later."""
    if record.claim_until is None or record.claim_until - now <= timedelta(minutes=5):
        return "try again in two minutes"
    stage = f"{record.pending.stage}, " if record.pending else ""
    until = f"{record.claim_until:%Y-%m-%d %H:%M} UTC"
    return f"{stage}until {until} at most: try again then, or stop what is at it"


def _exempt(request: ExemptRequest, services: Services, now: datetime) -> dict[str, object]:
    record = _existing(request.finding, services)
    if record.subject_kind not in EXEMPTABLE:
        message = f"finding {record.key} is about {record.subject}: it cannot be exempted"
        raise RequestError(message)
    covered = request.rules or (record.rule, *record.also)
    whom = record.user_id.lower() if record.user_id else record.subject_kind.lower()
    named = {"user_id": record.user_id} if record.user_id else {"unique_id": record.unique_id}
    name = f"{whom}-{record.key[:8]}-{request.until:%Y%m%d}"
    parameter = Parameter(
        name=f"{EXEMPTIONS}{name}",
        version=0,
        value=json.dumps(
            {
                "owner": request.owner,
                "reason": request.reason,
                "ticket": request.ticket,
                "until": request.until.isoformat(),
                "account": record.account,
                **named,
                "rules": covered,
            },
            indent=2,
        ),
    )
    trial = compiled({parameter.name: parameter}, previous=None, rules=rules.every(), now=now)
    if trial.refused:
        raise RequestError(trial.refused[0].text)
    services.ssm.put_exemption(name, parameter.value)
    settling.settle(ssm=services.ssm, ledger=services.ledger, rules=rules.every(), now=now)
    if record.state in {State.OPEN, State.FAILED} and record.rule in covered:
        services.ledger.finish(planner.exempted(record, name, now=now), replacing=record)
    return {"exemption": name, "parameter": parameter.name}


def _pause(request: PauseRequest, services: Services, now: datetime) -> dict[str, object]:
    until = now + timedelta(hours=request.hours)
    _set_pause(until, services, now)
    services.ledger.notice(
        Notice(
            kind="paused",
            id=f"{now.timestamp():.0f}",
            title=f"Keyward only reports until {until:%Y-%m-%d %H:%M} UTC",
            text=f"Paused by {request.by}: {request.reason}. End it early: keyward resume.",
            severity=Severity.HIGH,
            at=now,
        )
    )
    return {"paused_until": until.isoformat()}


def _resume(request: ResumeRequest, services: Services, now: datetime) -> dict[str, object]:
    _set_pause(None, services, now)
    services.ledger.notice(
        Notice(
            kind="resumed",
            id=f"{now.timestamp():.0f}",
            title="Keyward enforces again as settings say",
            text=f"Resumed by {request.by}: {request.reason}.",
            severity=Severity.MEDIUM,
            at=now,
        )
    )
    return {}


def _set_pause(until: datetime | None, services: Services, now: datetime) -> None:
    accepted = services.ledger.accepted()
    if accepted is None:
        message = "no settings are in force yet: nothing enforces, nothing to pause"
        raise RequestError(message)
    services.ledger.accept(
        accepted.model_copy(
            update={"paused_until": until, "version": accepted.version + 1, "compiled_at": now}
        ),
        replacing=accepted.version,
    )


def _status(request: StatusRequest, services: Services, now: datetime) -> dict[str, object]:
    if request.account is not None:
        return _status_of(request.account, services, now)
    if request.accounts:
        return standing.page(services, after=request.after)
    stored = services.ledger.accepted()
    accepted = stored or services.accepted(now)
    records = {state: _all_in(state, services) for state in State}
    return {
        "settings_version": accepted.version,
        "compiled_at": accepted.compiled_at.isoformat() if accepted.compiled_at else None,
        "ceiling": accepted.ceiling(now).value,
        "paused_until": accepted.paused_until.isoformat() if accepted.paused_until else None,
        "rules": {
            rule.id: str(accepted.rules.get(rule.id, {}).get("mode", Mode.REPORT.value))
            for rule in rules.every()
        },
        "counts": {state.value: len(found) for state, found in records.items()},
        "contained": sum(_is_containment(record) for record in records[State.ACTED]),
        **standing.summary(services, now),
    }


def _uninstall_plan(_request: Request, services: Services, _now: datetime) -> dict[str, object]:
    acted = [
        record
        for state in (State.ACTED, State.FAILED, State.ACTING, State.RELEASING)
        for record in _all_in(state, services)
        if _is_containment(record)
    ]
    contained = [
        {
            "account": record.account,
            "user": record.user_name,
            "action": record.action.name if record.action else None,
            "finding": record.key,
        }
        for record in acted
    ]
    steps = [
        "set the ceiling to report in /keyward/settings, and wait a minute",
        *(
            f"keyward release {record.key} --reason uninstall"
            f"   # {record.subject} in {record.account}"
            for record in acted
        ),
        "sam delete --stack-name keyward   # StackSets take the members' parts away",
        "delete what is kept on purpose: table keyward-ledger, parameters /keyward/*",
        "empty and delete what else is kept: buckets keyward-inventory-... and keyward-reports-...",
    ]
    return {"contained": contained, "steps": steps}


def _is_containment(record: FindingRecord) -> bool:
    """Whether somebody is held, or may be: what was put right in Identity Center holds nobody."""
    return record.action is None or isinstance(record.action, IamAction)


def _all_in(state: State, services: Services) -> list[FindingRecord]:
    return list(services.ledger.every(state))


def _test_alert(request: Request, services: Services, now: datetime) -> dict[str, object]:
    """Tells the alert topic at once; every other place that settings name, by the notifier."""
    message = Alert(
        subject="[LOW] Keyward test alert: nothing happened",
        body=f"Asked for by {request.by} at {now:%Y-%m-%d %H:%M:%S} UTC. Nothing to do.",
        attributes={"kind": "test", "severity": Severity.LOW.value},
    )
    alerts = services.accepted(now).settings.alerts
    others = routing.beside(alerts)
    if others:
        services.ledger.notice(
            Notice(
                kind="test",
                id=f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
                title="Keyward test alert: nothing happened",
                text=message.body,
                severity=Severity.LOW,
                at=now,
                to=others,
            )
        )
    sent = services.sns.publish(
        subject=message.subject, body=message.body, attributes=message.attributes
    )
    return {"message_id": sent, "places": [TOPIC, *others]}


def _bootstrap(request: BootstrapRequest, services: Services, now: datetime) -> dict[str, object]:
    accepted = services.ledger.accepted() or Accepted()
    catalogue = bootstrapping.digest(accepted)
    if not request.plan and request.catalogue != catalogue:
        message = "the catalogue changed after it was planned: look at a new plan"
        raise RequestError(message)
    progress = bootstrapping.carry_on(
        accepted, plan=request.plan, after=request.after, services=services, now=now
    )
    made = [step for step in progress.steps if step.outcome is not None]
    for step in made:
        write = logger.error if step.failed else logger.info
        write("bootstrap step", kind=step.kind, object=step.name, outcome=step.outcome)
    count("BootstrapMade", sum(not step.failed for step in made))
    if made:
        services.ledger.notice(_notice_of_bootstrap(made, by=request.by, now=now))
    _have_checked(made, services, now)
    return {"catalogue": catalogue, **_PROGRESS.dump_python(progress, mode="json")}


def _have_checked(made: list[bootstrapping.Step], services: Services, now: datetime) -> None:
    """Lets the guard look at the sets that were made: that they were missing is then settled.

    Not before it has read the catalogue again, which was mostly written a moment ago.
    """
    for step in made:
        if step.kind == "permission-set" and not step.failed:
            services.center_queue.send(
                check_message(
                    id_=f"bootstrap-{now.timestamp():.0f}",
                    account=services.environment.hub_account,
                    region=services.environment.region,
                    time=now,
                    why="Bootstrapped",
                    parameters={"permissionSetName": step.name},
                ),
                delay_seconds=settling.CHECK_SECONDS,
            )


def _notice_of_bootstrap(made: list[bootstrapping.Step], *, by: str, now: datetime) -> Notice:
    lines = [f"{step.kind} {step.name}: {step.outcome}" for step in made]
    failed = sum(step.failed for step in made)
    return Notice(
        kind="bootstrapped",
        id=f"{now.timestamp():.0f}-{made[0].kind}-{made[0].name}",
        title=f"Bootstrap of the catalogue: {len(made) - failed} made, {failed} failed",
        text=f"Asked for by {by}. {'. '.join(lines)}.",
        severity=Severity.MEDIUM if failed else Severity.LOW,
        at=now,
    )


def _permission_sets(
    request: PermissionSetsRequest, services: Services, now: datetime
) -> dict[str, object]:
    listed = bootstrapping.listed(after=request.after, services=services, now=now)
    return dict(_LISTED.dump_python(listed, mode="json"))


def _baseline_plan(
    request: BaselinePlanRequest, services: Services, now: datetime
) -> dict[str, object]:
    """Begins a plan, which takes its time: nothing comes of it until somebody applies it."""
    accepted = _accepted(services)
    if not accepted.baselines:
        message = "no baselines are in force: keyward settings push brings those of a folder"
        raise RequestError(message)
    kind, _, name = request.scope.partition(" ")
    if kind == "baseline" and name not in accepted.baselines:
        those = ", ".join(sorted(accepted.baselines))
        message = f"no baseline is called {name}: there are {those}"
        raise RequestError(message)
    rollout = rollouts.begin(
        request.scope,
        automatic=False,
        by=request.by,
        reason="asked for a plan",
        services=services,
        now=now,
    )
    return {"rollout": _in_numbers(rollout, accepted, now)}


def _accepted(services: Services) -> Accepted:
    """The settings in force, read anew: not those that a warm function remembers."""
    return services.ledger.accepted() or Accepted()


def _baseline_rollouts(
    request: BaselineRolloutsRequest, services: Services, now: datetime
) -> dict[str, object]:
    older = [
        rollout
        for rollout in reversed(services.ledger.rollouts())
        if request.after is None or rollout.id < request.after
    ]
    page, accepted = older[: request.limit], _accepted(services)
    return {
        "rollouts": [_in_numbers(rollout, accepted, now) for rollout in page],
        "next": page[-1].id if len(older) > len(page) else None,
    }


def _baseline_rollout(
    request: BaselineRolloutRequest, services: Services, now: datetime
) -> dict[str, object]:
    rollout = _existing_rollout(request.id, services)
    found: dict[str, object] = {"rollout": _in_numbers(rollout, _accepted(services), now)}
    if not request.accounts:
        return found
    rows, following = _accounts_of(rollout, after=request.after)
    found |= {"accounts": rows, "next": following}
    if request.after is None:
        found |= {
            "pairs": [
                {
                    "group": pair.group_name or pair.group_id,
                    "permission_set": pair.permission_set_name or pair.permission_set_arn,
                    "baselines": pair.baselines,
                }
                for pair in rollout.pairs
            ],
            "unknown": rollout.unknown,
        }
    return found


def _accounts_of(
    rollout: Rollout, *, after: str | None
) -> tuple[list[dict[str, object]], str | None]:
    """A page of the accounts that something is to be said of, and where the next page begins."""
    accounts = sorted(rollout.missing.keys() | rollout.skipped.keys() | rollout.failed.keys())
    rows: list[dict[str, object]] = []
    pairs = 0
    for account in accounts:
        if after is not None and account <= after:
            continue
        missing = () if account in rollout.skipped else rollout.missing.get(account, ())
        pairs += len(missing)
        if rows and (len(rows) >= ACCOUNTS_A_PAGE or pairs > PAIRS_A_PAGE):
            return rows, str(rows[-1]["account"])
        rows.append(
            {
                "account": account,
                "name": rollout.names.get(account),
                "missing": missing,
                "skipped": rollout.skipped.get(account),
                "failed": rollout.failed.get(account, ()),
            }
        )
    return rows, None


def _baseline_apply(
    request: BaselineApplyRequest, services: Services, now: datetime
) -> dict[str, object]:
    """Lets a plan run. Where it runs already nothing changes: an answer may have been lost."""
    rollout, accepted = _existing_rollout(request.id, services), _accepted(services)
    if rollout.state is RolloutState.RUNNING:
        running = rollouts.apply(rollout.id, by=request.by, services=services, now=now)
        return {"rollout": _in_numbers(running, accepted, now)}
    if rollout.state is not RolloutState.PLANNED:
        message = f"rollout {rollout.id} is {rollout.state}: keyward baseline plan makes a new one"
        if rollout.state is RolloutState.PLANNING:
            message = f"rollout {rollout.id} is still being planned: try again in a minute"
        raise RequestError(message)
    if (why := _outdated(rollout, accepted, now)) is not None:
        message = f"rollout {rollout.id}: {why}: keyward baseline plan makes a new one"
        raise RequestError(message)
    if request.total not in {None, rollout.total}:
        message = f"rollout {rollout.id} is about {rollout.total} assignments by now: look again"
        raise RequestError(message)
    mode = in_force(accepted, rules.every()).mode(MISSING, now)
    if mode is not Mode.ENFORCE:
        message = f"rule {MISSING} is in mode {mode}: nothing is assigned until it enforces"
        raise RequestError(message)
    running = rollouts.apply(rollout.id, by=request.by, services=services, now=now)
    return {"rollout": _in_numbers(running, accepted, now)}


def _outdated(rollout: Rollout, accepted: Accepted, now: datetime) -> str | None:
    """Why a plan must not be carried out any more; None where it may."""
    if now - (rollout.planned_at or rollout.created_at) > PLAN_LASTS:
        return f"the plan is older than {PLAN_LASTS / timedelta(hours=1):.0f} hours"
    if rollout.baselines != digests(in_scope(baselines_of(accepted.baselines), rollout.scope)):
        return "baselines changed since it was planned"
    return None


def _baseline_stop(
    request: BaselineStopRequest, services: Services, now: datetime
) -> dict[str, object]:
    rollout = _existing_rollout(request.id, services)
    if rollout.state.over:
        message = f"rollout {rollout.id} is {rollout.state}: there is nothing to stop"
        raise RequestError(message)
    by = f"{request.by}: {request.reason}"
    stopped = rollouts.stop(rollout.id, by=by, services=services, now=now)
    return {"rollout": _in_numbers(stopped, _accepted(services), now)}


def _existing_rollout(id_: str, services: Services) -> Rollout:
    rollout = services.ledger.rollout(id_)
    if rollout is None:
        message = f"no rollout {id_}: keyward baseline rollouts shows those that there are"
        raise RequestError(message)
    return rollout


def _in_numbers(rollout: Rollout, accepted: Accepted, now: datetime) -> dict[str, object]:
    """What of a rollout always fits into an answer; what it says of each account is paged."""
    left = None if rollout.state.over else rollouts.remaining(rollout, now)
    waits = rollout.state is RolloutState.PLANNED
    return {
        **rollout.model_dump(
            mode="json",
            include={
                "id",
                "state",
                "scope",
                "automatic",
                "by",
                "reason",
                "created_at",
                "started_at",
                "ended_at",
                "stopping",
                "accounts",
                "assigned",
                "total",
                "outcome",
            },
        ),
        "found": len(rollout.places),
        "selected": len(rollout.wanted),
        "to_read": len(rollout.units) + len(rollout.untagged) + len(rollout.looks or ()),
        "under_way": len(rollout.asked),
        "failed": sum(map(len, rollout.failed.values())),
        "skipped": len(rollout.skipped),
        "unknown": len(rollout.unknown),
        "remaining_seconds": None if left is None else round(left.total_seconds()),
        "outdated": _outdated(rollout, accepted, now) if waits else None,
    }


def _baseline_account(
    request: BaselineAccountRequest, services: Services, now: datetime
) -> dict[str, object]:
    finding = _finding_of_access(request.account, services)
    return {
        **_access_of(request.account, services, now),
        "finding": finding.model_dump(mode="json") if finding else None,
        "rollouts": _rollouts_with(request.account, services),
    }


def _finding_of_access(account: str, services: Services) -> FindingRecord | None:
    unique_id = str(AccountAccess(account=account).unique_id)
    key = finding_key(rule=MISSING, account=account, unique_id=unique_id, code="missing")
    return services.ledger.finding(key)


def _access_of(account: str, services: Services, now: datetime) -> dict[str, object]:
    """What an account's baselines want and what it has; `unread` says why that can't be told."""
    found: dict[str, object] = {
        "account": account,
        "name": None,
        "state": None,
        "baselines": (),
        "wanted": [],
        "unknown": (),
        "unread": None,
    }
    try:
        described = services.organization.account(account)
        if described is None:
            return found | {"unread": "the organization has no such account"}
        found |= {"name": described.name, "state": described.state}
        if described.state != SELECTED:
            return found
        read = access.described(
            AccountAccess(account=account, name=described.name, state=described.state),
            reach=services.reach(account, now),
            ledger=services.ledger,
        )
    except GatewayError as error:
        logger.warning("account not read", account=account, reason=str(error))
        return found | {"unread": str(error)}
    lacks = {it.key for it in read.missing or ()}
    return found | {
        "baselines": read.baselines,
        "wanted": [_wish(it, has=it.key not in lacks) for it in read.wanted or ()],
        "unknown": read.unknown,
    }


def _wish(wanted: Access, *, has: bool) -> dict[str, object]:
    return {
        "group": wanted.group_name or wanted.group_id,
        "permission_set": wanted.permission_set_name or wanted.permission_set_arn,
        "baselines": wanted.baselines,
        "has": has,
    }


def _rollouts_with(account: str, services: Services) -> list[dict[str, object]]:
    """The rollouts that are still to bring the account something."""
    return [
        {"id": rollout.id, "state": rollout.state.value, "lacking": len(pairs)}
        for rollout in services.ledger.rollouts()
        if not rollout.state.over
        and account not in rollout.skipped
        and (pairs := rollout.missing.get(account))
    ]


def _status_of(account: str, services: Services, now: datetime) -> dict[str, object]:
    """One account in short: its baselines' access, findings to look at, and what is held."""
    has_baselines = bool(_accepted(services).baselines)
    request = BaselineAccountRequest(act="baseline-account", by="status", account=account)
    records = (
        record
        for state in OF_NOTE
        for record in _all_in(state, services)
        if record.account == account
    )
    page = list(islice(records, FINDINGS_OF_ACCOUNT + 1))
    return {
        "account": account,
        "seen": standing.one(account, services),
        "access": _baseline_account(request, services, now) if has_baselines else None,
        "findings": [
            {
                "key": record.key,
                "severity": record.severity.value,
                "state": record.state.value,
                "rule": record.rule,
                "subject": record.subject,
                "waits_for": record.pending.stage if record.pending else None,
            }
            for record in page[:FINDINGS_OF_ACCOUNT]
        ],
        "more_findings": len(page) > FINDINGS_OF_ACCOUNT,
        "contained": [
            {
                "user": held.action.target.user_name,
                "unique_id": held.unique_id,
                "action": held.action.name,
                "finding": held.finding,
                "since": held.contained_at.isoformat(),
            }
            for held in services.ledger.contained(account, now=now)
            if isinstance(held.action, IamAction)
        ],
    }


def _sweep_start(
    request: SweepStartRequest, services: Services, now: datetime
) -> dict[str, object]:
    sweep = sweeps.begin(full=request.full, by=request.by, services=services, now=now)
    return {"sweep": sweep.model_dump(mode="json"), "begun": sweep.started_at == now}


def _sweep(request: SweepRequest, services: Services, _now: datetime) -> dict[str, object]:
    sweep = services.ledger.sweep(request.id)
    if sweep is None:
        message = f"no sweep {request.id}: keyward sweep begins one"
        raise RequestError(message)
    seen = services.ledger.seen_by(sweep.id)
    sweeps.wake(sweep, seen=seen, services=services)
    unread = sorted(it.account for it in seen if not it.ok)
    return {
        "sweep": sweep.model_dump(mode="json"),
        "seen": len(seen),
        "suspected": sum(it.suspected for it in seen),
        "unread": unread[:ACCOUNTS_A_PAGE],
    }


def _sweep_plan(request: SweepPlanRequest, services: Services, now: datetime) -> dict[str, object]:
    return confirming.shown(
        request.rule,
        existing=request.existing,
        after=request.after,
        services=services,
        now=now,
    )


def _sweep_confirm(
    request: SweepConfirmRequest, services: Services, now: datetime
) -> dict[str, object]:
    return confirming.confirm(
        request.rule, request.digest, by=request.by, services=services, now=now
    )


def _redrive(request: RedriveRequest, services: Services, _now: datetime) -> dict[str, object]:
    if request.name is None:
        return {"waiting": redriving.waiting(services)}
    return redriving.redrive(request.name, run=request.run, services=services)


def _replay(request: ReplayRequest, services: Services, now: datetime) -> dict[str, object]:
    return redriving.replay(start=request.start, end=request.end, services=services, now=now)


def _replayed(request: ReplayedRequest, services: Services, _now: datetime) -> dict[str, object]:
    return redriving.replayed(request.replay, services)


def _inventory(request: InventoryRequest, services: Services, _now: datetime) -> dict[str, object]:
    return inventory.page(
        sweep=request.sweep,
        kind=request.kind,
        account=request.account,
        after=request.after,
        services=services,
    )


_PROGRESS = TypeAdapter(bootstrapping.Progress)
_LISTED = TypeAdapter(bootstrapping.Listed)


def _existing(key: str, services: Services) -> FindingRecord:
    record = services.ledger.finding(key)
    if record is None:
        message = f"no finding {key}: keyward findings list shows those that there are"
        raise RequestError(message)
    return record


ACTS: dict[str, tuple[type[Request], Callable[..., dict[str, object]]]] = {
    "findings": (FindingsRequest, _findings),
    "finding": (FindingRequest, _finding),
    "release": (ReleaseRequest, _release),
    "approve": (NoteRequest, _approve),
    "acknowledge": (NoteRequest, _acknowledge),
    "quarantine": (QuarantineRequest, _quarantine),
    "acts": (ActsRequest, _acts),
    "report-start": (Request, _report_start),
    "report": (ReportRequest, _report),
    "exempt": (ExemptRequest, _exempt),
    "pause": (PauseRequest, _pause),
    "resume": (ResumeRequest, _resume),
    "status": (StatusRequest, _status),
    "test-alert": (Request, _test_alert),
    "uninstall-plan": (Request, _uninstall_plan),
    "bootstrap": (BootstrapRequest, _bootstrap),
    "permission-sets": (PermissionSetsRequest, _permission_sets),
    "baseline-plan": (BaselinePlanRequest, _baseline_plan),
    "baseline-rollouts": (BaselineRolloutsRequest, _baseline_rollouts),
    "baseline-rollout": (BaselineRolloutRequest, _baseline_rollout),
    "baseline-apply": (BaselineApplyRequest, _baseline_apply),
    "baseline-stop": (BaselineStopRequest, _baseline_stop),
    "baseline-account": (BaselineAccountRequest, _baseline_account),
    "sweep-start": (SweepStartRequest, _sweep_start),
    "sweep": (SweepRequest, _sweep),
    "sweep-plan": (SweepPlanRequest, _sweep_plan),
    "sweep-confirm": (SweepConfirmRequest, _sweep_confirm),
    "redrive": (RedriveRequest, _redrive),
    "replay": (ReplayRequest, _replay),
    "replayed": (ReplayedRequest, _replayed),
    "inventory": (InventoryRequest, _inventory),
}
"""What can be asked for: the request's model, and what answers it."""
