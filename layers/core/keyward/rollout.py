"""A rollout: baselines brought to many accounts, from the plan to the last assignment.

What the ledger keeps of it between two messages, and what is decided by that alone: what is still
to be read, what is asked for next, when it is verified, how long it takes. Pure. How it goes on is
in rollouts.py.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keyward.baselines import Baseline, Baselines, Names, Place, selecting
from keyward.model import Access

UNDER_WAY = 12
"""So many assignments are under way at once, whoever asked for them: AWS takes fifteen, and who
assigns by hand meanwhile must not be refused.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

PART = 10
"""What was assigned is verified once it is a tenth of all ..."""

LEAST = 100
"""... and so many assignments at least: each time, whole lists are read."""

FEW = 50
"""Up to so many calls are made to look into single accounts, rather than to list all assignments of
a group."""

PATIENCE = timedelta(minutes=30)
"""So long AWS may refuse an assignment, as it does while an account isn't ready."""

PAUSES_SECONDS = (10, 20, 40, 80, 160, 240)
"""Waits before AWS is asked again for what it doesn't take on; the last one from then on."""

TRIES_SECONDS = (60, 360, 1400)
"""Waits before AWS is asked again for what it began and didn't finish; then it has failed.

They add up to PATIENCE: an account that isn't ready looks the same.
Source: https://github.com/aws-samples/aws-identitycenter-codepipeline-auto-assignment/issues/31
"""

PACES_SECONDS = (4, 20)
"""The shortest and the longest wait between two looks at what is under way."""

EACH = timedelta(seconds=1.5)
"""How long one assignment takes where nothing tells better: AWS is at each for some ten seconds,
and at several at once. A guess: AWS says nothing about it."""


PACKING = 3
"""How hard zlib tries: with so much the same, more takes long and gains little."""


class RolloutState(StrEnum):
    """The life of a rollout. Whoever applies a plan that waits takes it from PLANNED to RUNNING."""

    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"

    @property
    def over(self) -> bool:
        """Whether nothing of it is going to happen any more."""
        return self in {RolloutState.DONE, RolloutState.STOPPED}


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Pair(_Value):
    """A group and a permission set, as baselines name them: accounts refer to it by its place."""

    group_id: str
    permission_set_arn: str
    group_name: str | None = None
    permission_set_name: str | None = None
    baselines: tuple[str, ...] = ()

    @property
    def access(self) -> Access:
        """The same, as rules know it."""
        return Access(
            group_id=self.group_id,
            permission_set_arn=self.permission_set_arn,
            group_name=self.group_name,
            permission_set_name=self.permission_set_name,
            baselines=self.baselines,
        )


class Look(_Value):
    """A list that is still to be read, from page `after` on.

    It is that of all assignments of a group, or of all who hold a permission set in an account.
    """

    group_id: str | None = None
    account: str | None = None
    permission_set_arn: str | None = None
    after: str | None = None


class Asked(_Value):
    """An assignment that is under way. `request` is AWS's id of it.

    It is empty where nobody knows whether AWS took it on: the answer was lost, or who asked
    crashed.
    """

    account: str
    pair: int
    request: str
    at: AwareDatetime | None = None


class Again(_Value):
    """What did not go at once: `tries` counts what AWS began, `refusals` what it didn't take on."""

    tries: int = 0
    refusals: int = 0
    why: str
    since: AwareDatetime
    not_before: AwareDatetime


_OF_ACCOUNTS = (
    "names",
    "places",
    "wanted",
    "missing",
    "sent",
    "begun",
    "unmade",
    "failed",
    "skipped",
)
"""The fields that say something of each account, by its id."""


