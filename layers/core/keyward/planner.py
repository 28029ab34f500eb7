"""findings + settings + exemptions + budgets -> what to do. Pure: no clock, no AWS, no log.

The two questions that it answers: what is to be done about a finding (`plan`), and what becomes of
the ledger's record of it (`advance`, `settle`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from keyward.actions import (
    DENY_ALL_ARN,
    AccountTarget,
    Action,
    AssignAccess,
    AssignmentTarget,
    Before,
    DeactivateAccessKeys,
    DeactivateCredential,
    DetachPolicy,
    Enforcement,
    IamAction,
    Pending,
    PermissionSetTarget,
    ProvisionPermissionSet,
    QuarantineUser,
    RecreatePermissionSet,
    RemoveAssignment,
    RestorePermissionSet,
    Target,
)
from keyward.findings import (
    Acknowledged,
    Awaited,
    Finding,
    FindingRecord,
    Moment,
    RecordedEvidence,
    Severity,
    State,
    Would,
    finding_key,
)
from keyward.model import (
    AccessKey,
    AccountAccess,
    AccountAssignment,
    AccountLifecycle,
    ConsolePassword,
    Contained,
    IamUser,
    IdentityCenterChange,
    OfIdentityCenter,
    OrganizationChange,
    OwnResource,
    PermissionSet,
    PermissionSetAttributes,
    PrincipalKind,
    RootAccessKey,
    StaticCredential,
    Subject,
    UserPolicy,
)
from keyward.principals import CONTROL_TOWER_SETS, protected, recognised
from keyward.rule import InForce
from keyward.settings import Mode
from keyward.text import clean
from keyward.told import Order

LOOP_TIMES, LOOP_WINDOW = 5, timedelta(hours=1)
"""Access that was given so often within so long, and is missing again, is not given once more."""

LOOP = (
    f"given {LOOP_TIMES} times within an hour and taken away each time: somebody else disagrees; "
    "Keyward gives it again with the first event about the account after that hour"
)

EXISTED = "existed before the rule began to enforce"

UNIDENTIFIED = "what to act on could not be identified"

ONLY_REPORTED = "it is only ever reported"

OVER_BUDGET = "the action budget of this window is spent"

AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""When an act is due that needs no warning: before all others."""

NEVER = datetime.max.replace(tzinfo=UTC)
"""When nothing is due."""

MADE_BY = "made by "
MADE_BY_OTHERS = frozenset(
    MADE_BY + who for who in ("Control Tower", "Identity Center", "AWS service-linked role")
)
"""Why what somebody made who is recognised isn't acted on: see principals.recognised."""

FORGOTTEN = timedelta(days=30)
"""So long after its day nobody reckons with an act that was announced: it is announced anew."""

FREE = frozenset({Enforcement.REAPPLY, Enforcement.ASSIGN_ACCESS})
"""What costs no budget: it touches nothing new, or only gives what owners wrote down."""

OUT_OF_REACH = "cannot enforce here"
"""How what held Keyward back begins where AWS didn't let it look, or act."""

LATE = timedelta(hours=1)
"""An event that is older was replayed, or waited: what there is may have come about since."""

MAY_BE_A_TOOLS = "its event is late: a tool may have assigned it for a time since"

HISTORY_LENGTH = 30
"""So many last moments of a finding are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What an action takes from the budgets: limits that already include a critical reserve."""

    window: int
    window_ends: datetime
    organization_limit: int
    account_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done about one finding.

    `action` is None where nothing is to be done but tell; `held` then says why, where the rule
    asks for more. `spend` is None where nothing new is touched: putting a containment back costs
    no budget, else an attacker could spend it by undoing.
    `would` is what mode enforce would do, and `also_would` what it would by each rule that is
    folded into this one. `due` is set where the rule acts only after a grace period: about when
    that is over, to tell which of several comes first. It stays where only a pause, a spent budget
    or AWS is in the way. `owner` is who is then to be warned. `order` is by whose order it acts.
    """

    finding: Finding
    mode: Mode
    action: Action | None = None
    held: str | None = None
    exempt_by: str | None = None
    spend: Spend | None = None
    settings_version: int = 0
    would: Would | None = None
    also_would: Mapping[str, Would] = field(default_factory=dict)
    due: datetime | None = None
    owner: str | None = None
    order: Order | None = None

    @property
    def warns(self) -> bool:
        """Whether it may act, but not before the owner was warned and had time to prevent it."""
        return self.action is not None and self.due is not None


def without_exempt(
    findings: Iterable[Finding], *, settings: InForce, now: datetime
) -> tuple[list[Plan], list[Finding]]:
    """The plans for exempt findings, and the findings that no exemption covers.

    What only may be so, or what a sweep came upon, stands for itself: any of it may be on record.
    """
    exempt, rest = [], []
    for finding in findings:
        name = settings.exemption(rule=finding.rule, subject=finding.subject, now=now)
        if name is None:
            rest.append(finding)
        else:
            exempt.append(
                Plan(
                    finding=finding,
                    mode=settings.mode(finding.rule, now),
                    exempt_by=name,
                    settings_version=settings.accepted.version,
                )
            )
    by_event, looked_for = list[Plan](), list[Plan]()
    for planned in exempt:
        by_itself = planned.finding.reason.maybe or planned.finding.evidence.actor.is_keyward
        (looked_for if by_itself else by_event).append(planned)
    return [*_folded(by_event), *looked_for], rest


def plan(
    findings: Iterable[Finding], *, settings: InForce, hub_account: str, now: datetime
) -> list[Plan]:
    """One plan for each subject.

    Of several findings about one subject the one that acts, else the gravest, leads; before others
    the one that only puts a containment back, which no spent budget stops. The others' rules stand
    in its `also`: two alerts and two acts about one access key would help nobody. One that acts at
    once leads those that warn first; of these the one that is due first, so that no later one puts
    off what an earlier warning announced.
    """
    return _folded(
        _plan(finding, settings=settings, hub_account=hub_account, now=now) for finding in findings
    )


def _folded(plans: Iterable[Plan]) -> list[Plan]:
    groups: dict[tuple[str, str, type[Subject]], list[Plan]] = {}
    for planned in plans:
        groups.setdefault(_identity(planned.finding.subject), []).append(planned)
    leads = [_lead(group) for group in groups.values()]
    # Once a containment is put back, what else is found of the user finds it contained.
    return sorted(leads, key=lambda plan: not isinstance(plan.finding.subject, Contained))


def _identity(subject: Subject) -> tuple[str, str, type[Subject]]:
    """What makes it the same subject: a user's id is that of its password and of what it may do."""
    of = subject.of if isinstance(subject, Contained) else subject
    return subject.account, subject.unique_id or subject.label, type(of)


