"""Reads Identity Center for a sweep: permission sets, and by the cheaper way who holds them.

It only reads, but for the sets about which something is new: these are looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from keyward import centersweep
from keyward.baselines import (
    SELECTED,
)
from keyward.centerstep import Step
from keyward.centersweep import KINDS, CenterSweep, Holder, Phase, SeenSet, Way
from keyward.facts import identity_center
from keyward.findings import Finding
from keyward.model import (
    AccountAssignment,
    AccountId,
    PermissionSet,
    PrincipalKind,
)
from keyward.observability import logger

# Permission sets


def list_sets(work: Step) -> None:
    """Finds out which permission sets there are."""
    work.state.sets = [SeenSet(arn=arn) for arn in sorted(work.center.arns())]
    work.enter(Phase.SETS)


def read_set(work: Step) -> None:
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
            every=work.every_set,
            catalogue=work.settings.catalogue,
            reach=work.services.reach(work.hub, work.now),
            ledger=work.ledger,
            now=work.at,
        ),
    )
    if found is not None:
        seen.name = found.name
        seen.accounts = sorted(state.place(account) for account in found.accounts or ())
        seen.watched = sorted(_watched(work, found))
        _look_at_set(work, work.judge([found]), {"permissionSetArn": seen.arn})
    state.position += 1


def _miss(work: Step) -> None:
    """Has the sets looked at that the catalogue names and that aren't there."""
    names = {it.name for it in work.state.sets}
    for name in sorted(work.settings.catalogue.keys() - names):
        if any(it.name is None for it in work.state.sets) and work.state.unread:
            return  # it may be the one that could not be read
        missing = PermissionSet(
            account=work.hub, name=name, exists=False, catalogue=work.settings.catalogue
        )
        _look_at_set(work, work.judge([missing]), {"permissionSetName": name})


def _look_at_set(work: Step, findings: list[Finding], parameters: Mapping[str, str]) -> None:
    work.state.found += [it.key for it in findings]
    chosen = work.to_look_at(findings)
    work.send(work.services.center_queue, (work.check(it.key, parameters) for it, _ in chosen))


def _watched(work: Step, found: PermissionSet) -> Iterator[str]:
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


def count_principals(work: Step) -> None:
    """Counts groups and users, as far as it matters for which way is cheaper."""
    state = work.state
    page = work.tried(
        "identity store",
        lambda: work.center.some_principals(state.kinds[0], after=state.page),
        may_be_gone=False,
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


def read_held(work: Step) -> None:
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


def _read_principal(work: Step) -> bool:
    """Reads one page of one principal's assignments; True once nothing is left to read."""
    state = work.state
    if not state.queue:
        if not state.kinds:
            return True
        kind = state.kinds[0]
        page = work.tried(
            "identity store",
            lambda: work.center.some_principals(kind, after=state.page),
            may_be_gone=False,
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


def _read_pair(work: Step) -> bool:
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


def name_holders(work: Step) -> None:
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


def find_places(work: Step) -> None:
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
        place = state.parents.index(parents)
        state.places |= {state.place(account): place for account in sorted(mine)}
    if state.page is None:
        below = work.tried(unit, lambda: work.organization.units_in(unit)) or {}
        del state.units[unit]
        state.units |= {it: [unit, *above] for it in sorted(below.values())}


def _places_matter(work: Step) -> bool:
    """Whether a baseline is in force, or a rule speaks of OUs."""
    units = (it.get("organizational_units") for it in work.accepted.rules.values())
    return bool(work.settings.baselines) or any(units)