class Rollout(_Value):
    """One rollout. `version` grows with each write, `ticket` with each message that is to come.

    `scope` is what it is about: "everything", "baseline NAME", "unit OU-ID", "account ID".
    `automatic`: few changes are made without anybody's word; `limit` is how many are few.
    `by` and `reason` say who asked for it, or which event did. `baselines` are those that it is
    about, by a digest of what they said then; `known` is what their names stand for. `stopping` is
    why nothing more is asked for. `reports`: the rule only reports, and so does the rollout.
    `started_at` is when it began to assign: until another is over it waits, and `outcome` says so.

    While it is planned: `units` are those still to walk through, with the ids of those above them
    (nearest first), `page` where the list of accounts in the first of them goes on; `places` the
    accounts found, with the ids above them; `untagged` those whose tags are still to be read;
    `looks` the lists that tell what they hold, None where it isn't known yet which are needed; what
    these told was so at `looked_at`. `planned_at` is when that was done.

    `wanted` and `missing` say of each account which pairs its baselines want and which it lacks, by
    their places in `pairs`; of these `sent` were asked for, `asked` are under way, and `again` says
    what has to be asked for again, by "account/pair" or account. `begun` are the accounts that have
    a finding which is acted on, by its key; `unverified` those of them that are being looked at;
    `others` those that somebody else is at; `unmade` is what of theirs it did not make, and a
    release leaves. `failed` is what came to nothing and why, by account; `skipped` are accounts
    left out, and why. `unknown` are names that baselines have and Identity Center hasn't.
    `pace_seconds` is how long it waits between two looks.
    """

    id: str
    version: int = 1
    ticket: int = 0
    state: RolloutState = RolloutState.PLANNING
    scope: str
    automatic: bool = False
    limit: int = 0
    by: str
    reason: str
    created_at: AwareDatetime
    planned_at: AwareDatetime | None = None
    looked_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    claim_until: AwareDatetime | None = None
    settings_version: int = 0
    baselines: dict[str, str] = Field(default_factory=dict)
    known: Names | None = None
    stopping: str | None = None
    reports: bool = False
    pairs: tuple[Pair, ...] = ()
    units: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    page: str | None = None
    untagged: tuple[str, ...] = ()
    looks: tuple[Look, ...] | None = None
    names: dict[str, str] = Field(default_factory=dict)
    places: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    wanted: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    missing: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    sent: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    begun: dict[str, str] = Field(default_factory=dict)
    unmade: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    failed: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    again: dict[str, Again] = Field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    pace_seconds: int = 5
    accounts: int = 0
    done: int = 0
    assigned: int = 0
    total: int = 0
    outcome: str | None = None

    def packed(self) -> bytes:
        """The rollout as the ledger keeps it: an item holds 400 KB.

        Ids of accounts, and what it says of many of them, stand there once.
        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
        """
        columns: list[dict[str, object]] = [getattr(self, name) for name in _OF_ACCOUNTS]
        accounts = {account: None for column in columns for account in column}
        values: dict[object, int] = {}
        numbers = [
            [values.setdefault(column[it], len(values)) if it in column else -1 for it in accounts]
            if column
            else []
            for column in columns
        ]
        rest = self.model_dump(mode="json", exclude=set(_OF_ACCOUNTS), exclude_defaults=True)
        text = json.dumps([rest, list(accounts), numbers, list(values)], separators=(",", ":"))
        return zlib.compress(text.encode(), level=PACKING)

    @classmethod
    def unpacked(cls, data: bytes) -> "Rollout":
        """What `packed` made of a rollout."""
        rest, accounts, numbers, values = json.loads(zlib.decompress(data))
        for name, column in zip(_OF_ACCOUNTS, numbers, strict=True):
            rest[name] = {
                account: values[number]
                for account, number in zip(accounts, column, strict=False)
                if number >= 0
            }
        return cls.model_validate(rest)


def waits_for(rollout: str) -> str:
    """What the outcome of a rollout says that waits for another one."""
    return f"waits until rollout {rollout} is over"


# What it is about


def in_scope(baselines: Baselines, scope: str) -> Baselines:
    """The baselines that a rollout of this scope is about."""
    kind, _, name = scope.partition(" ")
    if kind != "baseline":
        return baselines
    return {name: baselines[name]} if name in baselines else {}


def digests(baselines: Baselines) -> dict[str, str]:
    """What each baseline says, in short: another digest is another baseline."""
    return {
        name: hashlib.sha256(baseline.model_dump_json().encode()).hexdigest()[:16]
        for name, baseline in baselines.items()
    }


