"""A sweep in one account: reads its IAM in a handful of calls, and has the suspects looked at.

What it suspects goes the way of every event: a check on the guard's own queue, which reads just
that user again before anything is done.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched

from keyward import events, own, planner, survey
from keyward.errors import STALE_CREDENTIALS, EventError, GatewayError, NotFoundError
from keyward.events import SweepPart, SweepStep
from keyward.findings import FindingRecord, finding_key
from keyward.gateways.forwarders import MISSING
from keyward.gateways.iam_report import IamReportGateway
from keyward.model import CredentialKind, Hint, IamUser, OwnResource
from keyward.observability import count, logger
from keyward.principals import MEMBER_ROLE
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import IAM_REGION, Services, Visit
from keyward.settings import Mode
from keyward.survey import Ask, Snapshot
from keyward.sweep import Swept

REPORT_SECONDS = (10, 30, 60, 120, 300, 600)
"""So long is waited for a credential report each time; mostly the first look finds it.

Each look is a call, and five are enough for an account.
"""

SETTLED = timedelta(hours=2)
"""So long after an account has joined nobody wonders that it isn't ready."""

NAMES_TOGETHER = 50
"""So many users' SSH keys are read for one message: a call each."""

OF_SSH_KEYS = " (SSH keys)"
"""How the role is called where only these can't be read, which only full sweeps try."""

TAMPERED = "keyward-tampered"
"""The rule that judges what Keyward is made of."""


