"""What an operator may ask for: one function an act, the same from the CLI and from Slack.

Every act is recorded with who asked and why. Invoking the operator function is the permission.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from keyward import bootstrapping, planner, releasing, rules, settling
from keyward.actions import IamAction
from keyward.alerts import Alert
from keyward.compiling import EXEMPTIONS, Parameter, compiled
from keyward.errors import GatewayError, KeywardError, RequestError
from keyward.events import check_message
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.observability import count, logger
from keyward.services import Services
from keyward.settings import Accepted, Mode, RuleId

RELEASABLE = frozenset({State.ACTED, State.FAILED, State.ACTING, State.RELEASING, State.OPEN})

EXEMPTABLE = frozenset(
    {
        "AccessKey",
        "AccountAssignment",
        "ConsolePassword",
        "Contained",
        "DirectoryIdentity",
        "GroupMembership",
        "IamPrincipal",
        "IamUser",
        "IdentityCenterChange",
        "PermissionSet",
        "SignIn",
        "StaticCredential",
        "UserPolicy",
    }
)
"""The kinds of subject that an exemption can name. Keyward's own parts and root users are none."""


class Request(BaseModel):
    """What is common to all requests: the act, and on whose behalf."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    act: str
    by: str = Field(min_length=1, max_length=300)


class FindingsRequest(Request):
    """Lists findings, oldest change first within each state."""

    states: tuple[State, ...] | None = None
    account: str | None = None
    rule: str | None = None
    limit: int = Field(default=100, ge=1, le=500)
    after: dict[str, dict[str, str]] | None = None


class FindingRequest(Request):
    """Shows one finding."""

    finding: str


class ReleaseRequest(FindingRequest):
    """Restores what was there before, and exempts it for some days."""

    reason: str = Field(min_length=3, max_length=500)
    days: int | None = Field(default=None, ge=1, le=90)


class ExemptRequest(FindingRequest):
    """Exempts the user of a finding from its rules, until then."""

    owner: str
    reason: str
    ticket: str
    until: AwareDatetime
    rules: tuple[RuleId, ...] | None = None


class PauseRequest(Request):
    """Puts the ceiling back to report for some hours."""

    hours: float = Field(gt=0, le=72)
    reason: str = Field(min_length=3, max_length=500)


class ResumeRequest(Request):
    """Ends a pause."""

    reason: str = Field(min_length=3, max_length=500)


class BootstrapRequest(Request):
    """Makes what the catalogue has and Identity Center lacks, or says what that is.

    It goes on `after` an item. `catalogue` is what the plan was made of, by its digest: of another
    one nothing is made.
    """

    plan: bool = True
    after: str | None = None
    catalogue: str | None = None


class PermissionSetsRequest(Request):
    """Lists permission sets with their attributes, those that come `after` an ARN."""

    after: str | None = None


def answer(request: object, *, services: Services, now: datetime) -> dict[str, object]:
    """What the act yields, or one line that says why not: {"ok": true, ...} or {"ok": false, ...}.

    Raises GatewayError only where AWS is out of reach in a way that a later try may mend.
    """
    name = request.get("act") if isinstance(request, Mapping) else None
    if not isinstance(name, str) or name not in ACTS:
        return _refusal(f"unknown act {name!r}: one of {', '.join(sorted(ACTS))}")
    model, act = ACTS[name]
    try:
        typed = model.model_validate(request)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _refusal(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    logger.info("operator asked", act=name, by=typed.by)
    count("OperatorActs")
    try:
        return {"ok": True, **act(typed, services, now)}
    except GatewayError as error:
        if error.retryable:
            raise
        return _refusal(str(error))
    except KeywardError as error:
        return _refusal(str(error))


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


def _finding(request: FindingRequest, services: Services, _now: datetime) -> dict[str, object]:
    return {"finding": _existing(request.finding, services).model_dump(mode="json")}


def _release(request: ReleaseRequest, services: Services, now: datetime) -> dict[str, object]:
    """Restores what was there before; a second call finishes what a crash left half done."""
    record = _existing(request.finding, services)
    held = services.ledger.containment(record.account, record.held_as)
    is_contained = record.state in {State.EXEMPT, State.RELEASED} and held is not None
    if record.state not in RELEASABLE and not is_contained:
        message = f"finding {record.key} is {record.state}: there is nothing to release"
        raise RequestError(message)
    if _claimed(record, now):
        message = f"finding {record.key} is being worked on: try again in two minutes"
        raise RequestError(message)
    released, restored = releasing.release(
        record,
        by=request.by,
        reason=request.reason,
        days=request.days or services.accepted(now).settings.release_days,
        services=services,
        now=now,
    )
    return {"finding": released.model_dump(mode="json"), "restored": restored}


def _claimed(record: FindingRecord, now: datetime) -> bool:
    busy = record.state in {State.ACTING, State.RELEASING}
    return busy and record.claim_until is not None and now < record.claim_until


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


def _status(_request: Request, services: Services, now: datetime) -> dict[str, object]:
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
    ]
    return {"contained": contained, "steps": steps}


def _is_containment(record: FindingRecord) -> bool:
    """Whether somebody is held, or may be: what was put right in Identity Center holds nobody."""
    return record.action is None or isinstance(record.action, IamAction)


def _all_in(state: State, services: Services) -> list[FindingRecord]:
    found, after = services.ledger.findings_in(state, limit=500)
    while after is not None:
        page, after = services.ledger.findings_in(state, limit=500, after=after)
        found += page
    return found


def _test_alert(request: Request, services: Services, now: datetime) -> dict[str, object]:
    message = Alert(
        subject="[LOW] Keyward test alert: nothing happened",
        body=f"Asked for by {request.by} at {now:%Y-%m-%d %H:%M:%S} UTC. Nothing to do.",
        attributes={"kind": "test", "severity": Severity.LOW.value},
    )
    return {
        "message_id": services.sns.publish(
            subject=message.subject, body=message.body, attributes=message.attributes
        )
    }


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
    """Lets the guard look at the sets that were made: that they were missing is then settled."""
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
                )
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
    "exempt": (ExemptRequest, _exempt),
    "pause": (PauseRequest, _pause),
    "resume": (ResumeRequest, _resume),
    "status": (Request, _status),
    "test-alert": (Request, _test_alert),
    "uninstall-plan": (Request, _uninstall_plan),
    "bootstrap": (BootstrapRequest, _bootstrap),
    "permission-sets": (PermissionSetsRequest, _permission_sets),
}
"""What can be asked for: the request's model, and what answers it."""