def decided(baselines: Baselines, place: Place, names: Names) -> tuple[str, ...] | None:
    """The baselines that select the account, by name; None where its tags decide."""
    least = selecting(baselines, place, names)
    most = selecting({name: _at_most(it) for name, it in baselines.items()}, place, names)
    return least if least == most else None


def _at_most(baseline: Baseline) -> Baseline:
    """The baseline where an account has all tags that are selected, none that is excluded."""
    return baseline.model_copy(
        update={
            "accounts": tuple(it.model_copy(update={"tags": {}}) for it in baseline.accounts),
            "exclude": tuple(it for it in baseline.exclude if not it.tags),
        }
    )


def with_accounts(rollout: Rollout, found: Mapping[str, Iterable[Access]]) -> Rollout:
    """The rollout with what baselines want in these accounts: it is missing until it is seen."""
    places = {pair.access: number for number, pair in enumerate(rollout.pairs)}
    wanted = {}
    for account, access in found.items():
        wanted[account] = tuple(places.setdefault(it, len(places)) for it in access)
    new = tuple(
        Pair(
            group_id=it.group_id,
            permission_set_arn=it.permission_set_arn,
            group_name=it.group_name,
            permission_set_name=it.permission_set_name,
            baselines=it.baselines,
        )
        for it in tuple(places)[len(rollout.pairs) :]
    )
    return rollout.model_copy(
        update={
            "pairs": rollout.pairs + new,
            "wanted": rollout.wanted | wanted,
            "missing": rollout.missing | wanted,
        }
    )


# What is read, and what that shows


def looks_for(missing: Mapping[str, Iterable[int]], pairs: tuple[Pair, ...]) -> tuple[Look, ...]:
    """The lists that show which of these assignments there are, in as few calls as may be."""
    wanted = [
        (account, pairs[number]) for account, numbers in missing.items() for number in numbers
    ]
    groups = dict.fromkeys(pair.group_id for _, pair in wanted)
    sets = dict.fromkeys((account, pair.permission_set_arn) for account, pair in wanted)
    if len(sets) > max(FEW, len(groups)):
        return tuple(Look(group_id=group) for group in groups)
    return tuple(Look(account=account, permission_set_arn=arn) for account, arn in sets)


def seen(rollout: Rollout, held: Iterable[tuple[str, str, str]]) -> Rollout:
    """The rollout once these were seen: account, permission set and group of each assignment.

    Those that it asked for are assigned by it; others were there, or somebody else was faster.
    """
    numbers: dict[tuple[str, str], set[int]] = {}
    for number, pair in enumerate(rollout.pairs):
        key = pair.permission_set_arn, pair.group_id
        numbers.setdefault(key, set()).add(number)
    missing, sent = dict(rollout.missing), dict(rollout.sent)
    theirs: dict[str, list[int]] = {}
    assigned = others = 0
    for account, arn, group in held:
        for number in numbers.get((arn, group), set()).intersection(missing.get(account, ())):
            if number in sent.get(account, ()):
                assigned += 1
            elif account not in rollout.skipped:
                others += 1
                theirs.setdefault(account, []).append(number)
            _take(missing, account, {number})
            _take(sent, account, {number})
    for account, found in theirs.items():
        rollout = _not_ours(rollout, account, found)
    return rollout.model_copy(
        update={
            "missing": missing,
            "sent": sent,
            "assigned": rollout.assigned + assigned,
            "total": max(rollout.total - others, 0),
        }
    )


def after_looks(rollout: Rollout, now: datetime) -> Rollout:
    """The rollout once all was read: what was asked for and isn't there is asked for again."""
    again = rollout
    for account in rollout.unverified:
        for number in rollout.sent.get(account, ()):
            again = not_made(again, account, number, "AWS doesn't show it", now)
    return again.model_copy(update={"unverified": (), "looks": ()})


# What is asked for


