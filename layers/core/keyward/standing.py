"""Whether Keyward sees and reaches what it should: what stands where, what is wrong, what to do.

What can't be read is wrong as well, and hides nothing else: one asks for this when things are down.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyward import planning, redriving
from keyward.alive import WAYS
from keyward.errors import GatewayError
from keyward.ledger import Ledger
from keyward.observability import logger
from keyward.services import Services
from keyward.sweep import IDENTITY_CENTER, CanaryMark, Heard, Sweep, SweepState, Swept
from keyward.text import many

CANARY_AGE = timedelta(minutes=30)
"""A canary is sent every ten minutes: when the last one is older, several are missing."""

NAMED = 5
"""So many accounts are named where the same is wrong with many."""

ACCOUNTS_A_PAGE = 2000
"""So many accounts are in one answer: Lambda sends 6 MB at most.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

SOURCES = {
    "iam": "IAM events of the organization to iam-guard",
    "identity-center": "events of Identity Center to identity-center-guard",
    "accounts": "events of accounts and the organization to account-baseline",
}
"""What each canary's way carries."""

ROLE, CENTER, ALARMS = (
    "the member role is missing or changed",
    "Identity Center can't be read",
    "Alarms",
)
"""What stands in docs/operations.md about what is wrong, in these words."""

