"""Tells people and programs what the ledger holds untold: each place once, each finding in order.

A place is the alert topic, another topic, a channel of Slack, the bus keyward-out, Security Hub, or
the person concerned. What a place was told stands in the ledger, so that one that fails is told
later and the others are not told again. All is rendered from the finding as it is when it is told:
so what happens to one is heard in order, however late. Whoever tells something to people claims it
first: two functions never tell the same at once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched

from keyward import concerned, outgoing, routing, slacking
from keyward.alerts import alert, digest, for_chat
from keyward.errors import GatewayError, NotFoundError
from keyward.findings import FindingRecord, Notice
from keyward.observability import count, logger
from keyward.services import Services
from keyward.settings import Alerts
from keyward.told import (
    BUS,
    MACHINES,
    PERSON,
    SECURITY_HUB,
    TOPIC,
    Delivered,
    Told,
    When,
    heard,
    news_of,
)

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

GIVE_UP = timedelta(days=3)
"""What a place beside the alert topic didn't take for so long it isn't told: the ledger has it."""

PATIENCE = 3
"""A place that refused so many things in a run is left alone until the next."""

CHUNK = 100
"""So many findings programs are told between two writes of the ledger."""


LONGEST = timedelta(seconds=40)
"""A scheduled run begins with nothing more after so long: the function has sixty seconds."""


@dataclass(slots=True)
class Outage:
    """Which places are out of order in this run: nobody waits for the same thing twice.

    `ends_at`: what is not told by then is left to the next run.
    """

    ends_at: datetime | None = None
    _refusals: dict[str, int] = field(default_factory=dict)

    def met(self, place: str, error: GatewayError) -> None:
        """Notes that the place failed: what passes by itself holds for all else, too."""
        self._refusals[place] = PATIENCE if error.retryable else self._refusals.get(place, 0) + 1

    def __contains__(self, place: str) -> bool:
        return self._refusals.get(place, 0) >= PATIENCE

    def is_over(self, services: Services) -> bool:
        """Whether the run has to end."""
        return self.ends_at is not None and services.clock() >= self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An item, and the places where people are still to hear of it.

    `behind`: some place beside these has to hear of it later.
    """

    item: Item
    told: Told
    places: tuple[str, ...]
    behind: bool


def tell(items: Iterable[Item], *, services: Services, now: datetime) -> None:
    """Tells each item that is still untold, within the window's number of single alerts.

    The rest waits for `tell_the_rest`; so does what a place beside the alert topic doesn't take.
    Raises GatewayError when the topic or the ledger fails.
    """
    for claimed in items:
        item = services.ledger.still_untold(claimed)
        if item is not None:
            _tell(item, services.ledger.deliveries(item), services=services, now=now)


def tell_the_rest(*, services: Services, now: datetime) -> int:
    """Tells what is still untold, in digests where there is much; how many items were told.

    What quiet hours hold back is told once they are over. A place that fails holds up no other.
    Raises GatewayError at the end where the alert topic failed, and where the ledger does.
    """
    alerts = services.accepted(now).settings.alerts
    try:
        slacking.make_daily_digest(services=services, now=now)
    except GatewayError as error:
        logger.error("daily digest not made", reason=str(error))
        count("AlertsFailed")
    number, outage = 0, Outage(ends_at=services.clock() + LONGEST)
    failed: list[GatewayError] = []
    for when in _due(quiet=routing.is_quiet(alerts, now)):
        for _ in range(DIGESTS_PER_RUN):
            claimed = services.ledger.untold(before=now - FRESH, limit=DIGEST_SIZE, when=when)
            items = services.ledger.those_untold(claimed)
            number += _tell_many(items, outage, failed, services=services, now=now)
            if len(claimed) < DIGEST_SIZE or outage.is_over(services):
                break
    if failed:
        raise failed[0]
    return number


def _due(*, quiet: bool) -> tuple[When, ...]:
    """What is to be told now: first what waits longest, which shows which places are there."""
    return ("later", "untold") if quiet else ("later", "untold", "quiet")


def _tell(item: Item, told: Told, *, services: Services, now: datetime) -> None:
    """Tells one item to every place that wants it and has not heard it."""
    outage = Outage()
    behind = _tell_machines([(item, told)], outage, services, now)
    waits = _waiting(item, told, services, now, behind=bool(behind))
    alerts = services.accepted(now).settings.alerts
    if not waits.places:
        _settle(item, {}, behind=waits.behind, services=services, now=now)
        return
    if _is_held_back(item, alerts, now):
        services.ledger.postpone(item, "later" if waits.behind else "quiet")
        return
    if not _is_admitted(item, told, services, now):
        logger.warning("alert folded", item=_name(item))
        count("AlertsFolded")
        return
    _tell_places(waits, outage, services=services, now=now)