def to_ask(rollout: Rollout, now: datetime) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The accounts for which something can be asked for now: first those that are begun."""
    begun = [account for account in rollout.missing if account in rollout.begun]
    left = set(rollout.others)
    for account in (*begun, *(it for it in rollout.missing if it not in rollout.begun)):
        if account in left or _waits(rollout, account, now):
            continue
        sent = rollout.sent.get(account, ())
        numbers = tuple(
            number
            for number in rollout.missing[account]
            if number not in sent and not _waits(rollout, f"{account}/{number}", now)
        )
        if numbers:
            yield account, numbers


def asking(rollout: Rollout, account: str, numbers: Iterable[int], now: datetime) -> Rollout:
    """The rollout when AWS is about to be asked for these."""
    numbers = tuple(numbers)
    asked = tuple(Asked(account=account, pair=it, request="", at=now) for it in numbers)
    sent = rollout.sent | {account: (*rollout.sent.get(account, ()), *numbers)}
    return rollout.model_copy(update={"asked": rollout.asked + asked, "sent": sent})


def was_put_off(rollout: Rollout, account: str, numbers: Iterable[int]) -> bool:
    """Whether AWS was asked for some of this before: much may have changed since."""
    keys = (account, *(f"{account}/{number}" for number in numbers))
    return any(key in rollout.again for key in keys)


def taken_on(rollout: Rollout, account: str, number: int, request: str) -> Rollout:
    """The rollout once AWS took a request on, and told its id."""
    return rollout.model_copy(
        update={
            "asked": tuple(
                it.model_copy(update={"request": request})
                if (it.account, it.pair) == (account, number)
                else it
                for it in rollout.asked
            )
        }
    )


def ended(rollout: Rollout, account: str, number: int) -> Rollout:
    """The rollout once a request is under way no more: what came of it has to be seen."""
    asked = tuple(it for it in rollout.asked if (it.account, it.pair) != (account, number))
    return rollout.model_copy(update={"asked": asked})


def not_sent(rollout: Rollout, account: str, number: int) -> Rollout:
    """The rollout where AWS was not asked after all."""
    sent = dict(rollout.sent)
    _take(sent, account, {number})
    return ended(rollout, account, number).model_copy(update={"sent": sent})


def refused(rollout: Rollout, account: str, number: int | None, why: str, now: datetime) -> Rollout:
    """The rollout where AWS doesn't take on one assignment now, or any of an account.

    It is asked again later, and after PATIENCE it has failed.
    """
    key = account if number is None else f"{account}/{number}"
    last = rollout.again.get(key) or Again(why=why, since=now, not_before=now)
    if now - last.since > PATIENCE:
        numbers = rollout.missing.get(account, ()) if number is None else (number,)
        return failed(rollout, account, numbers, why)
    pause = PAUSES_SECONDS[min(last.refusals, len(PAUSES_SECONDS) - 1)]
    later = last.model_copy(
        update={
            "refusals": last.refusals + 1,
            "why": why,
            "not_before": now + timedelta(seconds=pause),
        }
    )
    return rollout.model_copy(update={"again": rollout.again | {key: later}})


def not_made(rollout: Rollout, account: str, number: int, why: str, now: datetime) -> Rollout:
    """The rollout where AWS began an assignment and didn't finish it: again, some times."""
    key = f"{account}/{number}"
    last = rollout.again.get(key) or Again(why=why, since=now, not_before=now)
    rollout = not_sent(rollout, account, number)
    if last.tries >= len(TRIES_SECONDS):
        return failed(rollout, account, (number,), why)
    tried = Again(
        tries=last.tries + 1,
        why=why,
        since=now,
        not_before=now + timedelta(seconds=TRIES_SECONDS[last.tries]),
    )
    return rollout.model_copy(update={"again": rollout.again | {key: tried}})


def failed(rollout: Rollout, account: str, numbers: Iterable[int], why: str) -> Rollout:
    """The rollout where some assignments of an account come to nothing."""
    gone = set(numbers)
    if not gone:
        return rollout
    texts = tuple(f"{rollout.pairs[number].access.label}: {why}" for number in sorted(gone))
    missing, sent = dict(rollout.missing), dict(rollout.sent)
    _take(missing, account, gone)
    _take(sent, account, gone)
    return _not_ours(rollout, account, gone).model_copy(
        update={
            "missing": missing,
            "sent": sent,
            "asked": tuple(
                it for it in rollout.asked if it.account != account or it.pair not in gone
            ),
            "failed": rollout.failed | {account: (*rollout.failed.get(account, ()), *texts)},
        }
    )


