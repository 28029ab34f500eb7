"""Tells people and programs what the ledger holds untold: each place once, each finding in order.

A place is the alert topic, another topic, a channel of Slack, the bus keyward-out, Security Hub, or
the person concerned. What a place was told stands in the ledger, so that one that fails is told
later and the others are not told again. All is rendered from the finding as it is when it is told:
so what happens to one is heard in order, however late.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from keyward import concerned, outgoing, routing, slacking
from keyward.alerts import alert, digest
from keyward.errors import GatewayError
from keyward.findings import FindingRecord, Notice
from keyward.observability import count, logger
from keyward.services import Services
from keyward.told import BUS, MACHINES, PERSON, SECURITY_HUB, TOPIC, Delivered, Told, When

type Item = FindingRecord | Notice

DIGEST_SIZE = 4000
"""So many findings one digest covers; the rest follow in the next.

Ten thousand findings in five minutes are told in twenty messages, with the single ones.
"""

FRESH = timedelta(minutes=1)
"""What is younger is left to the stream, so that nothing is told by both."""

DIGESTS_PER_RUN = 2
"""A scheduled run makes no more digests than this for one place."""

SINGLE = 1
"""So many items of one place a scheduled run tells by themselves; of more it makes a digest."""

DIGESTS = frozenset({"digest", "daily-digest"})
"""Kinds of notices that are folded already."""


def tell(items: Iterable[Item], *, services: Services, now: datetime) -> None:
    """Tells each item that is still untold, within the window's number of single alerts.

    The rest waits for `tell_the_rest`; so does what a place beside the alert topic doesn't take.
    Raises GatewayError when the topic, the bus or the ledger fails.
    """
    for claimed in items:
        item = services.ledger.still_untold(claimed)
        if item is not None:
            _tell(item, services.ledger.deliveries(item), services=services, now=now)


def tell_the_rest(*, services: Services, now: datetime) -> int:
    """Tells what is still untold, in digests where there is much; how many items were told.

    What quiet hours hold back is told once they are over. Raises GatewayError.
    """
    alerts = services.accepted(now).settings.alerts
    slacking.make_daily_digest(services=services, now=now)
    told = 0
    for when in _due(quiet=routing.is_quiet(alerts, now)):
        for _ in range(DIGESTS_PER_RUN):
            claimed = services.ledger.untold(before=now - FRESH, limit=DIGEST_SIZE, when=when)
            items = services.ledger.those_untold(claimed)
            if not items:
                break
            told += _tell_many(items, services=services, now=now)
    return told


def _due(*, quiet: bool) -> tuple[When, ...]:
    return ("untold", "later") if quiet else ("untold", "later", "quiet")


def _tell(item: Item, told: Told, *, services: Services, now: datetime) -> None:
    """Tells one item to every place that wants it and has not heard it."""
    _tell_machines([(item, told)], services, now)
    waiting = _waiting(item, told, services, now)
    if not waiting:
        services.ledger.told(item)
        return
    alerts = services.accepted(now).settings.alerts
    if not _follows(item) and routing.is_held_back(item, alerts, now):
        services.ledger.postpone(item, "quiet")
        return
    if not _is_admitted(item, told, services, now):
        logger.warning("alert folded", item=_name(item))
        count("AlertsFolded")
        return
    _tell_places(item, told, waiting, services=services, now=now)


def _tell_places(
    item: Item, told: Told, waiting: Sequence[str], *, services: Services, now: datetime
) -> bool:
    """Tells the item to these places, each whatever becomes of the others.

    True where all took it. Raises GatewayError where the alert topic doesn't: the stream tries that
    again at once. The others are tried again by a scheduled run.
    """
    failed: dict[str, GatewayError] = {}
    for place in waiting:
        try:
            delivered = _deliver(item, place, told, services=services, now=now)
        except GatewayError as error:
            failed[place] = error
            logger.error("alert not told", item=_name(item), place=place, reason=str(error))
            count("AlertsFailed")
            continue
        services.ledger.delivered(item, place, delivered, now=now)
    if TOPIC in failed:
        raise failed[TOPIC]
    if failed:
        services.ledger.postpone(item, "later")
        return False
    services.ledger.told(item)
    logger.info("alert told", item=_name(item), places=list(waiting))
    count("AlertsTold")
    return True


def _tell_many(items: Sequence[Item], *, services: Services, now: datetime) -> int:
    """Tells many items: one by one where a place has few, else in a digest for the place.

    A digest is a notice of its own, which the ledger keeps until its place took it.
    """
    alerts = services.accepted(now).settings.alerts
    for item in items:
        if not _follows(item) and routing.is_held_back(item, alerts, now):
            services.ledger.postpone(item, "quiet")
    items = [it for it in items if _follows(it) or not routing.is_held_back(it, alerts, now)]
    pairs = list(zip(items, services.ledger.deliveries_of(items), strict=True))
    _tell_machines(pairs, services, now)
    waiting = {id(item): _waiting(item, told, services, now) for item, told in pairs}
    folded: dict[str, list[Item]] = {}
    for item, _ in pairs:
        for place in waiting[id(item)]:
            if _is_foldable(item, place):
                folded.setdefault(place, []).append(item)
    folded = {place: those for place, those in folded.items() if len(those) > SINGLE}
    notices = [_folded(place, those, now) for place, those in folded.items()]
    for notice in notices:
        services.ledger.notice(notice)
    single = {
        id(item): [
            place
            for place in waiting[id(item)]
            if place not in folded or not _is_foldable(item, place)
        ]
        for item, _ in pairs
    }
    together = [item for item, _ in pairs if not single[id(item)]]
    services.ledger.told_together(together)
    if together:
        logger.info("alerts folded into digests", items=len(together), places=sorted(folded))
    number = len(together)
    for item, told in pairs:
        if not single[id(item)]:
            continue
        for place in set(waiting[id(item)]) - set(single[id(item)]):
            services.ledger.delivered(item, place, _delivered(item), now=now)
        number += _tell_places(item, told, single[id(item)], services=services, now=now)
    tell(notices, services=services, now=now)
    return number


def _folded(place: str, items: list[Item], now: datetime) -> Notice:
    """The digest of these items for the place: the same for the same items as they are."""
    news = "\n".join(sorted(f"{_name(item)} {_news(item).isoformat()}" for item in items))
    named = hashlib.sha256(f"{place}\n{news}".encode()).hexdigest()[:20]
    return digest(items, id_=named, to=(place,), at=now)


def _is_foldable(item: Item, place: str) -> bool:
    """Whether it may be one of a digest: what goes on in a thread, or is a digest, is not."""
    is_digest = isinstance(item, Notice) and item.kind in DIGESTS
    return not is_digest and not _follows(item) and place != PERSON


def _tell_machines(pairs: Sequence[tuple[Item, Told]], services: Services, now: datetime) -> None:
    """Tells programs of findings, each once for each change. Raises GatewayError."""
    for place in MACHINES:
        records = [
            item
            for item, told in pairs
            if isinstance(item, FindingRecord) and not told.has(place, _news(item))
        ]
        if place == BUS:
            if not services.environment.out_bus:
                continue
            outgoing.put(records, services=services)
        elif place == SECURITY_HUB:
            if not services.environment.security_hub:
                continue
            outgoing.import_findings(records, services=services, now=now)
        for record in records:
            services.ledger.delivered(record, place, _delivered(record), now=now)


def _waiting(item: Item, told: Told, services: Services, now: datetime) -> list[str]:
    """The places where people are still to hear this news.

    Of how a finding goes on, only those that heard how it began and can show it there.
    """
    alerts = services.accepted(now).settings.alerts
    wanted = list(routing.places(item, alerts, lambda of: services.parents(of, now)))
    if isinstance(item, FindingRecord):
        if _follows(item):
            wanted = [place for place, of in told.places.items() if of.ts is not None]
        elif concerned.is_due(item, told, services=services, now=now):
            wanted.append(PERSON)
    return [place for place in wanted if not told.has(place, _news(item))]


def _deliver(item: Item, place: str, told: Told, *, services: Services, now: datetime) -> Delivered:
    """Tells one place. Raises GatewayError."""
    kind, _, name = place.partition(":")
    if kind in {TOPIC, "sns"}:
        message = alert(item)
        services.sns.publish(
            subject=message.subject,
            body=message.body,
            attributes=message.attributes,
            topic_arn=name or None,
        )
        return _delivered(item)
    if place == PERSON and isinstance(item, FindingRecord):
        concerned.tell(item, services=services, now=now)
        return _delivered(item)
    return slacking.deliver(item, place, told, services=services, now=now)


def _delivered(item: Item) -> Delivered:
    if isinstance(item, Notice):
        return Delivered(news=item.at)
    upto = item.history[-1].at if item.history else None
    return Delivered(news=_news(item), episode=item.episode, upto=upto)


def _is_admitted(item: Item, told: Told, services: Services, now: datetime) -> bool:
    """Whether it is told by itself: one of the window's single alerts, counted once.

    What goes on in a thread pings nobody, and digests are what is folded.
    """
    if _follows(item) or (isinstance(item, Notice) and item.kind in DIGESTS):
        return True
    if told.admitted is not None and told.admitted >= _news(item):
        return True
    limits = services.accepted(now).settings.alerts
    if not services.ledger.may_tell(
        window_minutes=limits.window_minutes, limit=limits.single_per_window, now=now
    ):
        return False
    services.ledger.admit(item, _news(item), now=now)
    return True


def _follows(item: Item) -> bool:
    return isinstance(item, FindingRecord) and item.follows


def _news(item: Item) -> datetime:
    """When what is to be told happened."""
    return item.at if isinstance(item, Notice) else item.untold or item.last_seen


def _name(item: Item) -> str:
    return item.key if isinstance(item, FindingRecord) else f"{item.kind}/{item.id}"
