"""A sweep of Identity Center: what is kept of it between two messages, and what follows from that.

Which of the two ways to read all assignments is cheaper, when to change over to the other, whether
something that a rule objects to has to be looked at, and since when it is so. Pure. How it goes on
is in centersweeps.py.

There is no call that lists everything. By principal: one call for each user and group, and one for
each further page, which hold what users have through their groups, too. By account: one call for
each permission set in each account where it is provisioned. Both ways have permission sets and
their accounts read before.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignmentsForPrincipal.html
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignments.html
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, PrivateAttr

from keyward.findings import FindingRecord, State
from keyward.model import AccountAssignment, AccountId, PrincipalKind
from keyward.settings import Mode

LARGEST_BYTES = 390_000
"""So large the state may be: an item holds 400 KB.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

STRIDE = 4000
"""An assignment's permission set in an account is one number: there are 3,500 sets at most.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

SAMPLE = 20
"""After so many principals, or pairs, what they cost tells what the others will."""

IN_VAIN = 5
"""A fifth of what the other way costs may be read in vain before one changes over to it."""

PATIENCE = timedelta(minutes=30)
"""So long one and the same thing may be refused, before the sweep goes on without it."""

LONGEST = timedelta(hours=5)
"""So long a sweep may take: by then another one begins."""

PAUSES_SECONDS = (5, 10, 30, 60, 120, 240)
"""Waits before AWS is asked again for what it refused; the last one from then on."""

MOST_UNREAD = 50
"""Where more than so much can't be read, the sweep says so and ends."""

NAMED = 3
"""So much of what could not be read is named."""

KINDS = (PrincipalKind.GROUP, PrincipalKind.USER)
"""In this order their lists are read."""


class Phase(StrEnum):
    """The stages of a sweep, in their order."""

    LISTING = "listing"
    SETS = "sets"
    COUNTING = "counting"
    READING = "reading"
    NAMING = "naming"
    PLACES = "places"
    JUDGING = "judging"
    BASELINES = "baselines"
    TOKENS = "tokens"
    SETTLING = "settling"
    ENDING = "ending"
    DONE = "done"


class Way(StrEnum):
    """The two ways to read all assignments."""

    BY_PRINCIPAL = "by principal"
    BY_ACCOUNT = "by account"

    @property
    def other(self) -> "Way":
        """The other one."""
        return Way.BY_ACCOUNT if self is Way.BY_PRINCIPAL else Way.BY_PRINCIPAL


class SeenSet(BaseModel):
    """A permission set. `accounts` are where it is provisioned, by their places in order.

    `name` is None where it could not be read. `watched` are the rules that only what a set grants
    lets object to an assignment, and that it does.
    """

    arn: str
    name: str | None = None
    accounts: list[int] = Field(default_factory=list)
    watched: list[str] = Field(default_factory=list)


class Holder(BaseModel):
    """A user or group that holds something: its id, and its name where it was read."""

    kind: PrincipalKind
    id: str
    name: str | None = None


class Cost(BaseModel):
    """What one way has cost so far: calls for so many principals, or pairs, that are done."""

    done: int = 0
    calls: int = 0


