"""Plans a rollout: finds the accounts, what baselines want in them, and what of it they lack.

It only reads. Whether it is carried out at once or waits for somebody's word is decided here.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keyward import resolving
from keyward import rollout as rolling
from keyward.baselines import (
    SELECTED,
    Baselines,
    Names,
    Place,
    names_in,
    selecting,
    unknown_units,
    wanted,
)
from keyward.findings import Notice, Severity
from keyward.gateways.organization import ROOT, AccountDescription
from keyward.observability import logger
from keyward.releasing import LONGEST_WAIT_SECONDS
from keyward.rollout import Rollout, RolloutState, digests, in_scope, remaining
from keyward.settings import Mode
from keyward.stepping import RULE, Step, acts, why_not
from keyward.text import many

if TYPE_CHECKING:
    from keyward.model import Access

_KEPT = {
    "id",
    "version",
    "ticket",
    "scope",
    "automatic",
    "limit",
    "by",
    "reason",
    "created_at",
    "claim_until",
}
"""What stays of a rollout that is planned anew."""


def plan(step: Step) -> int:
    """Goes on planning; returns after how many seconds to go on."""
    baselines = in_scope(step.settings.baselines, step.rollout.scope)
    if not baselines:
        step.end(RolloutState.DONE, "no baseline is in force that it could be about")
        return 0
    if step.rollout.known is None or step.rollout.baselines != digests(baselines):
        if step.rollout.automatic and step.has_to_wait():
            return LONGEST_WAIT_SECONDS
        _find_names(step, baselines)
    while step.rollout.units and step.has_time():
        _walk(step, baselines)
    while step.rollout.untagged and step.has_time():
        _read_tags(step, baselines)
    if step.rollout.units or step.rollout.untagged:
        return 1
    if step.rollout.looks is None:
        step.look_at(step.rollout.missing)
    step.look()
    if not step.rollout.looks and step.has_time():
        _decide(step)
    return 1


def _find_names(step: Step, baselines: Baselines) -> None:
    """Begins the plan: finds out what names stand for, and where to look for accounts."""
    asked = names_in(baselines.values())
    names = resolving.resolved(
        asked,
        center=step.center,
        organization=step.organization,
        ledger=step.ledger,
        anew=True,
    )
    _, unknown = wanted(baselines, baselines, names)
    unknown = (*unknown, *unknown_units(baselines, names))
    for text in unknown:
        step.ledger.notice(resolving.unknown(text, now=step.at))
    kind, _, id_ = step.rollout.scope.partition(" ")
    units: dict[str, tuple[str, ...]] = {}
    if kind == "unit":
        units[id_] = () if id_.startswith(ROOT) else step.organization.parents(id_)
    elif kind != "account":
        units[step.organization.root()] = ()
    blank = Rollout(**step.rollout.model_dump(include=_KEPT))
    step.rollout = blank.model_copy(
        update={
            "baselines": digests(baselines),
            "known": names,
            "settings_version": step.settings.accepted.version,
            "units": units,
            "unknown": unknown,
        }
    )
    if kind == "account":
        described = step.organization.account(id_)
        if described is None:
            step.put(skipped={id_: "it is no member of the organization"})
        else:
            _find_accounts(step, [described], step.services.parents(id_, step.at), baselines)


def _walk(step: Step, baselines: Baselines) -> None:
    """Finds the accounts on one page of the first unit's, and after the last its units."""
    unit, above = next(iter(step.rollout.units.items()))
    parents = (unit, *above)
    accounts, page = step.organization.some_accounts_in(unit, after=step.rollout.page)
    _find_accounts(step, accounts, parents, baselines)
    units = dict(step.rollout.units)
    if page is None:
        below = step.organization.units_in(unit)
        del units[unit]
        units |= dict.fromkeys(below.values(), parents)
    step.put(units=units, page=page)