def step(of: SweepStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Looks at one account (ACCOUNT), or at its users' SSH keys (SSH_KEYS).

    What can't be read, in an account that can't be entered or where a policy denies, is a finding
    and the end of it. Raises GatewayError(retryable), and EventError for a step of another kind.
    """
    if of.account is None or of.part not in {SweepPart.ACCOUNT, SweepPart.SSH_KEYS}:
        message = f"sweep {of.id}: {of.part} is no step in an account"
        raise EventError(message)
    rules = tuple(rules)
    try:
        if of.part is SweepPart.SSH_KEYS:
            _ssh_keys(of, of.account, services=services, now=now)
        else:
            _look(of, of.account, rules=rules, services=services, now=now)
    except GatewayError as error:
        if error.retryable or error.code in STALE_CREDENTIALS:
            services.forget(of.account)
            raise
        _cannot_look(of, of.account, str(error), rules=rules, services=services, now=now)


def _look(
    of: SweepStep, account: str, *, rules: tuple[AnyRule, ...], services: Services, now: datetime
) -> None:
    """Reads the account, and sends, resolves and remembers what follows."""
    visit = services.visit(account)
    snapshot = _snapshot(of, account, visit.iam, services, now)
    if snapshot is None:
        return
    ledger, settings = services.ledger, in_force(services.accepted(now), rules)
    hint = _hint(of, account, services, now)
    open_findings = ledger.open_in(account)
    seen = survey.survey(
        snapshot,
        rules=rules,
        settings=settings,
        hint=hint,
        contained=ledger.contained(account, now=now),
        open_findings=open_findings,
        before=ledger.looked(account),
        full=of.full,
    )
    checks = [user_check(ask, hint) for ask in seen.asks]
    names = [it.name for it in snapshot.authorizations.users] if of.full else []
    ssh_steps = [
        events.sweep_message(replace(of, part=SweepPart.SSH_KEYS, users=tuple(some), ticket=number))
        for number, some in enumerate(batched(names, NAMES_TOGETHER, strict=False))
    ]
    services.iam_sweep_queue.send_all([*checks, *ssh_steps])
    # From here on a crash costs no second look at all of these.
    ledger.remember_look(account, seen.looked)
    for record, why in seen.over:
        ledger.resolve(record, why=why, now=now)
    forwarders = _forwarders(account, visit, services)
    wrong = [
        own.not_forwarding(account, rule, region, why)
        for (rule, region), why in forwarders.items()
        if why
    ]
    _tell_of_own(
        wrong, open_findings, hint=hint, rules=rules, settings=settings, services=services, now=now
    )
    not_kept = _keep_inventory(of, snapshot, services)
    lines = snapshot.report.users.values()
    swept = Swept(
        sweep=of.id,
        account=account,
        at=now,
        full=of.full,
        ok=not_kept is None,
        why=not_kept,
        forwarders={f"{rule}@{region}": why for (rule, region), why in forwarders.items()},
        users=len(snapshot.authorizations.users),
        keys=sum(key.active for line in lines for key in line.keys),
        suspected=len(checks),
        calls=visit.iam.calls,
    )
    ledger.saw(swept)
    logger.info(
        "account swept",
        sweep=of.id,
        account=account,
        users=swept.users,
        suspected=swept.suspected,
        resolved=len(seen.over),
        calls=swept.calls,
    )


def _snapshot(
    of: SweepStep, account: str, iam: IamReportGateway, services: Services, now: datetime
) -> Snapshot | None:
    """All of the account's IAM; None where the report is still being made, and this comes again.

    Raises GatewayError: code NoReport where it isn't made for long.
    """
    report = iam.report() if of.ticket or iam.begin_report() else None
    if report is None:
        if of.ticket >= len(REPORT_SECONDS):
            message = f"GetCredentialReport in {account}: not made after {of.ticket} looks"
            raise GatewayError(message, code="NoReport")
        again = events.sweep_message(replace(of, ticket=of.ticket + 1))
        services.iam_sweep_queue.send(again, delay_seconds=REPORT_SECONDS[of.ticket])
        return None
    return Snapshot(
        account=account,
        at=now,
        report=report,
        authorizations=iam.authorizations(),
        credentials=iam.service_credentials(),
    )


def _keep_inventory(of: SweepStep, snapshot: Snapshot, services: Services) -> str | None:
    """Writes what the account's users hold; why not, where that is denied: nothing hangs on it.

    Raises GatewayError(retryable).
    """
    if services.inventory is None:
        return None
    key = f"inventory/{of.id}/iam/{snapshot.account}.jsonl"
    try:
        services.inventory.put_lines(key, survey.inventory(snapshot))
    except GatewayError as error:
        if error.retryable:
            raise
        logger.error("inventory not kept", sweep=of.id, account=snapshot.account, reason=str(error))
        return str(error)
    return None


def _forwarders(account: str, visit: Visit, services: Services) -> dict[tuple[str, str], str]:
    """What is wrong with each of Keyward's forwarding rules there, by name and region; "": nothing.

    Where AWS doesn't let Keyward look, that is what is wrong.
    """
    hub, region = services.environment.hub_account, services.environment.region
    wanted = [(rule, IAM_REGION) for rule in own.MEMBER_FORWARDERS]
    if account == hub:
        wanted = [] if region == IAM_REGION else wanted
        wanted += [(rule, region) for rule in own.HUB_FORWARDERS]
        wanted += [("keyward-forward", region)] if region == IAM_REGION else []
    found = {}
    for rule, where in wanted:
        try:
            why = visit.forwarders(where).wrong(
                rule, bus=f"events:{region}:{hub}:event-bus/keyward"
            )
        except GatewayError as error:
            if error.retryable:
                raise
            why = f"can't be read: {error}"
        if not (why == MISSING and rule in own.MAY_BE_ELSEWHERE):
            found[rule, where] = why
    return found


def _cannot_look(  # noqa: PLR0913 - all of it by name
    of: SweepStep,
    account: str,
    why: str,
    *,
    rules: tuple[AnyRule, ...],
    services: Services,
    now: datetime,
) -> None:
    """Records that the account is out of reach; where it has just joined, or left, no finding."""
    logger.error("cannot look into account", sweep=of.id, account=account, reason=why)
    count("AccountsOutOfReach")
    services.forget(account)
    role = services.environment.function
    if account != services.environment.hub_account:
        role = MEMBER_ROLE
        described = services.organization.account(account)
        if described is None or described.state != "ACTIVE":
            why = "no active member of the organization any more"
            services.ledger.saw(Swept(sweep=of.id, account=account, at=now, ok=False, why=why))
            return
        if described.joined is not None and now - described.joined < SETTLED:
            why = f"joined lately, and not ready: {why}"
            services.ledger.saw(Swept(sweep=of.id, account=account, at=now, ok=False, why=why))
            return
    role += OF_SSH_KEYS if of.part is SweepPart.SSH_KEYS else ""
    _tell_of_own(
        [own.out_of_reach(account, role, why)],
        (),
        hint=_hint(of, account, services, now),
        rules=rules,
        settings=in_force(services.accepted(now), rules),
        services=services,
        now=now,
    )
    services.ledger.saw(Swept(sweep=of.id, account=account, at=now, ok=False, why=why))


def _tell_of_own(  # noqa: PLR0913 - all of it by name
    wrong: Iterable[OwnResource],
    open_findings: Iterable[FindingRecord],
    *,
    hint: Hint,
    rules: tuple[AnyRule, ...],
    settings: InForce,
    services: Services,
    now: datetime,
) -> None:
    """Records what is wrong with Keyward's own parts in the account; resolves what is right again.

    A finding that is there already isn't told again.
    """
    findings = judge(rules, tuple(wrong), hint=hint, settings=settings)
    hub = services.environment.hub_account
    for planned in planner.plan(findings, settings=settings, hub_account=hub, now=now):
        services.ledger.begin(planned, before=None, now=now)
    if settings.mode(TAMPERED, now) is Mode.OFF:
        return
    still = {finding.key for finding in findings}
    for record in open_findings:
        is_of_ssh = record.unique_id.endswith(OF_SSH_KEYS)
        if record.key not in still and not is_of_ssh and _is_ours(record):
            services.ledger.resolve(record, why="a sweep found it right again", now=now)


def _is_ours(record: FindingRecord) -> bool:
    """Whether a sweep found it: of what an event told, no sweep knows whether it is over."""
    return any(
        record.key
        == finding_key(rule=TAMPERED, account=record.account, unique_id=record.unique_id, code=code)
        for code in (own.OUT_OF_REACH, own.NOT_FORWARDING)
    )


def _ssh_keys(of: SweepStep, account: str, *, services: Services, now: datetime) -> None:
    """Has those of these users looked at who have an active SSH key: no list shows all users'."""
    iam = services.iam(account, now)
    hint = _hint(of, account, services, now)
    checks = []
    for name in of.users:
        user = IamUser(account=account, name=name)
        try:
            keys = iam.credentials(user, CredentialKind.SSH_PUBLIC_KEY).values()
        except NotFoundError:
            continue
        if any(key.active for key in keys):
            id_ = f"ssh-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
            checks.append(user_check(Ask(id=id_, user=user, looks=("credentials",)), hint))
    services.iam_sweep_queue.send_all(checks)
    if of.ticket == 0:
        is_hub = account == services.environment.hub_account
        role = services.environment.function if is_hub else MEMBER_ROLE
        out_of_reach = own.out_of_reach(account, f"{role}{OF_SSH_KEYS}", "")
        for record in services.ledger.open_in(account, of=out_of_reach.unique_id):
            if _is_ours(record):
                services.ledger.resolve(record, why="a sweep found it right again", now=now)


def user_check(ask: Ask, hint: Hint) -> str:
    """Keyward's word to itself to look at one user: see facts/iam.py."""
    parameters = {
        "looks": ",".join(ask.looks),
        "keys": _list(ask.keys),
        "credentials": _list(ask.credentials),
        "policies": _list(ask.policies),
        "since": ask.since.isoformat() if ask.since is not None else "",
        **(_of_user(ask.user) if ask.user is not None else {}),
    }
    return events.check_message(
        id_=f"{hint.event_id}-{ask.id}",
        account=hint.account,
        region=hint.region,
        time=hint.time,
        why=events.USER_CHECK,
        parameters={name: value for name, value in parameters.items() if value},
    )


def _of_user(user: IamUser) -> Mapping[str, str]:
    return {
        "userName": user.name,
        "userId": user.user_id or "",
        "createdAt": user.created_at.isoformat() if user.created_at is not None else "",
    }


def _list(ids: Iterable[str]) -> str:
    """Ids with commas between; IAM allows commas in names."""
    return ",".join(it.replace("%", "%25").replace(",", "%2C") for it in ids)


def _hint(of: SweepStep, account: str, services: Services, now: datetime) -> Hint:
    """What a sweep judges by: nobody did anything, it only looks."""
    return events.own_look(
        id_=f"sweep-{of.id}",
        why=events.USER_CHECK,
        time=now,
        account=account,
        region=services.environment.region,
    )
