"""A sweep: what the ledger keeps of it, and of what it saw in each account. Pure.

How a sweep goes on is in sweeps.py; what it does in an account in surveying.py, and in Identity
Center in centersweeps.py.
"""

import zlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

IDENTITY_CENTER = "identity-center"
"""The part of a sweep that is about no account of its own: it stands among the accounts."""


LONGEST = timedelta(hours=5)
"""After so long a sweep is over, whoever has said nothing yet: the next one begins after six."""


class SweepState(StrEnum):
    """The life of a sweep: it begins, lists the accounts, waits for what they say, and is done."""

    STARTING = "starting"
    LISTING = "listing"
    WAITING = "waiting"
    DONE = "done"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sweep(_Value):
    """One sweep. `version` grows with each write, `ticket` with each message that is to come.

    `number` counts the sweeps. Until `claim_until` somebody is at it, or the message of `ticket` on
    its way. `full`: it looks at everything again, also at what only a call for each user shows.
    `page` is where the list of accounts goes on, None at its beginning. `asked` counts the accounts
    that were asked to be looked at. `complete`: every part said that it is done, well or not;
    `failed` is how many said that it is not well, `silent` how many said nothing.
    """

    id: str
    number: int = 1
    version: int = 1
    ticket: int = 0
    claim_until: AwareDatetime | None = None
    state: SweepState = SweepState.STARTING
    full: bool = False
    by: str = "schedule"
    started_at: AwareDatetime
    listed_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    page: str | None = None
    asked: int = 0
    complete: bool = False
    failed: int = 0
    silent: int = 0

    def is_claimed(self, now: datetime) -> bool:
        """Whether somebody is at it, or a message on its way."""
        return self.claim_until is not None and now < self.claim_until

    def is_under_way(self, now: datetime) -> bool:
        """Whether it goes on: what isn't done after LONGEST never will be."""
        return self.state is not SweepState.DONE and now - self.started_at < LONGEST


class Swept(_Value):
    """What a sweep saw in one account, or in Identity Center (`account` is IDENTITY_CENTER then).

    `ok`: everything could be read; `why` says what couldn't. `forwarders` says of each of Keyward's
    forwarding rules there, as name@region, what is wrong with it, "" where nothing is. `suspected`
    is how many users or assignments were to be looked at more closely.
    """

    sweep: str
    account: str
    at: AwareDatetime
    full: bool = False
    ok: bool = True
    why: str | None = None
    forwarders: dict[str, str] = Field(default_factory=dict)
    users: int = 0
    keys: int = 0
    suspected: int = 0
    calls: int = 0


class Looked(_Value):
    """What a sweep knew of the users of one account, to see next time what changed.

    `users` has a digest of each, by unique id, of all that rules objected to in it. `at` is when
    they were read.
    """

    at: AwareDatetime
    users: dict[str, str] = Field(default_factory=dict)

    def packed(self) -> bytes:
        """As the ledger keeps it: an item holds 400 KB."""
        return zlib.compress(self.model_dump_json().encode())

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """What `packed` made."""
        return cls.model_validate_json(zlib.decompress(data))


class CanaryMark(_Value):
    """When the last canary of one way was sent, and when it arrived."""

    way: str
    sent: AwareDatetime
    arrived: AwareDatetime


class Heard(_Value):
    """The newest event that a guard heard from an account, as far as it told the ledger."""

    account: str
    event_name: str
    event_source: str
    time: AwareDatetime


class ScimToken(_Value):
    """A SCIM token as an event told of it: no API shows tokens. It lives for a year.

    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/provision-automatically.html
    """

    id: str
    made_at: AwareDatetime


class ConfirmedPlan(_Value):
    """Somebody saw what `existing: enforce` of a rule would do, and confirmed it.

    `digest` is of the findings and acts that the plan showed, `count` how many acts. `terms` are
    the rule's settings by which it was made (see RuleSettings), None where nobody knows.
    """

    rule: str
    digest: str
    count: int
    by: str
    at: AwareDatetime
    terms: str | None = None


def sweep_id(started_at: datetime) -> str:
    """An id that sorts by time."""
    return f"{started_at:%Y%m%dT%H%M%S}"