def given_up(rollout: Rollout, account: str, numbers: Iterable[int]) -> Rollout:
    """The rollout where an account's baselines want these no more: none of them is under way."""
    gone = set(numbers)
    if not gone:
        return rollout
    missing = dict(rollout.missing)
    _take(missing, account, gone)
    fewer = _not_ours(rollout, account, gone).model_copy(update={"missing": missing})
    return fewer.model_copy(update={"total": max(rollout.total - len(gone), 0)})


def _not_ours(rollout: Rollout, account: str, numbers: Iterable[int]) -> Rollout:
    """The rollout that knows that it made none of these: nothing of them is to be taken back."""
    if account not in rollout.begun:
        return rollout
    known = dict.fromkeys((*rollout.unmade.get(account, ()), *sorted(numbers)))
    return rollout.model_copy(update={"unmade": rollout.unmade | {account: tuple(known)}})


def without(rollout: Rollout, numbers: Iterable[int], *, sent: bool) -> Rollout:
    """The rollout where nobody wants these pairs any more, in no account.

    `sent`: nobody can have them either, so that those that were asked for came to nothing.
    """
    gone = set(numbers)
    missing, left = dict(rollout.missing), dict(rollout.sent)
    for account in rollout.missing:
        of_account = gone if sent else gone.difference(rollout.sent.get(account, ()))
        rollout = _not_ours(rollout, account, of_account.intersection(rollout.missing[account]))
        _take(missing, account, of_account)
        _take(left, account, of_account)
    asked = tuple(it for it in rollout.asked if it.pair not in gone or not sent)
    fewer = rollout.model_copy(update={"missing": missing, "sent": left, "asked": asked})
    total = max(rollout.total - lacking(rollout) + lacking(fewer), 0)
    return fewer.model_copy(update={"total": total})


def skipping(rollout: Rollout, account: str, why: str) -> Rollout:
    """The rollout where an account is left out."""
    fewer = rollout.model_copy(
        update={
            **{
                name: {it: value for it, value in getattr(rollout, name).items() if it != account}
                for name in ("missing", "sent", "begun", "unmade")
            },
            "asked": tuple(it for it in rollout.asked if it.account != account),
            "others": tuple(it for it in rollout.others if it != account),
        }
    )
    total = rollout.total - lacking(rollout) + lacking(fewer)
    return fewer.model_copy(update={"skipped": rollout.skipped | {account: why}, "total": total})


def halted(rollout: Rollout) -> Rollout:
    """The rollout where nothing more is asked for: what was is still followed to its end."""
    for account, numbers in rollout.missing.items():
        if account in rollout.begun:
            unsent = set(numbers).difference(rollout.sent.get(account, ()))
            rollout = failed(rollout, account, unsent, f"not asked for: {rollout.stopping}")
    missing = {it: numbers for it, numbers in rollout.missing.items() if it in rollout.begun}
    return rollout.model_copy(update={"missing": missing, "others": ()})


# When it is verified, and what is through


