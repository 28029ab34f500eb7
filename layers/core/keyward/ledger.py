"""What was found, meant, done and told: the only memory, and the only idempotency mechanism.

Items (pk / sk):
    finding#<key> / finding               a FindingRecord; indexed by state, while untold, and by
                                          account while it is open
    subject#<account> / <unique id>       what is held contained (a Containment), or was released
    budget#<scope>#<window> / budget      how many actions a window has seen
    settings / accepted                   the settings in force
    live-deny#<set> / <account>/<user>    until when what is left of a session is denied
    permission-set#<arn> / permission-set what a permission set is called, also once it is gone
    id#<kind> / <name, or its digest>     what a group, permission set or OU of a name is, by id
    unit#<id> / unit                      in which OU or root an OU is
    rollouts / <id>                       a Rollout: baselines brought to many accounts
    bucket#identity-center / bucket       until when calls to Identity Center are leased
    sweeps / <id>                         a Sweep: how far it is
    newest-sweep / newest-sweep           the newest sweep, as it began: at most one is under way
    asked#<sweep> / <version>             some of the accounts that it asked to be looked at
    sweep#<id> / <account>                what it saw there (Swept), for some weeks
    swept / <account>                     the same of the last sweep that was there
    looked#<account> / looked             what it knew of each user, to see what changes (Looked);
                                          more than an item holds goes on in looked-1 and so on
    center-sweep / <id>                   how far the reading of Identity Center is
    canary / <way>                        when the last canary came (CanaryMark)
    heard / <account>                     the newest event from there (Heard)
    scim-token / <id>                     when a SCIM token was made
    plan / <rule>                         a plan that somebody confirmed (ConfirmedPlan)
    notice#<kind>#<id> / notice           what must be told and is no finding
    told#<finding> / told                 which places were told what of it (Told); of a notice
                                          told#<kind>#<id>
    alerts#<window> / alerts              how many alerts a window has seen
    order#<finding> / order               an operator's order to act on it now (Order)
    acts#<day> / <time>#<id>              what an operator asked for, and its end (ActRecord)
    once#<kind> / <id>                    what may happen once only: a press of a button

Every write of a finding is conditional on the version that was read. Intent, budget and the
subject's containment are one transaction.
"""

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Literal

from pydantic import BaseModel, ValidationError

from keyward import planner
from keyward.actions import Action, Before, IamAction
from keyward.errors import GatewayError
from keyward.findings import Containment, FindingRecord, Notice, State
from keyward.gateways.dynamodb import DynamoDbGateway, Item, RefusedError, Write
from keyward.livedeny import LiveDeny
from keyward.planner import Busy, Plan
from keyward.rollout import Rollout
from keyward.settings import Accepted
from keyward.sweep import (
    CanaryMark,
    ConfirmedPlan,
    Heard,
    Looked,
    ScimToken,
    Sweep,
    SweepState,
    Swept,
)
from keyward.told import ActRecord, Delivered, Folded, Order, Told, When, news_of

ATTEMPTS = 5
"""So often a write is tried anew when another worker was faster."""