def _tell_places(waits: Waiting, outage: Outage, *, services: Services, now: datetime) -> bool:
    """Tells the item to its places, each whatever becomes of the others; True where all took it.

    Nothing is done where another function is telling it: what that leaves is found by a scheduled
    run. Raises GatewayError where the alert topic doesn't take it: the stream tries that again at
    once. The others are tried again by a scheduled run.
    """
    item = waits.item
    if not services.ledger.begin_telling(item, now=now):
        logger.info("alert is being told", item=_name(item))
        return False
    try:
        told = services.ledger.deliveries(item)
        left = [place for place in waits.places if not _has_heard(item, place, told)]
        failed: dict[str, GatewayError] = {}
        for place in left:
            if (error := _attempt(item, place, told, outage, services, now)) is not None:
                failed[place] = error
    finally:
        services.ledger.end_telling(item)
    if len(left) > len(failed):
        logger.info("alert told", item=_name(item), places=[it for it in left if it not in failed])
        count("AlertsTold")
    return _settle(item, failed, behind=waits.behind, services=services, now=now)


def _attempt(  # noqa: PLR0913, PLR0917 - what is to be told, where, and by what
    item: Item, place: str, told: Told, outage: Outage, services: Services, now: datetime
) -> GatewayError | None:
    """Tells one place, and remembers it; the error where it doesn't take it."""
    if place in outage:
        return GatewayError(f"{place} is out of order", code="Outage", retryable=True)
    try:
        delivered = _deliver(item, place, told, services=services, now=now)
    except GatewayError as error:
        outage.met(place, error)
        logger.error("alert not told", item=_name(item), place=place, reason=str(error))
        count("AlertsFailed")
        return error
    services.ledger.delivered(item, place, delivered, now=now)
    return None


def _settle(
    item: Item,
    failed: dict[str, GatewayError],
    *,
    behind: bool,
    services: Services,
    now: datetime,
) -> bool:
    """Has the ledger know what is still to be told of it; True where nothing is.

    Raises GatewayError where the alert topic failed.
    """
    if TOPIC in failed:
        raise failed[TOPIC]
    if not failed and not behind:
        services.ledger.told(item)
        return True
    if now - news_of(item) < GIVE_UP:
        services.ledger.postpone(item, "later")
        return False
    logger.error("alert given up", item=_name(item), places=sorted(failed))
    count("AlertsGivenUp")
    services.ledger.told(item)
    return False


def _tell_many(
    items: Sequence[Item],
    outage: Outage,
    failed: list[GatewayError],
    *,
    services: Services,
    now: datetime,
) -> int:
    """Tells many items: one by one where a place has few, else in a digest for the place.

    A digest is a notice of its own, which the ledger keeps until its place took it; one that waits
    is told first. Where a place is out of order, what it has to hear is left as it is, and makes
    one digest once it is back. `failed` takes the errors of the alert topic.
    """
    pairs = list(zip(items, services.ledger.deliveries_of(items), strict=True))
    behind = _tell_machines(pairs, outage, services, now)
    waits = [
        _waiting(item, told, services, now, behind=_name(item) in behind) for item, told in pairs
    ]
    number = 0
    for it in [it for it in waits if _is_digest(it.item)]:
        number += _tried(it, outage, failed, services=services, now=now)
    rest = _not_held_back(waits, services, now)
    folded = _folded(rest, outage)
    many = {_name(it.item): it.item for those in folded.values() for it in those}
    ours = services.ledger.begin_telling_together(many.values(), now=now)
    try:
        claimed = dict(zip(map(_name, ours), services.ledger.deliveries_of(ours), strict=True))
        rest = [it for it in rest if _name(it.item) in claimed or _name(it.item) not in many]
        notices = _digests(folded, claimed, services, now)
        left = [_beside(it, folded) for it in rest]
        single = [it for it in left if it.places or it.behind]
        together = [it.item for it in left if not it.places and not it.behind]
        services.ledger.told_together(together)
    finally:
        services.ledger.end_telling_together(ours)
    if together:
        logger.info("alerts folded into digests", items=len(together), places=sorted(folded))
    for it in single:
        if outage.is_over(services):
            logger.warning("alerts left to the next run", items=len(single))
            break
        number += _tried(it, outage, failed, services=services, now=now)
    for notice in notices:
        waiting = Waiting(item=notice, told=Told(), places=notice.to or (), behind=False)
        _tried(waiting, outage, failed, services=services, now=now)
    return number + len(together)