def to_verify(rollout: Rollout, now: datetime) -> tuple[str, ...]:
    """The accounts to be looked into now: once they are enough, or nothing else is to be done.

    All that they lack was asked for, and is under way no more.
    """
    under_way = {it.account for it in rollout.asked}
    complete = tuple(
        account
        for account in rollout.begun
        if account not in under_way
        and account in rollout.missing
        and len(rollout.sent.get(account, ())) == len(rollout.missing[account])
    )
    unseen = sum(len(rollout.missing[account]) for account in complete)
    if unseen >= max(LEAST, rollout.total // PART):
        return complete
    return complete if not rollout.asked and not any(to_ask(rollout, now)) else ()


def through(rollout: Rollout) -> tuple[str, ...]:
    """The accounts with a finding that have all they can get."""
    return tuple(account for account in rollout.begun if account not in rollout.missing)


def started(rollout: Rollout, now: datetime) -> Rollout:
    """The rollout when it begins to assign: of accounts that lack nothing it knows no more."""
    return _with_only(rollout, rollout.missing.keys()).model_copy(update={"started_at": now})


def finished(rollout: Rollout, accounts: Collection[str]) -> Rollout:
    """The rollout once it is recorded what became of these accounts."""
    if not accounts:
        return rollout
    fewer = _with_only(rollout, rollout.names.keys() - set(accounts))
    begun = {account: key for account, key in rollout.begun.items() if account not in accounts}
    unmade = {account: it for account, it in rollout.unmade.items() if account not in accounts}
    done = rollout.done + len(accounts)
    return fewer.model_copy(update={"begun": begun, "unmade": unmade, "done": done})


def _with_only(rollout: Rollout, accounts: AbstractSet[str]) -> Rollout:
    """The rollout that knows only of these accounts, but for names that are still to be told."""
    named = accounts | rollout.skipped.keys() | rollout.failed.keys()
    return rollout.model_copy(
        update={
            "names": {it: name for it, name in rollout.names.items() if it in named},
            "places": {it: place for it, place in rollout.places.items() if it in accounts},
            "wanted": {it: numbers for it, numbers in rollout.wanted.items() if it in accounts},
        }
    )


def paced(rollout: Rollout, *, before: int, after: int) -> int:
    """How long to wait before the next look, by how much went through since the last one.

    Each look costs a call: it is worth one where more than half of what was under way has ended.
    """
    shortest, longest = PACES_SECONDS
    if before < UNDER_WAY * 2 // 3:
        return rollout.pace_seconds
    if after > before * 2 // 5:
        return min(rollout.pace_seconds + 1, longest)
    if after < before // 5:
        return max(rollout.pace_seconds - 1, shortest)
    return rollout.pace_seconds


def seconds_to_wait(rollout: Rollout, now: datetime, *, longest: int) -> int:
    """How long until something can be done again."""
    if rollout.looks or through(rollout):
        return 1
    if rollout.asked or any(to_ask(rollout, now)):
        return rollout.pace_seconds
    times = [it.not_before for it in rollout.again.values() if it.not_before > now]
    if not times:
        return 1
    return max(1, min(math.ceil((min(times) - now).total_seconds()), longest))


def is_claimed(rollout: Rollout, now: datetime) -> bool:
    """Whether somebody is at it, or a message is on its way that will be."""
    return rollout.claim_until is not None and now < rollout.claim_until


def over(rollout: Rollout, state: RolloutState, outcome: str | None, now: datetime) -> Rollout:
    """The rollout once it is over: what it kept only to go on with is let go."""
    kept = rollout.skipped.keys() | rollout.failed.keys()
    return rollout.model_copy(
        update={
            **{
                name: {}
                for name in ("units", "places", "wanted", "missing", "sent", "begun", "unmade")
            },
            **dict.fromkeys(("asked", "untagged", "unverified", "others", "looks"), ()),
            "again": {},
            "names": {account: rollout.names[account] for account in kept & rollout.names.keys()},
            "state": state,
            "outcome": outcome,
            "ended_at": now,
            "claim_until": None,
        }
    )


def remaining(rollout: Rollout, now: datetime) -> timedelta | None:
    """About how long it will take from now on; None where nobody knows, or it is over.

    By how fast it went so far, once it has gone some way.
    """
    if rollout.state not in {RolloutState.PLANNED, RolloutState.RUNNING}:
        return None
    left = lacking(rollout) - sum(map(len, rollout.sent.values())) + len(rollout.asked)
    went = rollout.total - left
    if rollout.started_at is None or went < UNDER_WAY or now <= rollout.started_at:
        return left * EACH
    return left * ((now - rollout.started_at) / went)


def lacking(rollout: Rollout) -> int:
    """How many assignments are missing in accounts that are not left out."""
    return sum(
        len(numbers)
        for account, numbers in rollout.missing.items()
        if account not in rollout.skipped
    )


def _waits(rollout: Rollout, key: str, now: datetime) -> bool:
    again = rollout.again.get(key)
    return again is not None and now < again.not_before


def _take(of: dict[str, tuple[int, ...]], account: str, numbers: set[int]) -> None:
    """Takes numbers away from an account's; one that has none left goes, too."""
    if account not in of:
        return
    left = tuple(number for number in of[account] if number not in numbers)
    if left:
        of[account] = left
    else:
        del of[account]