def _lead(group: list[Plan]) -> Plan:
    lead, *others = sorted(
        group,
        key=lambda plan: (
            plan.action is None,
            plan.due or (NEVER if plan.action is None else AT_ONCE),
            plan.spend is not None,
            _is_part(plan.action),
            -plan.finding.severity.rank,
            plan.would is not None and plan.would.existed,
        ),
    )
    also = tuple(
        dict.fromkeys(
            other.finding.rule for other in others if other.finding.rule != lead.finding.rule
        )
    )
    severity = max((plan.finding.severity for plan in group), key=lambda value: value.rank)
    finding = replace(lead.finding, also=also, severity=severity)
    foremost_last = reversed([it for it in others if it.finding.rule in also])
    would = {it.finding.rule: it.would for it in foremost_last if it.would is not None}
    return replace(
        lead,
        finding=finding,
        action=_joined(lead, others),
        spend=_most(lead, others),
        also_would=would,
    )


def _is_part(action: Action | None) -> bool:
    return isinstance(action, RestorePermissionSet) and bool(action.only)


def _joined(lead: Plan, others: Iterable[Plan]) -> Action | None:
    """What the lead does, and of other parts of the same permission set those that are to be."""
    action = lead.action
    if not isinstance(action, RestorePermissionSet) or not action.only:
        return action
    wanted, only = action.wanted, action.only
    for other in (plan.action for plan in others):
        if isinstance(other, RestorePermissionSet):
            wanted = replace(wanted, **{name: getattr(other.wanted, name) for name in other.only})
            only += tuple(name for name in other.only if name not in only)
    return action.model_copy(update={"wanted": wanted, "only": only})


def _most(lead: Plan, others: Iterable[Plan]) -> Spend | None:
    """What the act takes: by the gravest finding for whose sake it is done, reserve and all."""
    if lead.spend is None:
        return None
    spends = [lead.spend, *(it.spend for it in others if it.action and it.spend)]
    return max(spends, key=lambda spend: spend.organization_limit)


def _plan(finding: Finding, *, settings: InForce, hub_account: str, now: datetime) -> Plan:
    mode = settings.mode(finding.rule, now)
    planned = Plan(finding=finding, mode=mode, settings_version=settings.accepted.version)
    why = protected(finding.subject, settings.accepted.settings)
    if why:
        paging = replace(finding, severity=Severity.CRITICAL)
        spared = f"protected principal: {why}"
        return replace(planned, finding=paging, held=spared, would=Would(held=spared))
    if finding.enforcement is Enforcement.REPORT or finding.reason.report_only:
        return replace(planned, would=Would(held=ONLY_REPORTED))
    existed = _existed(finding, settings)
    held = _held(finding, settings=settings, hub_account=hub_account, now=now)
    action = None if held else _action(finding, settings, hub_account)
    if action is None:
        held = held or UNIDENTIFIED
    name = action.name if action is not None else None
    planned = replace(planned, would=Would(action=name, held=held, existed=existed))
    if existed and settings.rules[finding.rule].existing != "enforce":
        action, held = None, _made_by(finding, hub_account) or EXISTED
    if action is not None and finding.reason.grace_days > 0:
        planned = _with_warning(planned, settings, now)
    if mode is not Mode.ENFORCE:
        return planned
    if action is None:
        return replace(planned, held=held)
    if isinstance(action, IamAction):
        planned = replace(planned, owner=owner_of(finding, settings))
    if finding.enforcement in FREE:
        return replace(planned, action=action)
    return replace(planned, action=action, spend=_spend(finding, settings=settings, now=now))


def plan_of_order(  # noqa: PLR0913 - all of it by name
    finding: Finding,
    order: Order,
    record: FindingRecord,
    *,
    settings: InForce,
    hub_account: str,
    now: datetime,
) -> Plan:
    """The plan of a finding that somebody ordered to be acted on: as if its rule enforced.

    What there was before is included, and nobody is warned first. All else that holds Keyward back
    does so here, too. Who orders sees what he does: his act may take of the critical reserve. A
    policy of a permission set that only a look found is the one that the finding is about.
    """
    subject = finding.subject
    if isinstance(subject, PermissionSet) and subject.added is None:
        finding = replace(finding, subject=replace(subject, added=finding.reason.policy))
    judged = _plan(finding, settings=settings, hub_account=hub_account, now=now)
    planned = replace(judged, action=None, held=None, spend=None, due=None, order=order)
    held = (judged.would.held if judged.would is not None else None) or _made_by_others(record)
    if held is not None:
        return replace(planned, held=held)
    planned = replace(planned, action=_action(finding, settings, hub_account))
    if finding.enforcement in FREE:
        return planned
    return replace(planned, spend=_spend(finding, settings=settings, now=now, is_ordered=True))