class CenterSweep(BaseModel):
    """How far one sweep of Identity Center is. `version` grows with each write.

    `position` is how far the phase is. Accounts, permission sets and holders are known by their
    places in `accounts`, `sets`, `holders`; `held` has of each holder the numbers of what it holds,
    an account's place times STRIDE and a set's. Of the lists of principals `kinds` are those still
    to be read, `page` where the first of them goes on; `queue` are the principals of the last page
    that are still to be looked at, `after` where the list of the first one's assignments goes on.
    `groups` and `users` are how many there are, `counted` whether that is all of them. `found` are
    the findings, by key, of sets, baselines and tokens. `unread` is what could not be read, `why`
    says of some of it what was in the way. `units` are OUs still to be walked through with those
    above them, `parents` what is above an account, `places` which of these that is for each
    account, both by their places. `waits_since`: since then AWS has refused the same thing,
    `refusals` times.
    """

    _of_holders: dict[tuple[str, str], int] = PrivateAttr(default_factory=dict)
    _of_accounts: dict[AccountId, int] = PrivateAttr(default_factory=dict)
    _of_sets: dict[str, int] = PrivateAttr(default_factory=dict)

    id: str
    version: int = 0
    ticket: int = 0
    full: bool = False
    started_at: AwareDatetime
    claim_until: AwareDatetime | None = None
    phase: Phase = Phase.LISTING
    position: int = 0
    kinds: list[PrincipalKind] = Field(default_factory=list)
    page: str | None = None
    queue: list[Holder] = Field(default_factory=list)
    after: str | None = None
    sets: list[SeenSet] = Field(default_factory=list)
    accounts: list[AccountId] = Field(default_factory=list)
    holders: list[Holder] = Field(default_factory=list)
    held: dict[int, set[int]] = Field(default_factory=dict)
    way: Way | None = None
    changed_over: bool = False
    groups: int = 0
    users: int = 0
    counted: bool = False
    cost: Cost = Field(default_factory=Cost)
    calls: int = 0
    checks: int = 0
    found: list[str] = Field(default_factory=list)
    unread: list[str] = Field(default_factory=list)
    why: list[str] = Field(default_factory=list)
    units: dict[str, list[str]] | None = None
    parents: list[list[str]] = Field(default_factory=list)
    places: dict[int, int] = Field(default_factory=dict)
    waits_since: AwareDatetime | None = None
    refusals: int = 0

    def packed(self) -> bytes:
        """As the ledger keeps it: numbers as their distances, all of it compressed.

        Names go first where it would be too large. Raises ValueError where it is so without them.
        """
        body = self.model_dump(mode="json", exclude={"held", "holders"})
        body["held"] = [[key, *_distances(sorted(value))] for key, value in self.held.items()]
        for seen, its in zip(body["sets"], self.sets, strict=True):
            seen["accounts"] = _distances(its.accounts)
        for is_named in (True, False):
            body["holders"] = [
                [it.kind[0], it.id, *([it.name] if it.name and is_named else [])]
                for it in self.holders
            ]
            packed = zlib.compress(json.dumps(body, separators=(",", ":")).encode())
            if len(packed) <= LARGEST_BYTES:
                return packed
        message = f"what is held in Identity Center takes {len(packed)} bytes, too many to keep"
        raise ValueError(message)

    @classmethod
    def unpacked(cls, data: bytes, *, version: int) -> Self:
        """What `packed` made, as of this version."""
        body = json.loads(zlib.decompress(data))
        kinds = {kind[0]: kind for kind in PrincipalKind}
        body["version"] = version
        body["holders"] = [
            {"kind": kinds[kind], "id": id_, "name": name[0] if name else None}
            for kind, id_, *name in body["holders"]
        ]
        body["held"] = {key: list(accumulate(distances)) for key, *distances in body["held"]}
        for seen in body["sets"]:
            seen["accounts"] = list(accumulate(seen["accounts"]))
        return cls.model_validate(body)

    # What is known

    def _places(self) -> dict[AccountId, int]:
        if len(self._of_accounts) != len(self.accounts):
            self._of_accounts = {it: place for place, it in enumerate(self.accounts)}
        return self._of_accounts

    def place(self, account: AccountId) -> int:
        """The place of an account; one that is new gets one."""
        place = self._places().setdefault(account, len(self.accounts))
        if place == len(self.accounts):
            self.accounts.append(account)
        return place

    def place_of_set(self, arn: str) -> int:
        """The place of a permission set; one that came meanwhile gets one."""
        if len(self._of_sets) != len(self.sets):
            self._of_sets = {it.arn: place for place, it in enumerate(self.sets)}
        place = self._of_sets.setdefault(arn, len(self.sets))
        if place == len(self.sets):
            self.sets.append(SeenSet(arn=arn))
        return place

    def pairs(self) -> int:
        """In how many accounts permission sets are provisioned, each set for itself."""
        return sum(len(it.accounts) for it in self.sets)

    def assignments(self) -> Iterator[tuple[Holder, AccountId, SeenSet]]:
        """Everything that is held, always in the same order."""
        for place, numbers in sorted(self.held.items()):
            for number in sorted(numbers):
                account, of_set = divmod(number, STRIDE)
                yield self.holders[place], self.accounts[account], self.sets[of_set]

    def keys(self) -> frozenset[tuple[AccountId, str]]:
        """Account and unique id of every assignment.

        But for those of a permission set that came meanwhile: what it grants was not judged.
        """
        return frozenset(
            (account, unique_id(seen.arn, holder.kind, holder.id))
            for holder, account, seen in self.assignments()
            if seen.name is not None
        )

    def hold(self, holder: Holder, numbers: Iterable[int]) -> None:
        """Notes what somebody holds, beside what is known already."""
        numbers = set(numbers)
        if not numbers:
            return
        if len(self._of_holders) != len(self.holders):
            self._of_holders = {(it.kind, it.id): at for at, it in enumerate(self.holders)}
        place = self._of_holders.setdefault((holder.kind, holder.id), len(self.holders))
        if place == len(self.holders):
            self.holders.append(holder)
        self.held[place] = numbers.union(self.held.get(place, ()))

    def forget(self) -> None:
        """Begins to read what is held anew."""
        self.holders, self.held, self._of_holders = [], {}, {}
        self.kinds, self.page, self.queue, self.after = list(KINDS), None, [], None
        self.position, self.cost = 0, Cost()

    def above(self, account: AccountId) -> tuple[str, ...] | None:
        """The ids of the OUs and the root that the account is in; None where nobody looked."""
        parents = self.places.get(self._places().get(account, -1))
        return None if parents is None else tuple(self.parents[parents])