MEMBER = (
    "aws cloudformation list-stack-instances --stack-set-name keyward-members "
    "--stack-instance-account {account} tells whether its stack is whole; mend it, then "
    "keyward sweep"
)
MANY = (
    "keyward status --accounts lists them; deploy the stack again where many are affected, see "
    f'"{ROLE}" in docs/operations.md; then keyward sweep'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of one account, or of Identity Center; `swept` is what the last sweep saw.

    `silent` where the last sweep asked for it and it said nothing.
    """

    id: str
    swept: Swept | None
    heard: Heard | None
    silent: bool

    @property
    def unread(self) -> str | None:
        """Why it could not be entered or read; None where it could."""
        return None if self.swept is None or self.swept.ok else self.swept.why or "nobody knows why"

    @property
    def deaf(self) -> dict[str, str]:
        """What is wrong with its forwarding rules, by rule and region."""
        rules = self.swept.forwarders if self.swept is not None else {}
        return {name: why for name, why in rules.items() if why}

    @property
    def wrong(self) -> list[str]:
        """All that is wrong with it, a line each."""
        lines = [] if self.unread is None else [f"can't be read: {self.unread}"]
        lines += [f"{name}: {why}" for name, why in sorted(self.deaf.items())]
        return lines + (["said nothing in the last sweep"] if self.silent else [])


@dataclass(slots=True, kw_only=True)
class _Report:
    wrong: list[dict[str, str]] = field(default_factory=list)

    def add(self, what: str, do: str) -> None:
        self.wrong.append({"what": what, "do": do})

    def read[T](self, what: str, read: Callable[[], list[T]]) -> list[T]:
        """What `read` finds; where AWS says no nothing, and that is wrong."""
        try:
            return read()
        except GatewayError as error:
            logger.warning("not read", what=what, reason=str(error))
            self.add(f"{what} can't be read: {error}", "try again; else deploy the stack again")
            return []


def summary(services: Services, now: datetime) -> dict[str, object]:
    """Sweeps, canaries, dead letters and accounts in numbers, and `wrong`: what is, what to do."""
    report, ledger = _Report(), services.ledger
    sweeps = report.read("sweeps", ledger.sweeps)
    canaries = report.read("canaries", ledger.canaries)
    letters = report.read("dead letters", lambda: redriving.waiting(services))
    accounts = report.read("accounts", lambda: known(ledger, sweeps))
    _judge_sweeps(report, sweeps, now)
    ways = [_way(way, canaries, report, now) for way in WAYS]
    _judge_letters(report, letters)
    _judge_accounts(report, accounts)
    complete = planning.last_complete(sweeps)
    return {
        "sweep": {
            "last_complete": complete.model_dump(mode="json") if complete else None,
            "newest": sweeps[-1].model_dump(mode="json") if sweeps else None,
        },
        "sources": ways,
        "dead_letters": [{"of": it["of"], "number": it["dead_letters"]} for it in letters],
        "accounts": {
            "known": sum(it.id != IDENTITY_CENTER for it in accounts),
            "unread": sum(it.unread is not None for it in accounts),
            "not_forwarding": sum(bool(it.deaf) for it in accounts),
            "silent": sum(it.silent for it in accounts),
        },
        "wrong": report.wrong,
    }


def page(services: Services, *, after: str | None) -> dict[str, object]:
    """Each account, those that come `after` an id, with what is wrong there."""
    ledger = services.ledger
    later = [it for it in known(ledger, ledger.sweeps()) if after is None or it.id > after]
    rows = later[:ACCOUNTS_A_PAGE]
    return {
        "accounts": [row_of(it) for it in rows],
        "next": rows[-1].id if len(later) > len(rows) else None,
    }


def one(account: str, services: Services) -> dict[str, object]:
    """The same of one account, whether anything is known of it or not."""
    ledger = services.ledger
    asked = _asked(ledger, ledger.sweeps())
    swept = ledger.last_seen_in(account)
    heard = next((it for it in ledger.heard() if it.account == account), None)
    silent = asked is not None and account in asked[1] and _is_silent(swept, asked[0])
    return row_of(Account(id=account, swept=swept, heard=heard, silent=silent))


def row_of(account: Account) -> dict[str, object]:
    """The account as an answer has it."""
    swept, heard = account.swept, account.heard
    return {
        "account": account.id,
        "swept_at": swept.at.isoformat() if swept else None,
        "readable": None if swept is None else swept.ok,
        "forwarders": dict(swept.forwarders) if swept else {},
        "users": swept.users if swept else None,
        "keys": swept.keys if swept else None,
        "heard_at": heard.time.isoformat() if heard else None,
        "heard": f"{heard.event_name} ({heard.event_source})" if heard else None,
        "wrong": account.wrong,
    }


def known(ledger: Ledger, sweeps: list[Sweep]) -> list[Account]:
    """The accounts of the organization, by id, as the last sweep that ended found it.

    An account that left since it was swept is none of them.
    """
    swept = {it.account: it for it in ledger.last_seen()}
    heard = {it.account: it for it in ledger.heard()}
    asked = _asked(ledger, sweeps)
    ids: Iterable[str] = swept.keys() | heard.keys() if asked is None else asked[1]
    return [
        Account(
            id=id_,
            swept=swept.get(id_),
            heard=heard.get(id_),
            silent=asked is not None and _is_silent(swept.get(id_), asked[0]),
        )
        for id_ in sorted(ids)
    ]


def _asked(ledger: Ledger, sweeps: list[Sweep]) -> tuple[Sweep, frozenset[str]] | None:
    """The last sweep that ended, and what it asked to be looked at; None where none did.

    One that didn't list all accounts says nothing of which there are.
    """
    ended = [it for it in sweeps if it.state is SweepState.DONE and it.listed_at is not None]
    if not ended:
        return None
    asked = ledger.asked(ended[-1].id)
    return (ended[-1], asked | {IDENTITY_CENTER}) if asked else None


def _is_silent(swept: Swept | None, sweep: Sweep) -> bool:
    """Whether nobody looked there in that sweep, nor since."""
    return swept is None or (swept.sweep < sweep.id and swept.at < sweep.started_at)


def _judge_sweeps(report: _Report, sweeps: list[Sweep], now: datetime) -> None:
    complete = planning.last_complete(sweeps)
    under_way = bool(sweeps) and sweeps[-1].is_under_way(now)
    wait = "one is under way: keyward sweep --wait follows it"
    if complete is None or complete.ended_at is None:
        report.add("no sweep was complete yet", wait if under_way else "keyward sweep --wait")
    elif now - complete.ended_at > planning.OLD:
        since = f"{complete.ended_at:%Y-%m-%d %H:%M} UTC"
        do = "keyward sweep --wait; is schedule keyward-sweep on, and keyward-sweep without errors?"
        report.add(f"the last complete sweep ended at {since}", wait if under_way else do)
    ended = [it for it in sweeps if it.state is SweepState.DONE]
    if complete is not None and ended[-1] is not complete:
        do = "its alert says what is missing; mend that, then keyward sweep --wait"
        report.add(f"sweep {ended[-1].id} was not complete", wait if under_way else do)


def _way(way: str, canaries: list[CanaryMark], report: _Report, now: datetime) -> dict[str, object]:
    last = next((it for it in canaries if it.way == way), None)
    is_late = last is None or now - last.sent > CANARY_AGE
    if is_late:
        when = f"{last.sent:%Y-%m-%d %H:%M} UTC" if last else "ever"
        report.add(
            f"no canary {'since ' if last else ''}{when} of {way}: {SOURCES[way]}",
            f'see keyward-canary-{way} under "{ALARMS}" in docs/operations.md',
        )
    return {
        "way": way,
        "sent": last.sent.isoformat() if last else None,
        "age_seconds": round((now - last.sent).total_seconds()) if last else None,
        "took_seconds": round((last.arrived - last.sent).total_seconds()) if last else None,
        "late": is_late,
    }


def _judge_letters(report: _Report, letters: list[dict[str, object]]) -> None:
    for it in letters:
        number = it["dead_letters"]
        if isinstance(number, int) and number:
            report.add(
                f"{many(number, 'dead letter')} of {it['of']}",
                str(it["advice"] or f"read one, mend the cause; then keyward redrive {it['of']}"),
            )


def _judge_accounts(report: _Report, accounts: list[Account]) -> None:
    _judge_some(
        report,
        "can't be entered or read",
        {it.id: it.unread for it in accounts if it.unread is not None},
    )
    _judge_some(
        report,
        "don't forward all events",
        {
            it.id: "; ".join(f"{name}: {why}" for name, why in it.deaf.items())
            for it in accounts
            if it.deaf
        },
    )
    silent = [it.id for it in accounts if it.silent]
    if silent:
        report.add(
            f"{many(len(silent), 'account')} said nothing in the last sweep: {_named(silent)}",
            "keyward sweep --wait; where they stay silent, keyward redrive",
        )


def _judge_some(report: _Report, what: str, found: dict[str, str]) -> None:
    """Says the same of all that it is true of; of one with why, and exactly what to do."""
    if not found:
        return
    if len(found) > 1:
        first, why = next(iter(found.items()))
        text = f"{many(len(found), 'account')} {what}: {_named(list(found))}; {first}: {why}"
        report.add(text, MANY)
        return
    ((account, why),) = found.items()
    if account == IDENTITY_CENTER:
        do = f'see "{CENTER}" in docs/operations.md; then keyward sweep'
        report.add(f"{CENTER}: {why}", do)
        return
    one_of = what.replace("don't", "doesn't")
    report.add(f"account {account} {one_of}: {why}", MEMBER.format(account=account))


def _named(ids: list[str]) -> str:
    more = len(ids) - NAMED
    return ", ".join(ids[:NAMED]) + (f" and {more} more" if more > 0 else "")