def _not_held_back(waits: Sequence[Waiting], services: Services, now: datetime) -> list[Waiting]:
    """Those, but for digests, that quiet hours don't hold back; the others are put off."""
    alerts = services.accepted(now).settings.alerts
    rest: list[Waiting] = []
    for it in waits:
        if _is_digest(it.item):
            continue
        if it.places and _is_held_back(it.item, alerts, now):
            services.ledger.postpone(it.item, "later" if it.behind else "quiet")
        else:
            rest.append(it)
    return rest


def _beside(waits: Waiting, folded: Mapping[str, object]) -> Waiting:
    """What is left of it beside digests."""
    places = tuple(
        place for place in waits.places if place not in folded or not _is_foldable(waits, place)
    )
    return replace(waits, places=places)


def _tried(
    waits: Waiting,
    outage: Outage,
    failed: list[GatewayError],
    *,
    services: Services,
    now: datetime,
) -> bool:
    """Whether all took it. Where all that it waits for is out of order, it is left as it is."""
    if not waits.places:
        return _settle(waits.item, {}, behind=waits.behind, services=services, now=now)
    is_old = now - news_of(waits.item) >= GIVE_UP
    if all(place in outage for place in waits.places) and (TOPIC in waits.places or not is_old):
        if TOPIC not in waits.places:
            services.ledger.postpone(waits.item, "later")
        return False
    try:
        return _tell_places(waits, outage, services=services, now=now)
    except GatewayError as error:
        if TOPIC not in waits.places:
            raise
        failed.append(error)
        return False


def _folded(waits: Sequence[Waiting], outage: Outage) -> dict[str, list[Waiting]]:
    """What is told together, by place: where there is more than a few, and the place is there."""
    folded: dict[str, list[Waiting]] = {}
    for it in waits:
        for place in it.places:
            if place not in outage and _is_foldable(it, place):
                folded.setdefault(place, []).append(it)
    return {place: those for place, those in folded.items() if len(those) > SINGLE}


def _digests(
    folded: Mapping[str, Sequence[Waiting]],
    claimed: Mapping[str, Told],
    services: Services,
    now: datetime,
) -> list[Notice]:
    """The digest of each place, kept, of what is claimed and the place has not heard meanwhile.

    What a digest tells is written down before it, and counts from when there is the digest: so
    whoever dies in between has told nothing, and afterwards nothing is in a second one.
    """
    notices: list[Notice] = []
    for place, those in folded.items():
        items = [
            it.item
            for it in those
            if (told := claimed.get(_name(it.item))) is not None
            and not _has_heard(it.item, place, told)
        ]
        if items:
            notice = _digest_of(place, items, now)
            services.ledger.fold(items, place, digest=notice.id, now=now)
            services.ledger.notice(notice)
            notices.append(notice)
    return notices


def _digest_of(place: str, items: list[Item], now: datetime) -> Notice:
    """The digest of these items for the place: the same for the same items as they are."""
    news = "\n".join(sorted(f"{_name(item)} {news_of(item).isoformat()}" for item in items))
    named = hashlib.sha256(f"{place}\n{news}".encode()).hexdigest()[:20]
    return digest(items, id_=named, to=(place,), at=now)


def _is_foldable(waits: Waiting, place: str) -> bool:
    """Whether it may be one of a digest: what goes on in a thread, or is a digest, is not."""
    item = waits.item
    if _is_digest(item) or place == PERSON:
        return False
    return isinstance(item, Notice) or not (item.follows or _has_thread(item, place, waits.told))


def _has_thread(record: FindingRecord, place: str, told: Told) -> bool:
    """Whether the place heard how this episode began, and can show there how it goes on."""
    had = told.places.get(place)
    return had is not None and had.ts is not None and had.episode == record.episode


def _tell_machines(
    pairs: Sequence[tuple[Item, Told]], outage: Outage, services: Services, now: datetime
) -> frozenset[str]:
    """Tells programs of findings, each once for each change; the names of what they didn't take."""
    environment = services.environment
    on = {BUS: bool(environment.out_bus), SECURITY_HUB: environment.security_hub}
    behind: set[str] = set()
    for place in [place for place in MACHINES if on[place]]:
        records = [
            item
            for item, told in pairs
            if isinstance(item, FindingRecord) and not _has_heard(item, place, told)
        ]
        for chunk in batched(records, CHUNK, strict=False):
            if place not in outage:
                try:
                    if place == BUS:
                        outgoing.put(chunk, services=services)
                    else:
                        outgoing.import_findings(chunk, services=services)
                except GatewayError as error:
                    outage.met(place, error)
                    logger.error("programs not told", place=place, reason=str(error))
                    count("AlertsFailed")
                else:
                    told = [(record, heard(record)) for record in chunk]
                    services.ledger.delivered_together(told, place, now=now)
                    continue
            behind.update(map(_name, chunk))
    return frozenset(behind)