def _held(finding: Finding, *, settings: InForce, hub_account: str, now: datetime) -> str | None:
    """Why a rule in mode enforce must not act on this finding; None where it may.

    What existed before is another matter: see `_existed`.
    """
    if made_by := _made_by(finding, hub_account):
        return made_by
    for name, account in settings.unreadable.items():
        if account in {finding.account, None}:
            return f"exemption {name} cannot be read, and may cover it"
    if _may_be_a_tools(finding, settings, now):
        return MAY_BE_A_TOOLS
    return _out_of_bounds(finding.subject, settings, hub_account)


def _may_be_a_tools(finding: Finding, settings: InForce, now: datetime) -> bool:
    """Whether an assignment may be another by now than the one that a late event tells of.

    What there is says nothing of who made it. A tool that grants access for hours may have, after
    what the event tells of was gone: its own event, which came in time, said so.
    """
    if not isinstance(finding.subject, AccountAssignment):
        return False
    tools = getattr(settings.rules[finding.rule], "just_in_time", ())
    return bool(tools) and now - finding.evidence.event_time > LATE


def _made_by(finding: Finding, hub_account: str) -> str | None:
    """Whose doing it is, where that is to be left alone; None where it isn't.

    What AWS itself attaches to a user is a message about the user, not an act to leave alone.
    Keyward's own acts are no reason: what it releases, the ledger knows, and whoever got hold of
    its role must gain nothing.
    """
    subject, actor = finding.subject, finding.evidence.actor
    if isinstance(subject, AccountAccess):
        if _is_own_removal(finding, hub_account):
            return "Keyward itself removed it: a rule and a baseline disagree"
        return None
    if isinstance(subject, Contained | UserPolicy):
        return None
    if isinstance(subject, AccountAssignment) and subject.expected is not None:
        return None
    # What Identity Center records happened in the management account, whatever it opens.
    where = hub_account if isinstance(subject, OfIdentityCenter) else finding.account
    who = recognised(actor, where, hub=hub_account)
    return None if who in {None, "Keyward"} else MADE_BY + who


def _existed(finding: Finding, settings: InForce) -> bool:
    """Whether it was so before the rule began to enforce, or may have been: then it is reported.

    It was so since the violation came about, which may be long after the subject did.
    """
    subject = finding.subject
    if isinstance(subject, AccountAccess | Contained):
        return False
    began = settings.accepted.enforcing_since.get(finding.rule)
    since = finding.reason.since or subject.since
    return began is None or since is None or since < began.replace(microsecond=0)


def _with_warning(planned: Plan, settings: InForce, now: datetime) -> Plan:
    """The plan of a rule that warns first, unless it only reports: a pause doesn't count.

    It is due a grace period after both the violation and the rule's enforcing began.
    """
    finding, accepted = planned.finding, settings.accepted
    modes = settings.rules[finding.rule].mode, accepted.settings.ceiling
    if any(mode is not Mode.ENFORCE for mode in modes):
        return planned
    began = accepted.enforcing_since.get(finding.rule, now)
    start = max(began, finding.reason.since or finding.subject.since or now)
    due = start + timedelta(days=finding.reason.grace_days)
    return replace(planned, due=due, owner=owner_of(finding, settings))


def owner_of(finding: Finding, settings: InForce) -> str | None:
    """Who answers for the subject of a finding, as its user's tags or an exemption tell.

    The exemption may be about any rule, and may have ended: of several the one that ends last.
    """
    subject = finding.subject
    tags = (subject.owner.tags if subject.owner is not None else None) or {}
    named = {name.casefold(): value for name, value in tags.items()}
    for tag in settings.accepted.settings.sweeps.owner_tags:
        if value := clean(named.get(tag.casefold(), "")):
            return value
    covering = [
        exemption
        for exemption in settings.exemptions.values()
        if exemption.covers(
            rule=exemption.rules[0], subject=subject, now=exemption.until - timedelta(seconds=1)
        )
    ]
    last = max(covering, key=lambda exemption: exemption.until, default=None)
    return clean(last.owner) if last is not None else None


def findings_of_making(finding: Finding) -> tuple[str, ...]:
    """The keys of the findings whose evidence tells who made the subject, the surest first."""
    user = finding.subject.owner
    made = [
        ("iam-access-key-created", finding.subject.unique_id, "active"),
        ("iam-console-password-set", finding.subject.unique_id, "can-sign-in"),
        ("iam-user-created", user.user_id if user is not None else None, "exists"),
    ]
    return tuple(
        finding_key(rule=rule, account=finding.account, unique_id=unique_id, code=code)
        for rule, unique_id, code in made
        if unique_id is not None
    )


def maker_in(record: FindingRecord) -> str | None:
    """Who did what a finding tells of; None where Keyward came upon it by itself."""
    seen = record.evidence
    return None if seen.by_itself else clean(f"{seen.actor} (did {seen.event_name})")


def _is_own_removal(finding: Finding, hub_account: str) -> bool:
    """Whether the assignment that is missing was taken away by Keyward: giving it back would loop.

    What an operator's release takes away the ledger knows; this is a rule that objects to it.
    """
    evidence = finding.evidence
    by = recognised(evidence.actor, hub_account, hub=hub_account)
    return evidence.event_name == "DeleteAccountAssignment" and by == "Keyward"


def _out_of_bounds(subject: Subject, settings: InForce, hub_account: str) -> str | None:
    """Why Keyward must not act where the subject is; None where it may."""
    allowed = settings.accepted.settings.act_in_management_account
    if isinstance(subject, PermissionSet):
        if subject.name in CONTROL_TOWER_SETS and not subject.may_be_listed:
            return "Control Tower's own permission set, which the catalogue doesn't name"
        if hub_account in (subject.accounts or ()) and allowed != hub_account:
            return "provisioned in the management account, where settings don't let Keyward act"
        return None
    if subject.account == hub_account and allowed != hub_account:
        return "in the management account, where settings don't let Keyward act"
    return None