def unique_id(arn: str, kind: PrincipalKind, principal: str) -> str:
    """What an assignment is known by within its account."""
    assignment = AccountAssignment(
        account="", permission_set_arn=arn, principal_kind=kind, principal_id=principal
    )
    return assignment.unique_id or ""


def assigned(unique: str) -> tuple[str, PrincipalKind, str] | None:
    """Permission set, kind and id of the principal in what an assignment is known by."""
    front, _, principal = unique.rpartition("/")
    arn, _, kind = front.rpartition("/")
    if not arn or kind not in set(PrincipalKind):
        return None
    return arn, PrincipalKind(kind), principal


# Which way is cheaper


def cheaper(*, principals: int, pairs: int) -> Way:
    """The way that takes fewer calls, as far as counts tell."""
    return Way.BY_PRINCIPAL if principals < pairs else Way.BY_ACCOUNT


def rest(state: CenterSweep) -> float:
    """So many calls the way that is gone would still take, by what it took so far."""
    whole = state.pairs() if state.way is Way.BY_ACCOUNT else state.groups + state.users
    left = max(whole - state.cost.done, 0)
    each = max(state.cost.calls / max(state.cost.done, 1), 1.0)
    return left * each


def changes_over(state: CenterSweep) -> bool:
    """Whether the other way is cheaper by now, all that was read in vain included.

    Once, and only while that is little to what the other way costs: so whatever the rest turns out
    to cost, the whole costs no more than a quarter above the way that is taken.
    """
    if state.changed_over or state.way is None or not state.counted:
        return False
    principals = state.groups + state.users
    other = state.pairs() if state.way is Way.BY_PRINCIPAL else principals
    limit = other / IN_VAIN
    if state.cost.calls > limit:
        return False
    is_known = state.cost.done >= SAMPLE or state.cost.calls + 1 > limit
    return is_known and rest(state) > other


# What has to be looked at


def needs_look(record: FindingRecord | None, *, exempt: bool, acts: bool, full: bool) -> bool:
    """Whether what a rule objects to is looked at again: not what is known and told.

    `exempt`: an exemption covers it. `acts`: something would be done about it by now. `full`: the
    sweep looks at everything.
    """
    if record is None:
        return True
    match record.state:
        case State.OPEN:
            return exempt or acts or full
        case State.EXEMPT:
            return not exempt
        case State.ACTING | State.RELEASING:
            return False
        case _:
            return True


def would_act(
    record: FindingRecord | None,
    *,
    mode: Callable[[str], Mode],
    existing: Callable[[str], object],
    now: datetime,
) -> bool:
    """Whether something is to be done by now about what was only told when it was seen last.

    `mode` and `existing` are what settings say of a rule. Whoever was warned has his time.
    """
    if record is None:
        return False
    if record.grace_until is not None:
        return record.grace_until <= now
    return any(
        would is not None
        and would.action is not None
        and mode(rule) is Mode.ENFORCE
        and (not would.existed or existing(rule) == "enforce")
        for rule, would in ((record.rule, record.would), *record.also_would.items())
    )


def since(
    assignment: tuple[AccountId, str],
    record: FindingRecord | None,
    *,
    before: frozenset[tuple[AccountId, str]] | None,
    then: datetime | None,
) -> datetime | None:
    """When an assignment came about at the earliest; None where nobody knows.

    What was acted on was not there, or was given back, when it was; what is resolved may have been
    there all the while, where settings allowed it: unless the last sweep didn't see it, nobody
    knows. Of what is open an event tells the time; of what a sweep found, only whether that was
    after the rule began to enforce. What nothing is on record of came about since the last sweep
    saw all, which `before` has, if that didn't see it; `then` is when that sweep began.
    """
    if record is not None:
        if record.state is State.RESOLVED and (before is None or assignment in before):
            return None
        if record.state in {State.ACTED, State.RESOLVED, State.RELEASED}:
            return record.last_seen
        if not record.evidence.by_itself:
            return record.evidence.event_time
        is_new = record.would is not None and not record.would.existed
        return record.first_seen if is_new else None
    if before is None or then is None or assignment in before:
        return None
    return then


def is_due(state: CenterSweep, ticket: int, *, now: datetime) -> bool:
    """Whether a message is to be heeded: the one that is awaited, or any once that one is lost."""
    if state.phase is Phase.DONE:
        return False
    is_claimed = state.claim_until is not None and now < state.claim_until
    return state.ticket == ticket or not is_claimed


def _distances(numbers: list[int]) -> list[int]:
    """Each number as its distance from the one before it."""
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]