def _find_accounts(
    step: Step,
    accounts: Iterable[AccountDescription],
    parents: tuple[str, ...],
    baselines: Baselines,
) -> None:
    """Finds out what baselines want in these accounts, where that needs no tags."""
    names, places = dict(step.rollout.names), dict(step.rollout.places)
    skipped, untagged = dict(step.rollout.skipped), list(step.rollout.untagged)
    found: dict[str, tuple[Access, ...]] = {}
    for account in accounts:
        names[account.id] = account.name
        if account.state != SELECTED:
            skipped[account.id] = f"it is {account.state}"
            logger.info("account skipped", account=account.id, state=account.state)
            continue
        places[account.id] = parents
        place = _place(step, account.id, parents)
        selected = rolling.decided(baselines, place, _names(step))
        if selected is None:
            untagged.append(account.id)
        elif selected:
            found[account.id] = wanted(baselines, selected, _names(step))[0]
    step.put(names=names, places=places, skipped=skipped, untagged=tuple(untagged))
    step.rollout = rolling.with_accounts(step.rollout, found)


def _read_tags(step: Step, baselines: Baselines) -> None:
    """Finds out what baselines want in one account where its tags decide."""
    account, *rest = step.rollout.untagged
    place = replace(
        _place(step, account, step.rollout.places[account]), tags=step.organization.tags(account)
    )
    step.put(untagged=tuple(rest))
    if selected := selecting(baselines, place, _names(step)):
        access, _ = wanted(baselines, selected, _names(step))
        step.rollout = rolling.with_accounts(step.rollout, {account: access})


def _names(step: Step) -> Names:
    return step.rollout.known or Names()


def _place(step: Step, account: str, parents: tuple[str, ...]) -> Place:
    shared = step.settings.accepted.settings.account_baselines.shared_accounts
    hub = step.services.environment.hub_account
    return Place(account=account, parents=parents, by_id_only=account in {hub, *shared})


def _decide(step: Step) -> None:
    """Ends the plan: whether it is carried out at once, waits for a word, or is needless.

    Accounts that are exempt or out of bounds don't count, but are recorded with the others.
    """
    planned = {
        account: step.planned(account, numbers[:1])
        for account, numbers in step.rollout.missing.items()
    }
    mode = step.settings.mode(RULE, step.at)
    left_out = {account: why_not(it) for account, it in planned.items() if not acts(it)}
    if mode is Mode.ENFORCE:
        step.put(skipped=step.rollout.skipped | left_out)
    total = rolling.lacking(step.rollout)
    lacking = step.rollout.missing.keys() - step.rollout.skipped.keys()
    step.put(
        planned_at=step.at,
        total=total,
        accounts=len(lacking),
        state=RolloutState.PLANNED,
    )
    logger.info("rollout planned", rollout=step.rollout.id, total=total, accounts=len(lacking))
    if not step.rollout.automatic:
        return
    if not step.rollout.missing or mode is Mode.OFF:
        step.end(RolloutState.DONE, None)
    elif mode is Mode.REPORT:
        step.put(state=RolloutState.RUNNING, reports=True)
    elif total <= step.rollout.limit:
        step.put(state=RolloutState.RUNNING)
    else:
        step.ledger.notice(_waits_for_a_word(step.rollout, step.at))


def _about(time: timedelta | None) -> str:
    """A length of time, in words."""
    minutes = max(1, round((time or timedelta()) / timedelta(minutes=1)))
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


def _waits_for_a_word(rollout: Rollout, now: datetime) -> Notice:
    return Notice(
        kind="baseline-waits",
        id=rollout.id,
        title=(
            f"Baselines: {many(rollout.total, 'assignment')} in "
            f"{many(rollout.accounts, 'account')} to be decided about"
        ),
        text=(
            f"{rollout.reason}, by {rollout.by}. Rollout {rollout.id} ({rollout.scope}) would make "
            f"{many(rollout.total, 'assignment')} in {many(rollout.accounts, 'account')}: more "
            f"than the {rollout.limit} that account_baselines.changes_without_apply in "
            f"/keyward/settings lets pass. It would take {_about(remaining(rollout, now))}. "
            f"Look at it: keyward baseline show {rollout.id}. "
            f"Let it go on: keyward baseline apply {rollout.id}. "
            f"Or not: keyward baseline stop {rollout.id}."
        ),
        severity=Severity.MEDIUM,
        at=now,
    )