TOLD_TOGETHER = 50
"""So many items are told in one write; a transaction takes a hundred, and 4 MB.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

SORT_KEY_BYTES = 1024
"""A sort key is no longer than that."""

type NameKind = Literal["group", "permission-set", "unit"]

OPEN_PAGE = 200
"""So many open findings of an account are read at once."""

ALL_PAGE = 500
"""So many findings are read at once where all of a state are wanted."""

OPEN_STATES = frozenset({State.OPEN, State.FAILED})
"""Findings in these states are indexed by account: whether they still hold is looked at again."""

SWEPT_RETENTION = timedelta(days=30)
"""What a sweep saw in each account is kept for so long; of the last one, for ever."""

RETENTION = timedelta(days=400)
"""Budgets and counters are kept for this long after their window."""

ADMITTED = "admitted"
FOLDED = "folded:"
"""Before the name of a place, of which digest tells it."""

CLAIMED = "claimed"

TELLING_TAKES = timedelta(seconds=90)
"""Whoever tells something has ended by then: no function that does runs for longer."""

LINE_SECONDS = 10
"""Who would have to wait longer for a call to Identity Center comes again: no Lambda is held."""

LINE_ATTEMPTS = 20
"""So often a place in that line is tried for: each refusal says where it ends by now."""

PART_BYTES = 350_000
"""So much of what is packed goes into one item, which holds 400 KB."""

SKEW_MS = 1000
"""So far apart the clocks of two workers may be, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What `begin` wrote. `proceed`: the record is ours to act on; `took_over`: by its intent."""

    record: FindingRecord | None
    proceed: bool = False
    took_over: bool = False
    released: bool = False
    over_budget: bool = False


class Ledger:
    """Reads and writes the table. Every method raises GatewayError when that fails."""

    def __init__(self, table: DynamoDbGateway, *, claim_seconds: float) -> None:
        self._table = table
        self._claim_seconds = claim_seconds
        self._remembered: set[str] = set()

    # Findings

    def finding(self, key: str) -> FindingRecord | None:
        """The finding of this key."""
        item = self._table.get(f"finding#{key}", "finding")
        return None if item is None else _document(FindingRecord, item)

    def findings(self, keys: Iterable[str]) -> dict[str, FindingRecord]:
        """Those of the findings of these keys that there are, by key."""
        wanted = dict.fromkeys((f"finding#{key}", "finding") for key in keys)
        records = [_document(FindingRecord, item) for item in self._table.get_all(wanted)]
        return {record.key: record for record in records}

    def begin(self, planned: Plan, *, before: Before | None, now: datetime) -> Begun:
        """Records a confirmed finding, and the intent where the plan acts: in one transaction.

        Nothing is written, and nothing may be done, about a subject that an operator released.
        Raises GatewayError(retryable) while another worker's claim is alive.
        """
        return self._advance(
            planned,
            lambda old, wanted: planner.advance(
                old, wanted, now=now, claim_seconds=self._claim_seconds, before=before
            ),
            before=before,
            now=now,
            old=self.finding(planned.finding.key) if planned.order is not None else None,
        )

    def settle(self, planned: Plan, *, why: str, now: datetime) -> Begun:
        """Records that the present state doesn't bear a suspicion out, and why."""
        return self._advance(
            planned,
            lambda old, wanted: planner.settle(
                old, wanted, why=why, now=now, claim_seconds=self._claim_seconds
            ),
            before=None,
            now=now,
            old=self.finding(planned.finding.key) if planner.is_no_news(planned.finding) else None,
        )

    def _advance(
        self,
        planned: Plan,
        step: Callable[[FindingRecord | None, Plan], FindingRecord | Busy | None],
        *,
        before: Before | None,
        now: datetime,
        old: FindingRecord | None = None,
    ) -> Begun:
        spent = False
        for _ in range(ATTEMPTS):
            record = step(old, planned)
            if record is None:
                return Begun(record=old, over_budget=spent)
            if isinstance(record, Busy):
                message = f"finding {planned.finding.key}: another worker is at it; try again later"
                raise GatewayError(message, code="Busy", retryable=True)
            writes = self._writes(record, planned, old=old, before=before, now=now)
            try:
                self._table.write(*writes)
            except RefusedError as refused:
                if refused.failed[0]:
                    old = _document(FindingRecord, refused.old[0]) if refused.old[0] else None
                elif refused.failed[1]:
                    return Begun(record=old, released=True)
                else:
                    planned, spent = planner.over_budget(planned), True
                continue
            return Begun(
                record=record,
                proceed=record.state is State.ACTING,
                took_over=old is not None and old.state is State.ACTING,
                over_budget=spent,
            )
        message = f"finding {planned.finding.key}: other workers were faster {ATTEMPTS} times"
        raise GatewayError(message, code="Contention", retryable=True)

    def _writes(
        self,
        record: FindingRecord,
        planned: Plan,
        *,
        old: FindingRecord | None,
        before: Before | None,
        now: datetime,
    ) -> list[Write]:
        writes = [_put_finding(record, replacing=old)]
        takes_over = old is not None and old.state is State.ACTING and old.episode == record.episode
        if record.state is State.ACTING and record.action is not None and takes_over:
            writes.append(
                _not_released(record.account, record.held_as, now=now)
                if before is None
                else _contain(_containment(record, record.action, before, now=now), now=now)
            )
        elif record.state is State.ACTING and record.action is not None:
            containment = _containment(record, record.action, before or Before(), now=now)
            once = not isinstance(record.action, IamAction)
            writes.append(_contain(containment, now=now, anew=once))
            if planned.spend is not None:
                spend = planned.spend
                for scope, limit in (
                    ("organization", spend.organization_limit),
                    (record.account, spend.account_limit),
                ):
                    writes.append(
                        _count(
                            f"budget#{scope}#{spend.window}",
                            "budget",
                            limit=limit,
                            expires_at=spend.window_ends + RETENTION,
                        )
                    )
        elif not takes_over:
            writes.append(_not_released(record.account, record.held_as, now=now))
        return writes

    def finish(self, record: FindingRecord, *, replacing: FindingRecord) -> None:
        """Writes the outcome of an act. Raises GatewayError(retryable) when somebody was faster."""
        self._replace(_put_finding(record, replacing=replacing))

    def release_begins(
        self,
        record: FindingRecord,
        *,
        replacing: FindingRecord,
        unique_ids: Iterable[str],
        until: datetime,
        by: str,
    ) -> None:
        """Records that a release begins: from here on no event or sweep touches these ids.

        They are the subject's own and those of the keys that the release makes active again.
        """
        self._replace(
            _put_finding(record, replacing=replacing),
            *(
                _released(record.account, unique_id, until=until, by=by)
                for unique_id in dict.fromkeys(unique_ids)
            ),
        )

    def release_ends(
        self, record: FindingRecord, *, replacing: FindingRecord, unique_ids: Iterable[str]
    ) -> None:
        """Records that what was there before is back, and forgets what was contained."""
        self._replace(
            _put_finding(record, replacing=replacing),
            *(
                {
                    "Update": {
                        "Key": _key(f"subject#{record.account}", unique_id),
                        "UpdateExpression": "REMOVE doc, finding, findings",
                    }
                }
                for unique_id in dict.fromkeys(unique_ids)
            ),
        )

    def _replace(self, *writes: Write) -> None:
        try:
            self._table.write(*writes)
        except RefusedError as refused:
            message = "it changed meanwhile: try again"
            raise GatewayError(message, code="Contention", retryable=True) from refused

    def findings_in(
        self, state: State, *, limit: int, after: Item | None = None
    ) -> tuple[list[FindingRecord], Item | None]:
        """A page of the findings in this state, oldest change first, and where the next begins."""
        items, following = self._table.query_index(
            index="by_state", attribute="gsi_state", value=state.value, limit=limit, after=after
        )
        return [_document(FindingRecord, item) for item in items], following

    def every(self, *states: State) -> Iterator[FindingRecord]:
        """All findings in these states, however many, as an index has them: it may lag."""
        for state in states:
            after: Item | None = None
            while True:
                page, after = self.findings_in(state, limit=ALL_PAGE, after=after)
                yield from page
                if after is None:
                    break

    def open_in(self, account: str, *, of: str | None = None) -> list[FindingRecord]:
        """The findings of the account that are open or failed, as an index has them: it may lag.

        `of`: only those of the subject, or of the IAM user, with this unique id.
        """
        found: list[FindingRecord] = []
        after: Item | None = None
        while True:
            items, after = self._table.query_index(
                index="open_in",
                attribute="open_in",
                value=account,
                limit=OPEN_PAGE,
                after=after,
                begins=None if of is None else ("open_of", f"{of}#"),
            )
            found += [_document(FindingRecord, item) for item in items]
            if after is None:
                return found

    def resolve(self, record: FindingRecord, *, why: str, now: datetime) -> bool:
        """Closes an open finding that is no longer so. False where somebody was faster."""
        closed = planner.resolved(record, why, now=now)
        try:
            self._table.write(_put_finding(closed, replacing=record))
        except RefusedError:
            return False
        return True

    # Containment

    def contained(self, account: str, *, now: datetime) -> list[Containment]:
        """What is held contained in the account and not released."""
        return [
            _document(Containment, item)
            for item in self._table.query(f"subject#{account}")
            if "doc" in item and not _is_released(item, now)
        ]

    def containment(self, account: str, unique_id: str) -> Containment | None:
        """What is known of one contained subject, also while its release is under way."""
        item = self._table.get(f"subject#{account}", unique_id)
        return None if item is None or "doc" not in item else _document(Containment, item)

    def findings_of(self, account: str, unique_id: str) -> tuple[str, ...]:
        """The keys of the findings for whose sake a subject is contained."""
        item = self._table.get(f"subject#{account}", unique_id)
        return () if item is None else tuple(sorted(item.get("findings", {}).get("SS", ())))

    # Live sessions that are denied

    def live_denies(self, permission_set_arn: str, *, now: datetime) -> list[LiveDeny]:
        """The denies that should stand in this set's inline policy."""
        found = [
            LiveDeny(
                account=item["sk"]["S"].partition("/")[0],
                user_id=item["sk"]["S"].partition("/")[2],
                until=datetime.fromtimestamp(int(item["until"]["N"]), tz=UTC),
            )
            for item in self._table.query(f"live-deny#{permission_set_arn}")
        ]
        return [deny for deny in found if now < deny.until]

    def deny_session(self, permission_set_arn: str, deny: LiveDeny) -> None:
        """Records that a deny should stand until then; an end in the past lifts it."""
        self._table.write(
            {
                "Put": {
                    "Item": {
                        **_key(f"live-deny#{permission_set_arn}", f"{deny.account}/{deny.user_id}"),
                        "until": {"N": str(int(deny.until.timestamp()))},
                        "expires_at": {"N": str(int((deny.until + RETENTION).timestamp()))},
                    }
                }
            }
        )

    # Names of permission sets

    def remember_set(self, arn: str, name: str) -> None:
        """Keeps what the permission set is called: once it is gone, AWS tells its name no more.

        Written once, since a set keeps its name; a warm function doesn't try again.
        """
        if arn in self._remembered:
            return
        item = {**_key(f"permission-set#{arn}", "permission-set"), "name": {"S": name}}
        with contextlib.suppress(RefusedError):
            self._table.write({"Put": _conditional_put(item, replacing=0)})
        self._remembered.add(arn)

    def name_of_set(self, arn: str) -> str | None:
        """What the permission set is, or was, called; None where nobody remembered it."""
        item = self._table.get(f"permission-set#{arn}", "permission-set")
        return None if item is None else str(item["name"]["S"])

    def names_of_sets(self, arns: Iterable[str]) -> dict[str, str]:
        """The names of those of the permission sets that somebody remembered, by ARN."""
        keys = {f"permission-set#{arn}": arn for arn in arns}
        items = self._table.get_all((key, "permission-set") for key in keys)
        return {keys[item["pk"]["S"]]: item["name"]["S"] for item in items}

    # What baselines name, and where accounts are

    def known_ids(self, kind: NameKind, names: Iterable[str]) -> dict[str, str]:
        """The ids (of permission sets: ARNs) by name, as far as somebody remembered them."""
        by_key = {_sort_key(name): name for name in names}
        items = self._table.get_all((f"id#{kind}", key) for key in by_key)
        return {by_key[item["sk"]["S"]]: item["id"]["S"] for item in items}

    def remember_id(self, kind: NameKind, name: str, id_: str) -> None:
        """Keeps what a name stands for, in place of what it stood for."""
        item = {**_key(f"id#{kind}", _sort_key(name)), "id": {"S": id_}}
        self._table.write({"Put": {"Item": item}})

    def forget_id(self, kind: NameKind, name: str) -> None:
        """Lets a name go that stands for something else by now, or for nothing."""
        self._table.write({"Delete": {"Key": _key(f"id#{kind}", _sort_key(name))}})

    def parent_of(self, unit: str) -> str | None:
        """The OU or root that an OU is in: it is never moved. None where nobody remembered it."""
        item = self._table.get(f"unit#{unit}", "unit")
        return None if item is None else str(item["parent"]["S"])

    def remember_parent(self, unit: str, parent: str) -> None:
        """Keeps where an OU is."""
        item = {**_key(f"unit#{unit}", "unit"), "parent": {"S": parent}}
        self._table.write({"Put": {"Item": item}})

    # Baselines that are brought to many accounts

    def rollout(self, id_: str) -> Rollout | None:
        """The rollout of this id."""
        item = self._table.get("rollouts", id_)
        return None if item is None else _rollout(item)

    def rollouts(self) -> list[Rollout]:
        """All rollouts that are remembered, the oldest first: ids sort by time."""
        return [_rollout(item) for item in self._table.query("rollouts")]

    def save_rollout(self, rollout: Rollout, *, replacing: Rollout | None) -> None:
        """Writes the rollout. Raises GatewayError(retryable) when somebody was faster."""
        item = {
            **_key("rollouts", rollout.id),
            "version": {"N": str(rollout.version)},
            "ticket": {"N": str(rollout.ticket)},
            "claim_until": _claim(rollout),
            "expires_at": {"N": str(int((rollout.created_at + RETENTION).timestamp()))},
            "body": {"B": rollout.packed()},
        }
        self._replace(
            {"Put": _conditional_put(item, replacing=replacing.version if replacing else 0)}
        )

    def claim_rollout(self, rollout: Rollout, *, replacing: Rollout) -> None:
        """Writes who is at a rollout, and nothing else of it.

        Raises GatewayError(retryable) when somebody was faster.
        """
        self._replace(
            {
                "Update": {
                    "Key": _key("rollouts", rollout.id),
                    "UpdateExpression": "SET #v = :v, ticket = :t, claim_until = :u",
                    "ConditionExpression": "#v = :old",
                    "ExpressionAttributeNames": {"#v": "version"},
                    "ExpressionAttributeValues": {
                        ":old": {"N": str(replacing.version)},
                        ":v": {"N": str(rollout.version)},
                        ":t": {"N": str(rollout.ticket)},
                        ":u": _claim(rollout),
                    },
                }
            }
        )

    # Sweeps

    def sweep(self, id_: str) -> Sweep | None:
        """The sweep of this id."""
        item = self._table.get("sweeps", id_)
        return None if item is None else _document(Sweep, item)

    def sweeps(self) -> list[Sweep]:
        """All sweeps that are remembered, the oldest first: ids sort by time."""
        return [_document(Sweep, item) for item in self._table.query("sweeps")]

    def newest_sweep(self) -> Sweep | None:
        """The sweep that began last, under way or over; None where none ever did."""
        item = self._table.get("newest-sweep", "newest-sweep")
        if item is None:
            return None
        begun = _document(Sweep, item)
        return self.sweep(begun.id) or begun.model_copy(update={"state": SweepState.DONE})

    def begin_sweep(self, sweep: Sweep) -> None:
        """Writes a sweep that begins; its number follows the newest one's.

        Raises GatewayError(retryable) where another sweep has that number.
        """
        newest = {
            **_key("newest-sweep", "newest-sweep"),
            "version": {"N": str(sweep.number)},
            "doc": {"S": sweep.model_dump_json()},
        }
        self._replace(
            {"Put": _conditional_put(newest, replacing=sweep.number - 1)},
            {"Put": _conditional_put(_sweep(sweep), replacing=0)},
        )

    def save_sweep(
        self, sweep: Sweep, *, replacing: Sweep | None, asked: Iterable[str] = ()
    ) -> None:
        """Writes how far the sweep is, and which accounts it has asked since it was written last.

        Raises GatewayError(retryable) when somebody was faster.
        """
        item = _sweep(sweep)
        writes: list[Write] = [
            {"Put": _conditional_put(item, replacing=replacing.version if replacing else 0)}
        ]
        if accounts := sorted(set(asked)):
            more = {
                **_key(f"asked#{sweep.id}", f"{sweep.version:06}"),
                "accounts": {"SS": accounts},
                "expires_at": item["expires_at"],
            }
            writes.append({"Put": {"Item": more}})
        self._replace(*writes)

    def asked(self, sweep: str) -> frozenset[str]:
        """The accounts that this sweep has asked to be looked at so far."""
        items = self._table.query(f"asked#{sweep}")
        return frozenset(account for item in items for account in item["accounts"]["SS"])

    def saw(self, swept: Swept) -> None:
        """Records what a sweep saw in one account: for the sweep, and as the newest of there."""
        doc = {"doc": {"S": swept.model_dump_json()}}
        expires_at = {"N": str(int((swept.at + SWEPT_RETENTION).timestamp()))}
        of_sweep = {**_key(f"sweep#{swept.sweep}", swept.account), **doc, "expires_at": expires_at}
        newest = {**_key("swept", swept.account), **doc}
        self._table.write({"Put": {"Item": of_sweep}}, {"Put": {"Item": newest}})

    def seen_by(self, sweep: str) -> list[Swept]:
        """What this sweep saw so far, account by account."""
        return [_document(Swept, item) for item in self._table.query(f"sweep#{sweep}")]

    def last_seen(self) -> list[Swept]:
        """What the last sweep of each account saw there, by account."""
        return [_document(Swept, item) for item in self._table.query("swept")]

    def last_seen_in(self, account: str) -> Swept | None:
        """What the last sweep of this account saw there; None where none was there."""
        item = self._table.get("swept", account)
        return None if item is None else _document(Swept, item)

    def looked(self, account: str) -> Looked | None:
        """What the last sweep knew of the account's users; None where none was there."""
        pk = f"looked#{account}"
        item = self._table.get(pk, "looked")
        if item is None or "parts" not in item:  # else of an older version, with other digests
            return None
        more = range(1, int(item["parts"]["N"]))
        parts = [item, *(self._table.get(pk, f"looked-{number}") for number in more)]
        try:
            return Looked.unpacked(b"".join(it["body"]["B"] for it in parts if it is not None))
        except zlib.error as error:
            message = f"what is known of the users of {account} is being written"
            raise GatewayError(message, code="Contention", retryable=True) from error

    def remember_look(self, account: str, looked: Looked) -> None:
        """Keeps what a sweep knew of the account's users, in place of what was known before."""
        body = looked.packed()
        parts = [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]
        items: list[Item] = [
            {**_key(f"looked#{account}", f"looked-{number}"), "body": {"B": part}}
            for number, part in enumerate(parts)
        ]
        items[0] |= {"sk": {"S": "looked"}, "parts": {"N": str(len(parts))}}
        self._table.write(*({"Put": {"Item": item}} for item in items))

    def center_sweep(self, id_: str) -> tuple[int, bytes] | None:
        """How far the reading of Identity Center for this sweep is: its version, and what it is."""
        item = self._table.get("center-sweep", id_)
        return None if item is None else (int(item["version"]["N"]), item["body"]["B"])

    def save_center_sweep(self, id_: str, body: bytes, *, version: int, now: datetime) -> None:
        """Writes it as this version, in place of the one before (1: of none).

        Raises GatewayError(retryable) when somebody was faster.
        """
        item = {
            **_key("center-sweep", id_),
            "version": {"N": str(version)},
            "body": {"B": body},
            "expires_at": {"N": str(int((now + SWEPT_RETENTION).timestamp()))},
        }
        self._replace({"Put": _conditional_put(item, replacing=version - 1)})

    # Signs of life

    def canary_came(self, mark: CanaryMark) -> None:
        """Records that a canary walked the whole way. The stream carries it to notifier."""
        item = {
            **_key("canary", mark.way),
            "canary": {"S": mark.way},
            "doc": {"S": mark.model_dump_json()},
        }
        self._table.write({"Put": {"Item": item}})

    def canaries(self) -> list[CanaryMark]:
        """The last canary of each way."""
        return [_document(CanaryMark, item) for item in self._table.query("canary")]

    def hear(self, heard: Iterable[Heard]) -> None:
        """Records the newest event of each account; what is older than what is known is let be."""
        for it in heard:
            write: Write = {
                "Put": {
                    "Item": {
                        **_key("heard", it.account),
                        "at": {"S": _timestamp(it.time)},
                        "doc": {"S": it.model_dump_json()},
                    },
                    "ConditionExpression": "attribute_not_exists(pk) OR #at < :at",
                    "ExpressionAttributeNames": {"#at": "at"},
                    "ExpressionAttributeValues": {":at": {"S": _timestamp(it.time)}},
                }
            }
            with contextlib.suppress(RefusedError):
                self._table.write(write)

    def heard(self) -> list[Heard]:
        """The newest event of each account that any was heard from."""
        return [_document(Heard, item) for item in self._table.query("heard")]

    def scim_token_made(self, token: ScimToken) -> None:
        """Keeps when a SCIM token was made; the first word about it counts."""
        item = {**_key("scim-token", token.id), "doc": {"S": token.model_dump_json()}}
        with contextlib.suppress(RefusedError):
            self._table.write({"Put": _conditional_put(item, replacing=0)})

    def scim_token_gone(self, id_: str, *, by: str = "") -> None:
        """Lets a SCIM token go that was deleted, for good: word that it was made may come late.

        `by` is the event that told of it.
        """
        gone: Item = {"gone": {"BOOL": True}, "by": {"S": by}}
        self._table.write({"Put": {"Item": {**_key("scim-token", id_), **gone}}})

    def scim_token_went_by(self, event: str) -> bool:
        """Whether a SCIM token was let go by this event already."""
        return any(it.get("by") == {"S": event} for it in self._table.query("scim-token"))

    def scim_tokens(self) -> list[ScimToken]:
        """The SCIM tokens that events told of and that were not deleted."""
        items = self._table.query("scim-token")
        return [_document(ScimToken, item) for item in items if "gone" not in item]

    # Plans that somebody confirmed

    def confirm_plan(self, plan: ConfirmedPlan) -> None:
        """Keeps that a plan was confirmed, in place of an earlier one of the same rule."""
        item = {
            **_key("plan", plan.rule),
            "doc": {"S": plan.model_dump_json()},
            "expires_at": {"N": str(int((plan.at + RETENTION).timestamp()))},
        }
        self._table.write({"Put": {"Item": item}})

    def confirmed_plan(self, rule: str) -> ConfirmedPlan | None:
        """The plan of this rule that was confirmed last, however long ago."""
        item = self._table.get("plan", rule)
        return None if item is None else _document(ConfirmedPlan, item)

    # Calls to Identity Center

    def lease_calls(
        self, calls: int, *, per_second: int, seen: datetime | None, now: datetime
    ) -> tuple[datetime, datetime]:
        """From when on so many calls may be made, and from when on the next ones may.

        All who lease from this ledger stand in one line, each behind what was leased before (GCRA).
        Nothing is read: one conditional write takes the place, and where somebody else was faster,
        its refusal tells how far the line is by now. `seen` is as far as the caller saw it last.
        Raises GatewayError(retryable): code RateLimited where the line is longer than
        LINE_SECONDS, and nothing is taken then; code Contention where others are faster each time.
        """
        takes_ms = calls * 1000 // per_second
        now_ms = _milliseconds(now)
        longest_ms = now_ms + LINE_SECONDS * 1000
        begins_ms = max(now_ms, now_ms if seen is None else _milliseconds(seen))
        for _ in range(LINE_ATTEMPTS):
            if begins_ms > longest_ms:
                message = f"calls to Identity Center are leased for {LINE_SECONDS} s and more"
                raise GatewayError(message, code="RateLimited", retryable=True)
            ends_ms = begins_ms + takes_ms
            try:
                self._table.write(
                    _lease(begins_ms, ends_ms, impossible_ms=longest_ms + takes_ms + SKEW_MS)
                )
            except RefusedError as refused:
                begins_ms = int(refused.old[0]["leased_until_ms"]["N"])
            else:
                return _moment(begins_ms), _moment(ends_ms)
        message = f"calls to Identity Center: other workers were faster {LINE_ATTEMPTS} times"
        raise GatewayError(message, code="Contention", retryable=True)

    # Settings

    def accepted(self) -> Accepted | None:
        """The settings in force; None where none were ever compiled.

        What another version of the code wrote and this one cannot read counts as the defaults,
        which only report, until settings_guard compiles the tree again.
        """
        item = self._table.get("settings", "accepted")
        if item is None:
            return None
        try:
            return Accepted.model_validate_json(zlib.decompress(item["body"]["B"]))
        except ValidationError:
            return Accepted(version=int(item["version"]["N"]))

    def accept(self, accepted: Accepted, *, replacing: int) -> None:
        """Puts these settings in force in place of version `replacing` (0: of none).

        Raises GatewayError(retryable) when somebody was faster.
        """
        item = {
            **_key("settings", "accepted"),
            "version": {"N": str(accepted.version)},
            "body": {"B": zlib.compress(accepted.model_dump_json().encode())},
        }
        self._replace({"Put": _conditional_put(item, replacing=replacing)})

    # What must be told

    def notice(self, notice: Notice) -> bool:
        """Keeps a notice to be told, once for its kind and id. True when it is new."""
        item = {
            **_key(f"notice#{notice.kind}#{notice.id}", "notice"),
            "doc": {"S": notice.model_dump_json()},
            "updated_at": {"S": _timestamp(notice.at)},
            "untold": {"S": "untold"},
        }
        try:
            self._table.write({"Put": _conditional_put(item, replacing=0)})
        except RefusedError:
            return False
        return True

    def untold(
        self, *, before: datetime, limit: int, when: When = "untold"
    ) -> list[FindingRecord | Notice]:
        """What is to be told then since before then, as an index has it: it may lag behind.

        However often it is seen again since: else whoever repeats himself would never be told of.
        """
        found: list[FindingRecord | Notice] = []
        after: Item | None = None
        while len(found) < limit:
            items, after = self._table.query_index(
                index="untold",
                attribute="untold",
                value=when,
                limit=limit - len(found),
                after=after,
            )
            found += [told_document(item) for item in items]
            if after is None:
                break
        return [what for what in found if news_of(what) < before]

    def still_untold(self, what: FindingRecord | Notice) -> FindingRecord | Notice | None:
        """The same finding or notice as it is now; None where it needs no telling (any more)."""
        item = self._table.get(*_key_of(what))
        return None if item is None or "untold" not in item else told_document(item)

    def those_untold(self, items: Iterable[FindingRecord | Notice]) -> list[FindingRecord | Notice]:
        """The same for many, in their order: each as it is now, but for what needs no telling."""
        keys = [_key_of(what) for what in items]
        found = {
            (item["pk"]["S"], item["sk"]["S"]): item
            for item in self._table.get_all(dict.fromkeys(keys))
        }
        return [
            told_document(found[key]) for key in keys if key in found and "untold" in found[key]
        ]

    def postpone(self, what: FindingRecord | Notice, when: When) -> None:
        """Has it told then, and not sooner. What changed meanwhile is told at once."""
        update: Item = {
            "Key": _key(*_key_of(what)),
            "UpdateExpression": "SET untold = :w",
            "ConditionExpression": "attribute_exists(untold)",
            "ExpressionAttributeValues": {":w": {"S": when}},
        }
        if isinstance(what, FindingRecord):
            update["ConditionExpression"] = "#v = :v AND attribute_exists(untold)"
            update["ExpressionAttributeValues"][":v"] = {"N": str(what.version)}
            update["ExpressionAttributeNames"] = {"#v": "version"}
        with contextlib.suppress(RefusedError):
            self._table.write({"Update": update})

    def deliveries(self, what: FindingRecord | Notice) -> Told:
        """Which places were told what of it."""
        (told,) = self._valid([_deliveries(self._table.get(*_told_key(what)))])
        return told

    def deliveries_of(self, items: Iterable[FindingRecord | Notice]) -> list[Told]:
        """The same for many, in their order."""
        keys = [_told_key(what) for what in items]
        found = {
            (item["pk"]["S"], item["sk"]["S"]): item
            for item in self._table.get_all(dict.fromkeys(keys))
        }
        return self._valid([_deliveries(found.get(key)) for key in keys])

    def _valid(self, every: list[Told]) -> list[Told]:
        """The same without what digests were to tell that never came about."""
        keys = [
            (f"notice#digest#{it.digest}", "notice")
            for told in every
            for it in told.folded.values()
        ]
        if not keys:
            return every
        there = {item["pk"]["S"] for item in self._table.get_all(dict.fromkeys(keys))}
        return [
            told.model_copy(
                update={
                    "folded": {
                        place: it
                        for place, it in told.folded.items()
                        if f"notice#digest#{it.digest}" in there
                    }
                }
            )
            for told in every
        ]

    def fold(
        self,
        items: Iterable[FindingRecord | Notice],
        place: str,
        *,
        digest: str,
        now: datetime,
    ) -> None:
        """Records, before there is such a digest, that it is what tells the place of these."""
        for batch in batched(items, TOLD_TOGETHER, strict=False):
            self._table.write(
                *(
                    _remembered(
                        what,
                        f"{FOLDED}{place}",
                        {"S": Folded(news=news_of(what), digest=digest).model_dump_json()},
                        now,
                    )
                    for what in batch
                )
            )

    def deliveries_to(self, key: str) -> Told:
        """Which places were told what of the finding of this key."""
        return _deliveries(self._table.get(f"told#{key}", "told"))

    def delivered(
        self, what: FindingRecord | Notice, place: str, delivered: Delivered, *, now: datetime
    ) -> None:
        """Records that the place was told."""
        self._remember_told(what, place, {"S": delivered.model_dump_json()}, now)

    def delivered_together(
        self, told: Iterable[tuple[FindingRecord | Notice, Delivered]], place: str, *, now: datetime
    ) -> None:
        """The same of many that one place was told, in few writes."""
        for batch in batched(told, TOLD_TOGETHER, strict=False):
            self._table.write(
                *(
                    _remembered(what, place, {"S": delivered.model_dump_json()}, now)
                    for what, delivered in batch
                )
            )

    def begin_telling(self, what: FindingRecord | Notice, *, now: datetime) -> bool:
        """Whether nobody else is telling it: then it is ours to tell, for TELLING_TAKES at most."""
        try:
            self._table.write(_claim_telling(what, now))
        except RefusedError:
            return False
        return True

    def begin_telling_together(
        self, items: Iterable[FindingRecord | Notice], *, now: datetime
    ) -> list[FindingRecord | Notice]:
        """The same for many, in few writes: those that are ours to tell."""
        ours: list[FindingRecord | Notice] = []
        for batch in batched(items, TOLD_TOGETHER, strict=False):
            try:
                self._table.write(*(_claim_telling(what, now) for what in batch))
                ours += batch
            except RefusedError:
                ours += [what for what in batch if self.begin_telling(what, now=now)]
        return ours

    def end_telling(self, what: FindingRecord | Notice) -> None:
        """Lets others tell it: what some place still has to hear."""
        self._table.write(_end_telling(what))

    def end_telling_together(self, items: Iterable[FindingRecord | Notice]) -> None:
        """The same for many, in few writes."""
        for batch in batched(items, TOLD_TOGETHER, strict=False):
            self._table.write(*map(_end_telling, batch))

    def admit(self, what: FindingRecord | Notice, news: datetime, *, now: datetime) -> None:
        """Records that this news is told by itself, as one of its window's alerts."""
        self._remember_told(what, ADMITTED, {"S": news.isoformat()}, now)

    def _remember_told(
        self, what: FindingRecord | Notice, name: str, value: Item, now: datetime
    ) -> None:
        self._table.write(_remembered(what, name, value, now))

    def told(self, what: FindingRecord | Notice) -> None:
        """Records that `what` was told. What changed meanwhile stays to be told.

        A step of a finding's life that came while it was told is news for those who were told.
        """
        if isinstance(what, Notice):
            self._table.write(_told(what))
            return
        for _ in range(ATTEMPTS):
            record = self.finding(what.key)
            if record is None or record.untold != what.untold:
                return
            went_on = record.history[-1:] != what.history[-1:]
            try:
                if went_on and record.state not in {State.ACTING, State.RELEASING}:
                    self._table.write(_put_finding(_goes_on(record), replacing=record))
                else:
                    self._table.write(_told(record))
            except RefusedError:
                continue
            return

    def told_together(self, items: Iterable[FindingRecord | Notice]) -> None:
        """The same for many: in few writes, and one by one only where something changed."""
        for batch in batched(items, TOLD_TOGETHER, strict=False):
            try:
                self._table.write(*(_told(item) for item in batch))
            except RefusedError:
                for item in batch:
                    self.told(item)

    # What operators ask for

    def once(self, kind: str, id_: str, *, holder: str, until: datetime) -> bool:
        """True the first time that this is asked, and again to the same holder: to nobody else.

        It holds until then. DynamoDB deletes it some time later, which does no harm: by then it is
        too old to be taken.
        """
        item = {
            **_key(f"once#{kind}", id_),
            "holder": {"S": holder},
            "expires_at": {"N": str(int(until.timestamp()) + 1)},
        }
        try:
            self._table.write({"Put": _conditional_put(item, replacing=0)})
        except RefusedError as refused:
            return refused.old[0].get("holder") == {"S": holder}
        return True

    def happened(self, kind: str, id_: str) -> bool:
        """Whether `once` was asked of it: what is over is known without being asked for again."""
        return self._table.get(f"once#{kind}", id_) is not None

    def note_act(self, record: ActRecord) -> None:
        """Keeps what an operator asked for, and what came of it."""
        item = {
            **_key(f"acts#{record.at:%Y-%m-%d}", f"{_timestamp(record.at)}#{record.id}"),
            "doc": {"S": record.model_dump_json()},
            "expires_at": {"N": str(int((record.at + RETENTION).timestamp()))},
        }
        self._table.write({"Put": {"Item": item}})

    def act(self, at: datetime, id_: str) -> ActRecord | None:
        """What is kept of one of them; None where nothing is."""
        item = self._table.get(f"acts#{at:%Y-%m-%d}", f"{_timestamp(at)}#{id_}")
        return None if item is None else _document(ActRecord, item)

    def acts_on(self, day: datetime) -> list[ActRecord]:
        """What operators asked for on that day (in UTC), the oldest first."""
        items = self._table.query(f"acts#{day:%Y-%m-%d}")
        return [_document(ActRecord, item) for item in items]

    def give_order(self, order: Order) -> None:
        """Keeps an order to act on a finding now, in place of an earlier one."""
        item = {
            **_key(f"order#{order.finding}", "order"),
            "doc": {"S": order.model_dump_json()},
            "expires_at": {"N": str(int(order.until.timestamp()) + 1)},
        }
        self._table.write({"Put": {"Item": item}})

    def order(self, finding: str, *, now: datetime) -> Order | None:
        """The order to act on this finding that is in force; None where there is none."""
        item = self._table.get(f"order#{finding}", "order")
        found = None if item is None else _document(Order, item)
        return found if found is not None and now < found.until else None

    def may_tell(self, *, window_minutes: int, limit: int, now: datetime) -> bool:
        """Takes one of the window's alerts; False when they are used up."""
        window = int(now.timestamp() // (window_minutes * 60))
        try:
            self._table.write(
                _count(f"alerts#{window}", "alerts", limit=limit, expires_at=now + RETENTION)
            )
        except RefusedError:
            return False
        return True


def _sort_key(name: str) -> str:
    """The name, or what stands for one that is longer than DynamoDB takes.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    """
    text = name.encode("utf-8", "surrogatepass")
    return name if len(text) <= SORT_KEY_BYTES else hashlib.sha256(text).hexdigest()


def _sweep(sweep: Sweep) -> Item:
    return {
        **_key("sweeps", sweep.id),
        "version": {"N": str(sweep.version)},
        "doc": {"S": sweep.model_dump_json()},
        "expires_at": {"N": str(int((sweep.started_at + SWEPT_RETENTION).timestamp()))},
    }


def _rollout(item: Item) -> Rollout:
    """The rollout: who is at it stands beside what it says, and may be newer."""
    until = item["claim_until"].get("S")
    return Rollout.unpacked(item["body"]["B"]).model_copy(
        update={
            "version": int(item["version"]["N"]),
            "ticket": int(item["ticket"]["N"]),
            "claim_until": None if until is None else datetime.fromisoformat(until),
        }
    )


def _claim(rollout: Rollout) -> Item:
    until = rollout.claim_until
    return {"NULL": True} if until is None else {"S": until.isoformat()}


def told_document(item: Item) -> FindingRecord | Notice:
    """The finding or notice in an item of the table or of its stream."""
    if item["pk"]["S"].startswith("notice#"):
        return _document(Notice, item)
    return _document(FindingRecord, item)


def _document[M: BaseModel](model: type[M], item: Item) -> M:
    return model.model_validate_json(item["doc"]["S"])


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _conditional_put(item: Item, *, replacing: int) -> Write:
    if replacing == 0:
        return {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "Item": item,
        "ConditionExpression": "#v = :v",
        "ExpressionAttributeNames": {"#v": "version"},
        "ExpressionAttributeValues": {":v": {"N": str(replacing)}},
    }


def _put_finding(record: FindingRecord, *, replacing: FindingRecord | None) -> Write:
    item: Item = {
        **_key(f"finding#{record.key}", "finding"),
        "version": {"N": str(record.version)},
        "gsi_state": {"S": record.state.value},
        "updated_at": {"S": _timestamp(record.last_seen)},
        "doc": {"S": record.model_dump_json()},
    }
    if record.untold is not None:
        item["untold"] = {"S": "untold"}
    if record.state in OPEN_STATES:
        item["open_in"] = {"S": record.account}
        item["open_of"] = {"S": _sort_key(f"{record.user_id or record.unique_id}#{record.key}")}
    return {"Put": _conditional_put(item, replacing=replacing.version if replacing else 0)}


def _containment(
    record: FindingRecord, action: Action, before: Before, *, now: datetime
) -> Containment:
    return Containment(
        account=record.account,
        unique_id=record.held_as,
        finding=record.key,
        action=action,
        before=before,
        contained_at=now,
    )


def _contain(containment: Containment, *, now: datetime, anew: bool = False) -> Write:
    """Keeps the first `before` of a subject, `anew` this one; refused while a release holds."""
    kept = "doc = if_not_exists(doc, :doc), finding = if_not_exists(finding, :f)"
    return {
        "Update": {
            "Key": _key(f"subject#{containment.account}", containment.unique_id),
            "UpdateExpression": (
                f"SET {'doc = :doc, finding = :f' if anew else kept} ADD findings :fs"
            ),
            "ConditionExpression": (
                "attribute_not_exists(released_until) OR released_until <= :now"
            ),
            "ExpressionAttributeValues": {
                ":doc": {"S": containment.model_dump_json()},
                ":f": {"S": containment.finding},
                ":fs": {"SS": [containment.finding]},
                ":now": {"N": str(int(now.timestamp()))},
            },
        }
    }


def _not_released(account: str, unique_id: str, *, now: datetime) -> Write:
    return {
        "ConditionCheck": {
            "Key": _key(f"subject#{account}", unique_id),
            "ConditionExpression": (
                "attribute_not_exists(released_until) OR released_until <= :now"
            ),
            "ExpressionAttributeValues": {":now": {"N": str(int(now.timestamp()))}},
        }
    }


def _released(account: str, unique_id: str, *, until: datetime, by: str) -> Write:
    return {
        "Update": {
            "Key": _key(f"subject#{account}", unique_id),
            "UpdateExpression": "SET released_until = :until, released_by = :by",
            "ExpressionAttributeValues": {
                ":until": {"N": str(int(until.timestamp()))},
                ":by": {"S": by},
            },
        }
    }


def _key_of(what: FindingRecord | Notice) -> tuple[str, str]:
    if isinstance(what, FindingRecord):
        return f"finding#{what.key}", "finding"
    return f"notice#{what.kind}#{what.id}", "notice"


def _told_key(what: FindingRecord | Notice) -> tuple[str, str]:
    if isinstance(what, FindingRecord):
        return f"told#{what.key}", "told"
    return f"told#{what.kind}#{what.id}", "told"


def _deliveries(item: Item | None) -> Told:
    if item is None:
        return Told()
    admitted = item.get(ADMITTED)
    return Told(
        places={
            name: Delivered.model_validate_json(value["S"])
            for name, value in item.items()
            if name not in {"pk", "sk", "expires_at", ADMITTED, CLAIMED}
            and not name.startswith(FOLDED)
        },
        folded={
            name.removeprefix(FOLDED): Folded.model_validate_json(value["S"])
            for name, value in item.items()
            if name.startswith(FOLDED)
        },
        admitted=None if admitted is None else datetime.fromisoformat(admitted["S"]),
    )


def _remembered(what: FindingRecord | Notice, name: str, value: Item, now: datetime) -> Write:
    return {
        "Update": {
            "Key": _key(*_told_key(what)),
            "UpdateExpression": "SET #name = :value, expires_at = :expires",
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {
                ":value": value,
                ":expires": {"N": str(int((now + RETENTION).timestamp()))},
            },
        }
    }


def _claim_telling(what: FindingRecord | Notice, now: datetime) -> Write:
    until = int((now + TELLING_TAKES).timestamp())
    return {
        "Update": {
            "Key": _key(*_told_key(what)),
            "UpdateExpression": "SET claimed = :until, expires_at = :expires",
            "ConditionExpression": "attribute_not_exists(claimed) OR claimed <= :now",
            "ExpressionAttributeValues": {
                ":until": {"N": str(until)},
                ":now": {"N": str(int(now.timestamp()))},
                ":expires": {"N": str(int((now + RETENTION).timestamp()))},
            },
        }
    }


def _end_telling(what: FindingRecord | Notice) -> Write:
    return {"Update": {"Key": _key(*_told_key(what)), "UpdateExpression": "REMOVE claimed"}}


def _goes_on(record: FindingRecord) -> FindingRecord:
    """The record whose last step is news, for those who were told of the finding before it."""
    changes = {
        "untold": record.history[-1].at,
        "follows": True,
        "version": record.version + 1,
    }
    return record.model_copy(update=changes)


def _told(what: FindingRecord | Notice) -> Write:
    if isinstance(what, FindingRecord):
        changes = {"untold": None, "follows": False, "version": what.version + 1}
        after = what.model_copy(update=changes)
        return _put_finding(after, replacing=what)
    return {
        "Update": {
            "Key": _key(*_key_of(what)),
            "UpdateExpression": "REMOVE untold",
        }
    }


def _lease(begins_ms: int, ends_ms: int, *, impossible_ms: int) -> Write:
    """Takes the place in the line; what nobody can have leased is a wrong clock's, and no line."""
    return {
        "Update": {
            "Key": _key("bucket#identity-center", "bucket"),
            "UpdateExpression": "SET leased_until_ms = :ends",
            "ConditionExpression": (
                "attribute_not_exists(pk) OR leased_until_ms <= :begins "
                "OR leased_until_ms > :impossible"
            ),
            "ExpressionAttributeValues": {
                ":begins": {"N": str(begins_ms)},
                ":ends": {"N": str(ends_ms)},
                ":impossible": {"N": str(impossible_ms)},
            },
        }
    }


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _is_released(item: Item, now: datetime) -> bool:
    until = item.get("released_until")
    return until is not None and int(until["N"]) > now.timestamp()


def _count(pk: str, sk: str, *, limit: int, expires_at: datetime) -> Write:
    return {
        "Update": {
            "Key": _key(pk, sk),
            "UpdateExpression": "ADD spent :one SET expires_at = :expires",
            "ConditionExpression": "attribute_not_exists(spent) OR spent < :limit"
            if limit > 0
            else "attribute_exists(pk) AND attribute_not_exists(pk)",
            "ExpressionAttributeValues": {
                ":one": {"N": "1"},
                ":expires": {"N": str(int(expires_at.timestamp()))},
                **({":limit": {"N": str(limit)}} if limit > 0 else {}),
            },
        }
    }
