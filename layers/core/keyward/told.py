"""Who was told what: what the ledger keeps of an alert for each place that it goes to."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keyward.findings import FindingRecord, Notice

TOPIC = "topic"
"""The alert topic: it gets every alert."""

BUS = "bus"
"""The bus keyward-out, by which other programs hear of findings."""

SECURITY_HUB = "security-hub"
PERSON = "person"
"""The owner of what was contained."""

MACHINES = (BUS, SECURITY_HUB)
"""Places that hear of every finding by itself, whatever the hour and however many there are."""

type When = Literal["untold", "later", "quiet"]
"""When what is untold is told: at once; when a place that failed is there again; or when the quiet
hours are over."""


class Delivered(BaseModel):
    """What a place was told last of a finding or notice.

    `news` is the `untold` of the finding then, or when the notice came about; `upto` when the last
    step of its history was, of those told. `channel` and `ts` name Slack's first message of this
    episode.
    """

    model_config = ConfigDict(frozen=True)

    news: AwareDatetime
    episode: int = 1
    upto: AwareDatetime | None = None
    channel: str | None = None
    ts: str | None = None


def news_of(what: FindingRecord | Notice) -> datetime:
    """When what is to be told happened."""
    return what.at if isinstance(what, Notice) else what.untold or what.last_seen


def heard(what: FindingRecord | Notice) -> Delivered:
    """What is remembered of a place that was told it as it is now."""
    if isinstance(what, Notice):
        return Delivered(news=what.at)
    upto = what.history[-1].at if what.history else None
    return Delivered(news=news_of(what), episode=what.episode, upto=upto)


class Folded(BaseModel):
    """The digest, by its id, that tells a place of this news. It counts once the ledger has it."""

    model_config = ConfigDict(frozen=True)

    news: AwareDatetime
    digest: str


class Told(BaseModel):
    """All that was told of a finding or notice, by place; `folded`: what digests tell.

    `admitted`: this news has its place among the alerts of its window that are told one by one.
    """

    model_config = ConfigDict(frozen=True)

    places: dict[str, Delivered] = Field(default_factory=dict)
    folded: dict[str, Folded] = Field(default_factory=dict)
    admitted: AwareDatetime | None = None

    def has(self, place: str, news: datetime) -> bool:
        """Whether the place was told this news, or a later one."""
        told = self.places.get(place)
        return told is not None and told.news >= news

    def is_folded(self, place: str, news: datetime) -> bool:
        """Whether a digest tells the place this news, or a later one."""
        folded = self.folded.get(place)
        return folded is not None and folded.news >= news


class ActRecord(BaseModel):
    """An operator's act, as it is kept: who asked for what, why, and what came of it.

    `by` is whom the record names; `proven` whether that was proved, by Slack's signature or by the
    caller's credentials, and not merely said.
    """

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    id: str
    via: Literal["slack", "invocation"]
    by: str
    proven: bool
    act: str
    finding: str | None = None
    reason: str = ""
    outcome: Literal["done", "waiting", "refused", "failed"]
    text: str = ""


class Order(BaseModel):
    """An operator's order to do to one finding now what mode enforce would do; given `at`."""

    model_config = ConfigDict(frozen=True)

    finding: str
    episode: int
    by: str
    reason: str
    at: AwareDatetime
    until: AwareDatetime
