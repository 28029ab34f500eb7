"""One step of a sweep of Identity Center: how far it is, how it judges, what it has looked at.

What a step does is in centerreading.py and centerjudging.py.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyward import centersweep, resolving
from keyward.baselines import (
    Names,
    names_in,
    unknown_units,
    wanted,
)
from keyward.centersweep import CenterSweep, Holder, Phase, SeenSet, Way
from keyward.errors import GatewayError, NotFoundError
from keyward.events import check_message, own_look
from keyward.findings import Finding, FindingRecord, State
from keyward.gateways.sqs import SqsGateway
from keyward.model import (
    AccountAssignment,
    AccountId,
    Hint,
    PermissionSet,
    PrincipalKind,
    Subject,
)
from keyward.observability import logger
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.services import Services
from keyward.settings import Mode
from keyward.sweep import IDENTITY_CENTER

STEP = timedelta(seconds=40)
"""A step begins nothing more after so long: a Lambda has 60 seconds, and one set takes some."""

SWEEP = "Sweep"
"""Why Keyward looks: nobody knows since when what it finds is so."""

CHECKS = 50
"""So many checks are sent in a step, and no more: the next one waits until they are through."""


@dataclass(kw_only=True)
class Step:
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

    def tried[T](self, what: str, call: Callable[[], T], *, may_be_gone: bool = True) -> T | None:
        """What the call gives; None where it is gone, or can't be read, which is noted.

        What can't be gone (`may_be_gone`) and isn't found could not be read either.
        Raises GatewayError(retryable), but for what AWS has refused for PATIENCE.
        """
        found = None
        try:
            found = call()
        except NotFoundError as error:
            if not may_be_gone:
                self.note(what, str(error))
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
        return own_look(
            id_=f"sweep-{self.state.id}",
            why=SWEEP,
            time=self.state.started_at,
            account=self.hub,
            region=self.services.environment.region,
        )

    def judge(self, subjects: Iterable[Subject]) -> list[Finding]:
        """What this guard's rules object to."""
        return judge(self.rules, subjects, hint=self.hint, settings=self.settings)

    def to_look_at(self, findings: Iterable[Finding]) -> list[tuple[Finding, FindingRecord | None]]:
        """Those of the findings that aren't known and told; of one subject the first.

        Beside each what is on record of the subject. A finding that was folded into another stands
        in that one's `also`.
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
                chosen.append((group[0], next(iter(records), None)))
        return chosen

    def _needs_look(self, finding: Finding, records: list[FindingRecord]) -> bool:
        own = [it for it in records if it.key == finding.key]
        leads = [it for it in records if finding.rule in it.also and it.state is State.OPEN]
        record = next(iter((*leads, *own)), None)
        is_open_set = (
            isinstance(finding.subject, PermissionSet) and own and own[0].state is State.OPEN
        )
        if is_open_set and own[0].details != finding.reason.details:
            return True  # it differs in another way than was told
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

    @functools.cached_property
    def every_set(self) -> tuple[str, ...]:
        """The ARNs of all permission sets."""
        return tuple(it.arn for it in self.state.sets)

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
        """What the last sweep saw, if it saw all, and when it began.

        Who isn't in the identity store any more is in no list of principals: what reading by
        account shows of him is not new because reading by principal didn't.
        """
        last = self.ledger.last_seen_in(IDENTITY_CENTER)
        if last is None or not last.ok or last.sweep == self.state.id:
            return None, None
        kept = self.ledger.center_sweep(last.sweep)
        if kept is None:
            return None, None
        state = CenterSweep.unpacked(kept[1], version=kept[0])
        shows_more = self.state.way is Way.BY_ACCOUNT and state.way is Way.BY_PRINCIPAL
        if shows_more or state.phase is not Phase.DONE:
            return None, None
        return state.keys(), state.started_at

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

    def look_at(self, assignment: AccountAssignment, key: str, record: FindingRecord | None) -> str:
        """The check of one assignment."""
        keys, then = self.before
        known_as = assignment.account, assignment.unique_id or ""
        since = centersweep.since(known_as, record, before=keys, then=then)
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
