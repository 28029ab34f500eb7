"""Judges what a sweep read of Identity Center, and has looked at what is new.

What is open and no longer so is looked at, too, or closed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from keyward import centersweep
from keyward.baselines import (
    Place,
    selecting,
    wanted,
)
from keyward.centerstep import Step
from keyward.centersweep import Holder, Phase, SeenSet
from keyward.facts.accounts import GRACE_OVER
from keyward.facts.directory import SCIM_TOKEN_AGE
from keyward.findings import FindingRecord, State, finding_key
from keyward.model import (
    AccountAssignment,
    AccountId,
    Expectation,
    IdentityCenterChange,
    Part,
    PermissionSet,
    PrincipalKind,
)
from keyward.principals import CONTROL_TOWER_GROUPS, CONTROL_TOWER_SETS
from keyward.rollout import decided
from keyward.settings import Mode
from keyward.sweep import IDENTITY_CENTER

CHUNK, ACCOUNTS = 100, 25
"""So many assignments are judged at once; and so many accounts, of which some cost a call."""

STALE = "baseline-assignment-stale"
FIRST_USER = "account-factory-user-assignment"
BY_BASELINE = frozenset({STALE, FIRST_USER})
"""Rules of account_baseline: their findings are of what is known here, and judged there."""

GRACE_MINUTES = 60
"""What rule account-factory-user-assignment waits where its settings don't say."""

FIRST_SETS = ("AWSAdministratorAccess",)
"""What it looks at where they don't."""

GONE = "not there any more when a sweep read all assignments"
IN_ORDER = "not so any more when a sweep read the permission set"
ANALYZER = "says IAM Access Analyzer"
ALLOWED = "there when a sweep read all assignments, and allowed by settings by now"
WANTED = "in order when a sweep read all assignments: baselines want it by now, or look elsewhere"


# Judging


def judge_held(work: Step) -> None:
    """Judges some assignments; what is new is looked at."""
    position = work.state.position
    some = work.every[position : position + CHUNK]
    if not some:
        work.enter(Phase.BASELINES)
        return
    bodies = [
        work.look_at(it.subject, it.key, record)
        for it, record in work.to_look_at(work.objections(some))
        if isinstance(it.subject, AccountAssignment)
    ]
    work.send(work.services.center_queue, bodies)
    work.state.position += len(some)


def judge_by_baselines(work: Step) -> None:
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


def _any_new(work: Step, rule: str, code: str, held: list[AccountAssignment]) -> bool:
    keys = {
        finding_key(rule=rule, account=it.account, unique_id=it.unique_id or "", code=code): it
        for it in held
    }
    work.state.found += keys
    known = work.ledger.findings(keys) if keys else {}
    return any(work.needs_look(rule, it, known.get(key)) for key, it in keys.items())


def _selected(work: Step, account: AccountId) -> tuple[str, ...] | None:
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


def _may_be_stale(work: Step, holder: Holder, seen: SeenSet) -> bool:
    if holder.kind is not PrincipalKind.GROUP or holder.name in CONTROL_TOWER_GROUPS:
        return False
    if work.mode(STALE) is Mode.OFF:
        return False
    exclusive = any(it.exclusive for it in work.settings.baselines.values())
    of_catalogue = exclusive and seen.name in work.settings.catalogue
    return of_catalogue or (seen.arn, holder.id) in work.everywhere


def _stale(work: Step, account: AccountId, selected: Iterable[str]) -> Iterator[AccountAssignment]:
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


def _may_be_first(work: Step, holder: Holder, seen: SeenSet) -> bool:
    if holder.kind is not PrincipalKind.USER or work.mode(FIRST_USER) is Mode.OFF:
        return False
    named = work.accepted.rules.get(FIRST_USER, {}).get("permission_sets", FIRST_SETS)
    sets = named if isinstance(named, list | tuple) else ()
    return seen.name in CONTROL_TOWER_SETS and seen.name in sets


def _first_users(work: Step, account: AccountId) -> Iterator[AccountAssignment]:
    """The assignments to people of what Account Factory assigns."""
    for holder, seen in work.by_account[account]:
        if _may_be_first(work, holder, seen):
            yield _by_baseline(work, account, holder, seen)


def _by_baseline(
    work: Step, account: AccountId, holder: Holder, seen: SeenSet
) -> AccountAssignment:
    return replace(work.assignment(account, seen.arn, holder), expected=Expectation())


def _grace_over(work: Step, account: AccountId) -> list[str]:
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


def judge_tokens(work: Step) -> None:
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


def settle(work: Step) -> None:
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


def _open(work: Step) -> Iterator[FindingRecord]:
    for wanted_state in (State.OPEN, State.FAILED):
        after = None
        while True:
            page, after = work.ledger.findings_in(wanted_state, limit=200, after=after)
            yield from (it for it in page if it.last_seen < work.state.started_at)
            if after is None:
                break


def _settle_one(work: Step, record: FindingRecord) -> None:
    match record.subject_kind:
        case "AccountAssignment" if work.runs(record.rule) or record.rule in BY_BASELINE:
            _settle_assignment(work, record)
        case "PermissionSet" if work.runs(record.rule):
            _settle_set(work, record)
        case "IdentityCenterChange" if work.runs(record.rule):
            _settle_token(work, record)
        case _:
            pass


def _settle_assignment(work: Step, record: FindingRecord) -> None:
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
    if held and record.key not in {it.key for it in work.judge([assignment])}:
        # A look would not even ask about it.
        work.ledger.resolve(record, why=ALLOWED, now=work.at)
        return
    work.send(work.services.center_queue, [work.look_at(assignment, record.key, record)])


def _is_clear(work: Step, record: FindingRecord) -> bool:
    """Whether it is known that no baseline objects: nobody knew too little to tell."""
    return record.rule == STALE and _selected(work, record.account) is not None


def _settle_set(work: Step, record: FindingRecord) -> None:
    if record.key in work.state.found or work.mode(record.rule) is Mode.OFF:
        return
    if {IDENTITY_CENTER, record.unique_id}.intersection(work.state.unread):
        return
    if _is_asked_of_nobody(work, record):
        work.ledger.resolve(record, why=IN_ORDER, now=work.at)
        return
    name = record.unique_id.removeprefix("permission-set/")
    parameter = "permissionSetArn" if name == record.unique_id else "permissionSetName"
    work.send(work.services.center_queue, [work.check(record.key, {parameter: name})])


def _is_asked_of_nobody(work: Step, record: FindingRecord) -> bool:
    """Whether this sweep read the set, or that it is gone, and a look would ask nothing about it.

    A look asks whether a rule objects at all; which policy it is to, only an event or the set
    tells. What IAM Access Analyzer says only events have it asked.
    """
    if not record.unique_id.startswith("arn:") or ANALYZER in record.reason:
        return False
    seen = next((it for it in work.state.sets if it.arn == record.unique_id), None)
    unread = PermissionSet(
        account=record.account, arn=record.unique_id, catalogue=work.settings.catalogue
    )
    is_asked = record.key in {it.key for it in work.judge([unread])}
    return not is_asked and (seen is None or seen.name is not None)


def _settle_token(work: Step, record: FindingRecord) -> None:
    """Closes the word about a token's age once it is gone, or older than that word says."""
    if record.key in work.state.found or work.mode(record.rule) is Mode.OFF:
        return
    keys = {
        finding_key(rule=record.rule, account=record.account, unique_id=record.unique_id, code=code)
        for code in ("aging", "expired")
    }
    if record.key in keys:
        work.ledger.resolve(record, why="renewed, deleted or expired by now", now=work.at)