def _waiting(item: Item, told: Told, services: Services, now: datetime, *, behind: bool) -> Waiting:
    """The places where people are still to hear this news.

    Of how a finding goes on, only those that heard how it began and can show it there.
    """
    alerts = services.accepted(now).settings.alerts
    if isinstance(item, FindingRecord) and item.follows:
        wanted = tuple(place for place in told.places if _has_thread(item, place, told))
    else:
        wanted, is_all = _routed(item, alerts, services, now)
        behind = behind or not is_all
    if isinstance(item, FindingRecord) and not item.follows:
        is_due = concerned.is_due(item, told, services=services, now=now)
        wanted = (*wanted, PERSON) if is_due else wanted
    places = tuple(place for place in wanted if not _has_heard(item, place, told))
    return Waiting(item=item, told=told, places=places, behind=behind)


def _routed(
    item: Item, alerts: Alerts, services: Services, now: datetime
) -> tuple[tuple[str, ...], bool]:
    """Where people hear of it, and whether these are all the places.

    Where nobody can tell in which OUs an account is, what asks for that has to wait; the rest, with
    the alert topic, has not. A digest whose place settings don't name any more is for nobody.
    """

    def parents(of: str) -> tuple[str, ...]:
        try:
            return services.parents(of, now)
        except NotFoundError:
            return ()

    try:
        wanted = routing.places(item, alerts, parents)
    except GatewayError as error:
        logger.warning("account's units unknown", item=_name(item), reason=str(error))
        routes = tuple(route for route in alerts.routes if not route.units)
        narrow = alerts.model_copy(update={"routes": routes, "slack": None})
        return routing.places(item, narrow, parents), False
    if _is_digest(item):
        wanted = tuple(place for place in wanted if routing.is_named(place, alerts))
    return wanted, True


def _has_heard(item: Item, place: str, told: Told) -> bool:
    """Whether the place was told this news; and each step since, where it shows how things go on.

    A step may come about while some other place is still to hear the news before it.
    """
    if told.is_folded(place, news_of(item)):
        return True
    if not told.has(place, news_of(item)):
        return False
    upto = told.places[place].upto
    shows_steps = place in MACHINES or told.places[place].ts is not None
    if isinstance(item, Notice) or not shows_steps or upto is None or not item.history:
        return True
    return upto >= item.history[-1].at


def _deliver(item: Item, place: str, told: Told, *, services: Services, now: datetime) -> Delivered:
    """Tells one place. Raises GatewayError."""
    kind, _, name = place.partition(":")
    if kind in {TOPIC, "sns"}:
        message = alert(item)
        is_for_chat = services.accepted(now).settings.alerts.chat_applications
        more = {"by_https": for_chat(item)} if is_for_chat else {}
        services.sns.publish(
            subject=message.subject,
            body=message.body,
            attributes=message.attributes,
            topic_arn=name or None,
            **more,
        )
        return heard(item)
    if place == PERSON and isinstance(item, FindingRecord):
        concerned.tell(item, services=services, now=now)
        return heard(item)
    return slacking.deliver(item, place, told, services=services, now=now)


def _is_admitted(item: Item, told: Told, services: Services, now: datetime) -> bool:
    """Whether it is told by itself: one of the window's single alerts, counted once.

    What goes on in a thread pings nobody, and digests are what is folded.
    """
    if _follows(item) or _is_digest(item):
        return True
    if told.admitted is not None and told.admitted >= news_of(item):
        return True
    limits = services.accepted(now).settings.alerts
    if not services.ledger.may_tell(
        window_minutes=limits.window_minutes, limit=limits.single_per_window, now=now
    ):
        return False
    services.ledger.admit(item, news_of(item), now=now)
    return True


def _is_held_back(item: Item, alerts: Alerts, now: datetime) -> bool:
    return not _follows(item) and routing.is_held_back(item, alerts, now)


def _is_digest(item: Item) -> bool:
    return isinstance(item, Notice) and item.kind in DIGESTS


def _follows(item: Item) -> bool:
    return isinstance(item, FindingRecord) and item.follows


def _name(item: Item) -> str:
    return item.key if isinstance(item, FindingRecord) else f"{item.kind}/{item.id}"