def _action(finding: Finding, settings: InForce, hub_account: str) -> Action | None:
    allowed = settings.accepted.settings.act_in_management_account
    spared = None if allowed == hub_account else hub_account
    match finding.subject:
        case AccountAssignment() as assignment:
            return _on_assignment(assignment, finding.enforcement, settings, spared)
        case PermissionSet() as permission_set:
            return _on_permission_set(permission_set, finding, spared)
        case AccountAccess() as account:
            return _on_account(account)
        case _:
            return _on_user(finding)


def _on_assignment(
    assignment: AccountAssignment,
    enforcement: Enforcement,
    settings: InForce,
    spared: str | None,
) -> Action | None:
    permission_set = assignment.permission_set
    if enforcement is not Enforcement.REMOVE_ASSIGNMENT or permission_set is None:
        return None
    if assignment.instance_arn is None or permission_set.attributes is None:
        return None
    denies = settings.accepted.settings.identity_center.deny_live_sessions
    is_theirs = permission_set.name in CONTROL_TOWER_SETS.difference(settings.catalogue)
    return RemoveAssignment(
        target=AssignmentTarget(
            account=assignment.account,
            instance_arn=assignment.instance_arn,
            permission_set_arn=assignment.permission_set_arn,
            permission_set_name=permission_set.name or assignment.permission_set_arn,
            principal_kind=assignment.principal_kind,
            principal_id=assignment.principal_id,
            principal_name=assignment.principal_name,
        ),
        session_seconds=permission_set.attributes.session_seconds,
        deny_sessions=denies and not is_theirs,
        spared=spared,
    )


def _on_permission_set(
    permission_set: PermissionSet, finding: Finding, spared: str | None
) -> Action | None:
    if permission_set.instance_arn is None or permission_set.name is None:
        return None
    target = PermissionSetTarget(
        account=permission_set.account,
        instance_arn=permission_set.instance_arn,
        arn=permission_set.arn,
        permission_set_name=permission_set.name,
    )
    wanted = finding.reason.wanted or permission_set.wanted
    match finding.enforcement:
        case Enforcement.DETACH_POLICY if permission_set.added is not None:
            return DetachPolicy(target=target, policy=permission_set.added)
        case Enforcement.RESTORE_PERMISSION_SET if wanted is not None:
            only = _parts(permission_set, finding.reason.wanted)
            return RestorePermissionSet(target=target, wanted=wanted, only=only)
        case Enforcement.RECREATE_PERMISSION_SET if wanted is not None:
            return RecreatePermissionSet(
                target=target,
                wanted=wanted,
                former_arn=permission_set.former_arn,
                spared=spared,
            )
        case Enforcement.PROVISION_PERMISSION_SET:
            return ProvisionPermissionSet(target=target)
        case _:
            return None


def _on_account(account: AccountAccess) -> Action | None:
    if account.instance_arn is None or not account.missing:
        return None
    return AssignAccess(
        target=AccountTarget(account=account.account, instance_arn=account.instance_arn),
        assignments=tuple(
            AssignmentTarget(
                account=account.account,
                instance_arn=account.instance_arn,
                permission_set_arn=access.permission_set_arn,
                permission_set_name=access.permission_set_name or access.permission_set_arn,
                principal_kind=PrincipalKind.GROUP,
                principal_id=access.group_id,
                principal_name=access.group_name,
            )
            for access in account.missing
        ),
    )


def _parts(
    permission_set: PermissionSet, wanted: PermissionSetAttributes | None
) -> tuple[str, ...]:
    """What alone the rule wants otherwise, by name; () where it wants all of the catalogue's."""
    actual = permission_set.attributes
    if wanted is None or actual is None:
        return ()
    names = (it.name for it in fields(wanted))
    return tuple(name for name in names if getattr(wanted, name) != getattr(actual, name))


def _on_user(finding: Finding) -> Action | None:  # noqa: PLR0911 - a case each
    subject = finding.subject.of if isinstance(finding.subject, Contained) else finding.subject
    owner = subject.owner
    if owner is None or owner.user_id is None:
        return None
    target = Target(
        account=owner.account, user_name=owner.name, user_id=owner.user_id, user_arn=owner.arn
    )
    match finding.enforcement:
        case Enforcement.DEACTIVATE_ACCESS_KEY:
            one = (subject.key_id,) if isinstance(subject, AccessKey) else None
            return DeactivateAccessKeys(target=target, key_ids=one)
        case Enforcement.QUARANTINE_USER:
            return QuarantineUser(target=target, marker=finding.key)
        case Enforcement.DEACTIVATE_CREDENTIAL | Enforcement.REAPPLY | Enforcement.CONTAIN:
            match subject:
                case AccessKey():
                    return DeactivateAccessKeys(target=target, key_ids=(subject.key_id,))
                case StaticCredential():
                    return DeactivateCredential(
                        target=target, kind=subject.kind, credential_id=subject.credential_id
                    )
                case IamUser() | ConsolePassword():
                    return QuarantineUser(target=target, marker=finding.key)
                case _:
                    return None
        case _:
            return None


