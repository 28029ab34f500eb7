"""Tells Slack: a first message for each finding, what follows in its thread, digests, and forms.

A message is rendered from the finding as it is; the words stand in slack_messages.py.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from keyward import ordering, routing, rules, slack_messages
from keyward.errors import GatewayError, NotFoundError
from keyward.exemptions import Exemption
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.slack import Posted
from keyward.observability import count, logger
from keyward.rule import in_force
from keyward.services import Services
from keyward.text import many
from keyward.told import Delivered, Told, heard

DAILY = "daily-digest"

UNDONE = "iam-quarantine-undone"
"""The rule whose findings are about what another finding had Keyward do."""

GONE = frozenset({"cannot_reply_to_message", "message_not_found", "thread_not_found"})
"""Codes of a thread whose first message somebody deleted.

Source: https://docs.slack.dev/reference/methods/chat.postMessage#errors
"""

REMEMBERED = timedelta(days=3)
"""So long the ledger knows that a day's digest was made."""

ENDS_SOON = timedelta(days=14)
"""Exemptions that end so soon are in the daily digest."""


def deliver(
    item: FindingRecord | Notice, place: str, told: Told, *, services: Services, now: datetime
) -> Delivered:
    """Tells a place of Slack's (slack:CHANNEL or webhook:NAME) of it, and returns what to remember.

    What was posted is told, whatever becomes of what goes with it: a message that isn't up to date
    is logged and counted, and written anew with the next step. Raises GatewayError where Slack
    doesn't take it.
    """
    if not services.environment.slack_secret_arn:
        message = f"{place}: the template's parameter SlackSecretArn is empty: see docs/slack.md"
        raise GatewayError(message, code="NoSecret")
    if isinstance(item, Notice):
        said = slack_messages.notice(item, account=_name(item.account, services, now))
        return _first(said, place, services, heard(item))
    return _finding(item, place, told.places.get(place), services=services, now=now)


def _finding(
    record: FindingRecord,
    place: str,
    before: Delivered | None,
    *,
    services: Services,
    now: datetime,
) -> Delivered:
    now_told = heard(record)
    first = _first_message(record, place, services, now)
    posted = _posted(before)
    if before is not None and before.episode == record.episode:
        if place.startswith("webhook:") and record.state is not State.FAILED:
            # It has no thread, and the same finding never rings twice, unless that went wrong.
            return now_told
        if posted is not None and _goes_on(record, before, posted, services=services, now=now):
            _beside(lambda: services.slack.update(posted, text=first.text, blocks=first.blocks))
            return now_told.model_copy(update={"channel": posted.channel, "ts": posted.ts})
    told = _first(first, place, services, now_told)
    if before is not None and posted is not None and before.episode < record.episode:
        _reply(posted, slack_messages.goes_on(record), services)
    if record.rule == UNDONE or UNDONE in record.also:
        _tell_of_undoing(record, place, services)
    return told


def _first_message(
    record: FindingRecord, place: str, services: Services, now: datetime
) -> slack_messages.Message:
    """The message as it is now, with buttons where somebody may press them."""
    people = services.accepted(now).settings.operators.people
    pressed = place.startswith("slack:") and any(it.slack_user for it in people)
    would = record.would is not None and record.would.action is not None
    orderable = pressed and record.state is State.OPEN and would
    return slack_messages.finding(
        record,
        account=_name(record.account, services, now),
        buttons=pressed,
        may_order=orderable and ordering.may_order(record) is None,
    )


def _first(
    message: slack_messages.Message, place: str, services: Services, told: Delivered
) -> Delivered:
    kind, _, name = place.partition(":")
    if kind == "webhook":
        services.slack.post_to_webhook(name, text=message.text, blocks=message.blocks)
        return told
    posted = services.slack.post(name, text=message.text, blocks=message.blocks)
    return told.model_copy(update={"channel": posted.channel, "ts": posted.ts})


def _goes_on(
    record: FindingRecord, before: Delivered, posted: Posted, *, services: Services, now: datetime
) -> bool:
    """Tells in the thread what happened since; False where there is no such thread any more.

    What somebody must do something about is shown in the channel, too.
    """
    name = _name(record.account, services, now)
    message = slack_messages.steps(record, after=before.upto, account=name)
    if message is None:
        return True
    asked = record.awaited is not None and (before.upto is None or record.awaited.at > before.upto)
    failed = record.state is State.FAILED and not record.follows
    try:
        services.slack.post(
            posted.channel,
            text=message.text,
            blocks=message.blocks,
            thread=posted.ts,
            broadcast=asked or failed,
        )
    except GatewayError as error:
        if error.code in GONE:
            return False
        raise
    return True