def _spend(
    finding: Finding, *, settings: InForce, now: datetime, is_ordered: bool = False
) -> Spend:
    """What acting on the finding takes: of the reserve what is critical, or ordered.

    A permission set is the organization's, and counts against no account's limit: that it lives in
    the management account says nothing of whom a restoration hits.
    """
    budgets = settings.accepted.settings.budgets
    length = timedelta(minutes=budgets.window_minutes)
    window = int(now.timestamp() // length.total_seconds())
    may_use_reserve = is_ordered or finding.severity is Severity.CRITICAL
    reserve = budgets.critical_reserve if may_use_reserve else 0
    is_set = isinstance(finding.subject, PermissionSet)
    return Spend(
        window=window,
        window_ends=datetime.fromtimestamp((window + 1) * length.total_seconds(), tz=now.tzinfo),
        organization_limit=budgets.organization + reserve,
        account_limit=(budgets.organization if is_set else budgets.account) + reserve,
    )


def over_budget(planned: Plan) -> Plan:
    """The same plan where no budget is left: the finding is recorded, nothing is done."""
    return replace(planned, action=None, spend=None, held=OVER_BUDGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Another worker's claim on the finding is alive: try again later."""


def advance(  # noqa: C901, PLR0911, PLR0912 - a state each
    old: FindingRecord | None,
    planned: Plan,
    *,
    now: datetime,
    claim_seconds: float,
    before: Before | None = None,
) -> FindingRecord | Busy | None:
    """The record to write for a confirmed finding; None where the ledger has it all.

    What waits for Identity Center is looked at by its own message, which the claim covers, unless
    another policy is to be taken off by now. A closed finding's violation that is back begins a new
    episode; so does one whose release was never finished, which the ledger refuses to write until
    that release has ended. An act that a crash left half done is taken over with its own intent,
    unless it must not be done any more; where the account lacks other access by now, that is a new
    episode. What Keyward contained and is free again begins one, too (of a user, `before` tells:
    what there is now); and so does each later change that only people can put right. But the same
    event, delivered twice at once, may have been judged by a state that was read before the other's
    act: it must look again.
    Where the rule warns first, the finding is open until its grace period is over: a warning is
    told once, and holds unless somebody decides that nothing is to be done. What Keyward did and is
    undone needs no second warning.
    An order is carried out once, and only on the episode that it was given for. What somebody
    ordered goes on, whatever the rule's mode by now.
    """
    if planned.order is not None:
        return _as_ordered(old, planned, planned.order, now=now, claim_seconds=claim_seconds)
    if old is None:
        return _fresh(planned, now=now, claim_seconds=claim_seconds)
    if planned.finding.evidence.actor.is_keyward and (by := _made_by_others(old)) is not None:
        planned = _left_alone(planned, by)
    if isinstance(planned.action, AssignAccess) and _loops(old, planned.action, now):
        planned = replace(planned, action=None, held=LOOP)
    same_event = old.evidence.event_id == planned.finding.evidence.event_id
    if old.state is State.EXEMPT and planned.exempt_by is not None:
        return None
    if old.state in {State.OPEN, State.FAILED} and planned.exempt_by is not None:
        return exempted(old, planned.exempt_by, now=now)
    is_busy = old.state in {State.ACTING, State.RELEASING}
    if is_busy and old.pending is not None and _is_claimed(old, now):
        return _with_another(old, planned, now=now, claim_seconds=claim_seconds)
    if old.state is State.RELEASING:
        if _is_claimed(old, now):
            return Busy()
        return _next_episode(old, planned, now=now, claim_seconds=claim_seconds)
    if old.state is State.ACTING:
        if _is_claimed(old, now):
            return Busy()
        if planned.action is None and not _stands_as_ordered(old, planned):
            return _interrupted(old, planned, now=now)
        if _more_than(old, planned):
            return _next_episode(old, planned, now=now, claim_seconds=claim_seconds)
        return _moved(old, State.ACTING, now=now, note="taken over", claim_seconds=claim_seconds)
    if old.state.closed:
        return _next_episode(old, planned, now=now, claim_seconds=claim_seconds)
    came_back = _came_back(old, planned, before)
    if came_back and same_event and now < old.last_seen + timedelta(seconds=claim_seconds):
        return Busy()
    if came_back:
        planned = replace(planned, due=None)
    if came_back or _happened_again(old, planned):
        return _next_episode(old, planned, now=now, claim_seconds=claim_seconds)
    if old.state is State.OPEN and planned.warns and not _is_warned(old, planned, now):
        return _warned(old, planned, now=now)
    waits = planned.warns and old.grace_until is not None and now < old.grace_until
    if planned.action is not None and (
        (old.state is State.OPEN and not waits) or (old.state is State.FAILED and not same_event)
    ):
        return _moved(
            old, State.ACTING, now=now, note="acting", claim_seconds=claim_seconds
        ).model_copy(
            update={
                "action": planned.action,
                "held": None,
                "mode": planned.mode.value,
                "pending": None,
                "ordered_by": None,
                **(_as_it_is_now(old, planned) if planned.warns else {"grace_until": None}),
            }
        )
    return _seen_again(old, planned, same_event=same_event, now=now)


def _as_ordered(
    old: FindingRecord | None,
    planned: Plan,
    order: Order,
    *,
    now: datetime,
    claim_seconds: float,
) -> FindingRecord | None:
    """The record from when somebody's order is carried out; None where it isn't (any more)."""
    if old is None or planned.action is None or not is_to_be_carried_out(order, old):
        return None
    return _moved(
        old, State.ACTING, now=now, note=said(order), claim_seconds=claim_seconds
    ).model_copy(
        update={
            "action": planned.action,
            "held": None,
            "pending": None,
            "grace_until": None,
            "ordered_by": order.by,
        }
    )


def is_to_be_carried_out(order: Order, record: FindingRecord) -> bool:
    """Whether the order is about the finding as it is now, and nothing came of it yet."""
    since = [it for it in record.history if it.at >= order.at]
    is_over = any(
        it.state is State.ACTING or it.note.startswith(_not_done(order, "")) for it in since
    )
    is_meant = record.episode == order.episode and record.state in {State.OPEN, State.FAILED}
    return is_meant and not is_over


def not_carried_out(
    record: FindingRecord, order: Order, why: str, *, now: datetime
) -> FindingRecord:
    """The record from when an order was not carried out: told, and the order is over."""
    return _moved(record, record.state, now=now, note=_not_done(order, why)).model_copy(
        update={"held": why, "untold": now, "follows": False}
    )


def _not_done(order: Order, why: str) -> str:
    return f"{said(order)}; not done: {why}"


def said(order: Order) -> str:
    """Who ordered it, and why."""
    return f"ordered by {order.by}: {order.reason}"


def _stands_as_ordered(old: FindingRecord, planned: Plan) -> bool:
    """Whether an act under way goes on since somebody ordered it, though the rule only reports."""
    may_be = planned.would is not None and planned.would.action is not None
    is_held = planned.exempt_by is not None or planned.held not in {None, EXISTED}
    return old.ordered_by is not None and may_be and not is_held


def _made_by_others(old: FindingRecord) -> str | None:
    """Whose work it is, where that is left alone: an event told, and a sweep cannot see it.

    A rule that only reported then has it in what it would do.
    """
    told = (old.held, old.would.held if old.would is not None else None)
    return next((held for held in told if held in MADE_BY_OTHERS), None)


def _left_alone(planned: Plan, held: str) -> Plan:
    """The same plan where nothing is done, by this rule and those that are folded into it."""
    would = planned.would
    return replace(
        planned,
        action=None,
        spend=None,
        held=held,
        would=None if would is None else would.model_copy(update={"action": None, "held": held}),
        also_would={
            rule: it.model_copy(update={"action": None, "held": it.held or held})
            for rule, it in planned.also_would.items()
        },
    )


def _warned(old: FindingRecord, planned: Plan, *, now: datetime) -> FindingRecord:
    """The record of an open finding from when its owner is warned."""
    until = now + timedelta(days=planned.finding.reason.grace_days)
    return _moved(old, State.OPEN, now=now, note=_warning(until)).model_copy(
        update={
            "grace_until": until,
            "held": None,
            "mode": planned.mode.value,
            "untold": now,
            "follows": False,
            **_as_it_is_now(old, planned),
        }
    )


def _is_warned(old: FindingRecord, planned: Plan, now: datetime) -> bool:
    """Whether the owner was warned since it is so, and since the rule enforces, and of late.

    A credential that was used meanwhile is unused anew, for instance.
    """
    until, due = old.grace_until, planned.due
    return until is not None and due is not None and due <= until > now - FORGOTTEN


def _warning(until: datetime) -> str:
    return f"warned: acted on after {until:%Y-%m-%d %H:%M} UTC"


def _as_it_is_now(old: FindingRecord, planned: Plan) -> dict[str, object]:
    """What is told of a finding of a rule of time: it has other words every day."""
    finding = planned.finding
    return {
        **_would_now(old, planned),
        "severity": finding.severity,
        "reason": finding.reason.text,
        "details": finding.reason.details,
        "settings_version": planned.settings_version,
        **({"owner": planned.owner} if planned.owner is not None else {}),
    }


def _would_now(old: FindingRecord, planned: Plan) -> dict[str, object]:
    """What enforce would do by now, by each rule that objects: only a sweep hears all of them."""
    finding = planned.finding
    swept = finding.evidence.actor.is_keyward
    return {
        "also": (*old.also, *(rule for rule in finding.also if rule not in old.also)),
        "would": planned.would,
        "also_would": {**({} if swept else old.also_would), **planned.also_would},
    }


def _seen_again(
    old: FindingRecord, planned: Plan, *, same_event: bool, now: datetime
) -> FindingRecord | None:
    """The record of a finding that is still so, with what would be done about it by now.

    A warning is off once the rule isn't to act any more; who changes that again warns anew. What
    nobody could look at, and somebody has by now, waits no more for that.
    """
    changes: dict[str, object] = {}
    if old.state in {State.OPEN, State.FAILED}:
        changes = _would_now(old, planned)
        if planned.due is None:
            changes["grace_until"] = None
        if (old.held or "").startswith(OUT_OF_REACH):
            changes["held"] = planned.held
    is_news = any(getattr(old, name) != value for name, value in changes.items())
    if same_event and not is_news:
        return None
    counted = {} if same_event else {"seen": old.seen + 1, "last_seen": now}
    return old.model_copy(update={"version": old.version + 1, **counted, **changes})


def _loops(old: FindingRecord, action: AssignAccess, now: datetime) -> bool:
    """Whether an account was given access so often of late that somebody must be taking it away.

    No budget bounds what only gives what owners wrote down; whatever takes away is bound by one.
    Access that it wasn't given last is lacking for another reason: its baselines want more by now.
    """
    given = [
        it
        for before, it in pairwise((None, *old.history))
        # What people say of a finding meanwhile is a step as well, in the state that it was in.
        if it is not None
        and it.state is State.ACTED
        and (before is None or before.state is not State.ACTED)
        and now - it.at < LOOP_WINDOW
    ]
    if len(given) < LOOP_TIMES:
        return False
    if old.state is State.OPEN:
        return old.held == LOOP
    last = old.action.assignments if isinstance(old.action, AssignAccess) else ()
    return old.state is State.ACTED and not set(action.assignments).isdisjoint(last)


def _with_another(
    old: FindingRecord, planned: Plan, *, now: datetime, claim_seconds: float
) -> FindingRecord | Busy | None:
    """The record of an act under way that is about another policy by now; None where it isn't.

    There is one inline policy: who puts another in its place must not have it stay, and be brought
    into the accounts with the removal of the first. An account that was moved while it is given
    access, and now lacks other access, has to wait until that is through; so has whoever saw
    something of it go: the act may have looked before.
    """
    subject = planned.finding.subject
    if isinstance(subject, AccountAccess) and planned.action is not None:
        return Busy() if subject.removed is not None or _more_than(old, planned) else None
    is_another = isinstance(planned.action, DetachPolicy) and planned.action != old.action
    if old.state is not State.ACTING or not is_another:
        return None
    return _moved(
        old, State.ACTING, now=now, note="another policy by now", claim_seconds=claim_seconds
    ).model_copy(update={"action": planned.action})


def _more_than(old: FindingRecord, planned: Plan) -> bool:
    """Whether an account lacks other access by now than the act under way is to give it."""
    if not isinstance(planned.action, AssignAccess) or not isinstance(old.action, AssignAccess):
        return False
    return not set(planned.action.assignments) <= set(old.action.assignments)


def settle(
    old: FindingRecord | None, planned: Plan, *, why: str, now: datetime, claim_seconds: float
) -> FindingRecord | Busy | None:
    """The record to write for a suspicion that the present state doesn't bear out.

    Kept either way, unless that is no news. An act that a crash left half done is taken over, to be
    verified and closed. A credential that Keyward couldn't contain is settled once it sees by
    itself that it's gone or inactive: nothing is half done there.
    """
    if old is None and is_no_news(planned.finding):
        return None
    if old is None:
        fresh = _fresh(replace(planned, action=None), now=now, claim_seconds=claim_seconds)
        closed = _moved(fresh, State.RESOLVED, now=now, note=why)
        return closed.model_copy(
            update={"version": 1, "untold": now, "outcome": why, "history": closed.history[-1:]}
        )
    if old.state is State.ACTING:
        if _is_claimed(old, now):
            return None if old.pending is not None else Busy()
        return _moved(old, State.ACTING, now=now, note="taken over", claim_seconds=claim_seconds)
    own = planned.finding.evidence.actor.is_keyward
    is_over = own and isinstance(planned.finding.subject, AccessKey | StaticCredential)
    if old.state is State.OPEN or (old.state is State.FAILED and is_over):
        closed = _moved(old, State.RESOLVED, now=now, note=why)
        return closed.model_copy(update={"grace_until": None, **_goes_on(old, now)})
    return None


def is_no_news(finding: Finding) -> bool:
    """Whether nobody need hear that it isn't so, unless it is on record.

    So it is with a containment that holds, with what only might have been, and with all that
    Keyward looks at by itself.
    """
    is_own = finding.evidence.actor.is_keyward
    return is_own or isinstance(finding.subject, Contained) or finding.reason.maybe


def _is_claimed(record: FindingRecord, now: datetime) -> bool:
    return record.claim_until is not None and now < record.claim_until


def waiting(
    record: FindingRecord,
    pending: Pending,
    *,
    delay_seconds: int,
    now: datetime,
    claim_seconds: float,
) -> FindingRecord:
    """The record of an act that waits for Identity Center; claimed until after the next look."""
    return record.model_copy(
        update={
            "pending": pending.model_copy(update={"ticket": pending.ticket + 1}),
            "version": record.version + 1,
            "last_seen": now,
            "claim_until": now + timedelta(seconds=delay_seconds + claim_seconds),
        }
    )


def is_late(record: FindingRecord, ticket: int, *, now: datetime) -> bool:
    """Whether a message to come back is one too many: a later one is on its way.

    Once the claim has run out that one is lost, and whichever message comes will do. So it is with
    an act or a release that a crash left before it came to wait for anything.
    """
    if record.pending is None:
        is_under_way = record.state in {State.ACTING, State.RELEASING}
        return not is_under_way or _is_claimed(record, now)
    return record.pending.ticket != ticket and _is_claimed(record, now)


def looked_at(record: FindingRecord, *, now: datetime, claim_seconds: float) -> FindingRecord:
    """The record while somebody looks how far the act is: nobody else does at the same time."""
    return record.model_copy(
        update={
            "version": record.version + 1,
            "claim_until": now + timedelta(seconds=claim_seconds),
        }
    )


def _interrupted(old: FindingRecord, planned: Plan, *, now: datetime) -> FindingRecord:
    """The record of an act that a crash left half done and that nobody wants finished now."""
    if planned.exempt_by is not None:
        why = f"exemption {planned.exempt_by} covers it now"
    else:
        why = planned.held or f"rule {planned.finding.rule} is in mode {planned.mode.value} now"
    return interrupted(old, why, now=now)


def interrupted(old: FindingRecord, why: str, *, now: datetime) -> FindingRecord:
    """The record of an act that is left as it is, half done."""
    outcome = f"an act was interrupted and is not finished: {why}; a release puts back what it did"
    return finished(old, State.FAILED, outcome=outcome, now=now)


def finished(record: FindingRecord, state: State, *, outcome: str, now: datetime) -> FindingRecord:
    """The record after an act: told, unless the same outcome was told before.

    What could not be contained is critical, whatever the rule.
    """
    news = outcome != record.outcome
    severity = Severity.CRITICAL if state is State.FAILED else record.severity
    return _moved(record, state, now=now, note=outcome).model_copy(
        update={
            "outcome": outcome,
            "severity": severity,
            "pending": None,
            "untold": now if news else record.untold,
            "follows": record.follows and not news,
        }
    )


def resolved(record: FindingRecord, why: str, *, now: datetime) -> FindingRecord:
    """The record of an open finding that is no longer so: who was told of it hears that, too."""
    return _moved(record, State.RESOLVED, now=now, note=why).model_copy(
        update={"outcome": why, "held": None, "grace_until": None, **_goes_on(record, now)}
    )


def exempted(record: FindingRecord, name: str, *, now: datetime) -> FindingRecord:
    """The record from when an exemption covers it."""
    return _moved(record, State.EXEMPT, now=now, note=f"exemption {name}").model_copy(
        update={"exempt_by": name, "held": None, "grace_until": None, **_goes_on(record, now)}
    )


def _goes_on(record: FindingRecord, now: datetime) -> dict[str, object]:
    """What makes a change known to those alone who were told how the finding began.

    What nobody was told yet stays to be told to all.
    """
    return {"untold": now, "follows": True} if record.untold is None else {}


def acknowledged(record: FindingRecord, *, by: str, note: str, now: datetime) -> FindingRecord:
    """The record from when somebody says that he has seen it: its state stays as it is."""
    seen = Acknowledged(by=by, at=now, note=note)
    moved = _moved(record, record.state, now=now, note=f"acknowledged by {by}: {note}".rstrip(": "))
    return moved.model_copy(
        update={
            "acknowledged": seen,
            "claim_until": record.claim_until,
            **_goes_on(record, now),
        }
    )


def awaiting(record: FindingRecord, awaited: Awaited, *, now: datetime) -> FindingRecord:
    """The record from when somebody asks for a release that takes a second person."""
    note = f"release asked for by {awaited.by}: {awaited.reason}; it takes a second person"
    moved = _moved(record, record.state, now=now, note=note)
    return moved.model_copy(
        update={"awaited": awaited, "claim_until": record.claim_until, **_goes_on(record, now)}
    )


def releasing(
    record: FindingRecord, *, by: str, reason: str, now: datetime, claim_seconds: float
) -> FindingRecord:
    """The record while a release is under way."""
    note = f"release by {by}: {reason}"
    begun = _moved(record, State.RELEASING, now=now, note=note, claim_seconds=claim_seconds)
    return begun.model_copy(update={"awaited": None})


def _came_back(old: FindingRecord, planned: Plan, before: Before | None) -> bool:
    """Whether what Keyward did is undone: a quarantined user still exists, that alone isn't.

    What was put right in Identity Center and is wrong again is so, whether Keyward may act or not;
    and so is what may be wrong again where Keyward may not even look: else nobody would hear of it.
    """
    subject = planned.finding.subject
    if old.state is not State.ACTED:
        return False
    if isinstance(subject, PermissionSet | AccountAssignment | AccountAccess):
        return not planned.finding.reason.maybe or planned.held is not None
    if planned.action is None:
        return False
    if isinstance(subject, AccessKey | StaticCredential | Contained):
        return True
    return before is not None and not _is_contained(planned.action, before)


def _is_contained(action: Action, before: Before) -> bool:
    if any(before.statuses.values()):
        return False
    denied = before.deny_attached or before.in_group or before.boundary_arn == DENY_ALL_ARN
    return denied or not isinstance(action, QuarantineUser)


def _happened_again(old: FindingRecord, planned: Plan) -> bool:
    """Whether somebody did it anew. Nothing tells Keyward when root or its own parts are mended.

    Of a permission set or an account it is so where it differs in another way than was told; of an
    account also where it could not be given what was told. An event that was late or comes twice is
    no newer than what is recorded. Of the rest only an event tells that somebody did it again.
    """
    evidence = planned.finding.evidence
    is_account = isinstance(planned.finding.subject, AccountAccess)
    is_told = old.state is State.OPEN or (old.state is State.FAILED and is_account)
    is_anew = is_told and evidence.event_time > old.evidence.event_time
    if isinstance(planned.finding.subject, PermissionSet | AccountAccess):
        return is_anew and old.details != planned.finding.reason.details
    return (
        is_anew
        and not evidence.actor.is_keyward
        and isinstance(
            planned.finding.subject,
            OwnResource
            | RootAccessKey
            | IdentityCenterChange
            | OrganizationChange
            | AccountLifecycle,
        )
    )


def _next_episode(
    old: FindingRecord, planned: Plan, *, now: datetime, claim_seconds: float
) -> FindingRecord:
    fresh = _fresh(planned, now=now, claim_seconds=claim_seconds)
    waits = old.pending is not None and old.state not in {State.ACTING, State.RELEASING}
    if waits and fresh.action is None:
        # What is to be taken back after the last act still is.
        fresh = fresh.model_copy(update={"action": old.action, "pending": old.pending})
    return fresh.model_copy(
        update={
            "episode": old.episode + 1,
            "version": old.version + 1,
            "seen": old.seen + 1,
            "first_seen": old.first_seen,
            "history": _history(old, *fresh.history),
        }
    )


def _fresh(planned: Plan, *, now: datetime, claim_seconds: float) -> FindingRecord:
    finding = planned.finding
    subject, owner, evidence = finding.subject, finding.subject.owner, finding.evidence
    until, note = None, planned.held or ""
    if planned.exempt_by is not None:
        state = State.EXEMPT
    elif planned.warns:
        state, until = State.OPEN, now + timedelta(days=finding.reason.grace_days)
        note = _warning(until)
    else:
        state = State.OPEN if planned.action is None else State.ACTING
    return FindingRecord(
        key=finding.key,
        state=state,
        rule=finding.rule,
        also=finding.also,
        severity=finding.severity,
        mode=planned.mode.value,
        account=finding.account,
        subject=subject.label,
        subject_kind=type(subject).__name__,
        unique_id=subject.unique_id or subject.label,
        user_id=owner.user_id if owner else None,
        user_name=owner.name if owner else None,
        user_arn=owner.arn if owner else None,
        reason=finding.reason.text,
        details=finding.reason.details,
        fix=finding.fix,
        enforcement=finding.enforcement,
        evidence=RecordedEvidence(
            event_id=evidence.event_id,
            event_name=evidence.event_name,
            event_time=evidence.event_time,
            region=evidence.region,
            actor=evidence.actor.label,
            source_ip=evidence.actor.source_ip,
        ),
        first_seen=now,
        last_seen=now,
        action=planned.action if state is State.ACTING else None,
        claim_until=now + timedelta(seconds=claim_seconds) if state is State.ACTING else None,
        exempt_by=planned.exempt_by,
        held=planned.held,
        settings_version=planned.settings_version,
        untold=now if state is State.OPEN else None,
        would=planned.would,
        also_would=dict(planned.also_would),
        owner=planned.owner,
        grace_until=until,
        history=(Moment(at=now, state=state, note=note),),
    )


def _moved(
    old: FindingRecord,
    state: State,
    *,
    now: datetime,
    note: str,
    claim_seconds: float | None = None,
) -> FindingRecord:
    until = None if claim_seconds is None else now + timedelta(seconds=claim_seconds)
    return old.model_copy(
        update={
            "state": state,
            "version": old.version + 1,
            "last_seen": now,
            "claim_until": until,
            "history": _history(old, Moment(at=now, state=state, note=note)),
        }
    )


def _history(old: FindingRecord, *moments: Moment) -> tuple[Moment, ...]:
    return (*old.history, *moments)[-HISTORY_LENGTH:]