def _tell_of_undoing(record: FindingRecord, place: str, services: Services) -> None:
    """Leaves a line in the thread of each finding whose containment was undone."""
    for key in services.ledger.findings_of(record.account, record.held_as):
        posted = _posted(services.ledger.deliveries_to(key).places.get(place))
        if key != record.key and posted is not None:
            _reply(posted, slack_messages.undone(record), services)


def _reply(posted: Posted, message: slack_messages.Message, services: Services) -> None:
    _beside(
        lambda: services.slack.post(
            posted.channel, text=message.text, blocks=message.blocks, thread=posted.ts
        )
    )


def _beside(act: Callable[[], object]) -> None:
    """Does what goes with something that is told already: its failure must not tell that again."""
    try:
        act()
    except GatewayError as error:
        logger.warning("slack message not up to date", reason=str(error))
        count("SlackMessagesStale")


def _posted(told: Delivered | None) -> Posted | None:
    if told is None or told.ts is None or told.channel is None:
        return None
    return Posted(channel=told.channel, ts=told.ts)


def _name(account: str | None, services: Services, now: datetime) -> str | None:
    return None if account is None else services.account_name(account, now)


# The day's digest


def make_daily_digest(*, services: Services, now: datetime) -> None:
    """Makes the notices of the day's digest, once its hour has come: one for each place of Slack's.

    Where nothing is open there is none. Once made it costs one read of the ledger, and later in the
    same process none. Raises GatewayError; what isn't made the next run makes.
    """
    alerts = services.accepted(now).settings.alerts
    day = routing.digest_day(alerts, now)
    places = routing.slack_places(alerts)
    if day is None or not places or services.digested == day:
        return
    if not services.ledger.happened(DAILY, day):
        _make_digests(places, day, services, now)
        services.ledger.once(DAILY, day, holder=day, until=now + REMEMBERED)
    services.digested = day


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What a place's digest is about."""

    records: list[FindingRecord] = field(default_factory=list)
    exemptions: dict[str, Exemption] = field(default_factory=dict)


def _make_digests(places: tuple[str, ...], day: str, services: Services, now: datetime) -> None:
    alerts, parents = services.accepted(now).settings.alerts, _parents(services, now)
    waiting = {place: _Waiting() for place in places}
    for record in services.ledger.every(State.FAILED, State.OPEN):
        for place in waiting.keys() & set(routing.places(record, alerts, parents)):
            waiting[place].records.append(record)
    for name, exemption in in_force(services.accepted(now), rules.every()).exemptions.items():
        if now < exemption.until <= now + ENDS_SOON:
            for place in waiting.keys() & set(
                routing.places(_about(exemption, now), alerts, parents)
            ):
                waiting[place].exemptions[name] = exemption
    for place, what in waiting.items():
        if what.records:
            services.ledger.notice(_digest(place, day, what, services, now))


def _digest(place: str, day: str, what: _Waiting, services: Services, now: datetime) -> Notice:
    lines = slack_messages.open_lines(
        what.records, name=lambda account: services.account_name(account, now), now=now
    )
    return Notice(
        kind=DAILY,
        id=f"{day}-{hashlib.sha256(place.encode()).hexdigest()[:12]}",
        title=f"{many(len(what.records), 'open finding')} on {day}",
        text="What waits for somebody. All of it: keyward findings list",
        severity=max((record.severity for record in what.records), key=lambda it: it.rank),
        at=now,
        details=(*lines, *slack_messages.ending_lines(what.exemptions)),
        to=(place,),
    )


def _parents(services: Services, now: datetime) -> routing.Parents:
    """The OUs of an account; none where they can't be told, which is asked once for each account.

    An account that is gone or whose OUs nobody can tell must not keep others out of the digest: its
    findings are where no route by OU sends them.
    """

    @cache
    def parents(of: str) -> tuple[str, ...]:
        try:
            return services.parents(of, now)
        except NotFoundError:
            return ()
        except GatewayError as error:
            logger.warning("account's units unknown", account=of, reason=str(error))
            return ()

    return parents


def _about(exemption: Exemption, now: datetime) -> Notice:
    """What is told of an exemption that ends, as far as routes ask."""
    return Notice(
        kind="exemption-ends",
        id="",
        title="",
        text="",
        severity=Severity.LOW,
        at=now,
        account=exemption.account,
    )
