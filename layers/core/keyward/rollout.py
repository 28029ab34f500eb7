"""A rollout: baselines brought to many accounts, from the plan to the last assignment. Values only.

How it goes on is in rollouts.py; this is what the ledger keeps of it between two messages.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


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


class Asked(_Value):
    """An assignment that AWS was asked for."""

    account: str
    pair: int
    request: str


class Rollout(_Value):
    """One rollout. `version` grows with each write, `ticket` with each message that is to come.

    `scope` is what it is about: "everything", "baseline NAME", "unit OU-ID", "account ID".
    `automatic`: few changes are made without anybody's word; `limit` is how many are few.
    `by` and `reason` say who asked for it, or which event did.

    While it is planned: `units` are those still to walk through, with the ids of those above them
    (nearest first); `places` the accounts found, with the ids above them; `untagged` the accounts
    whose tags are still to be read, `tags` those that were; `unlisted` the places in `pairs` whose
    group's assignments are still to be listed.

    `missing` says of each account which pairs it lacks, by their places in `pairs`; `asked` what is
    under way; `again` what has to be asked for again, how often it was, and why; `unverified` the
    accounts of which everything was asked for and not seen yet; `failed` what came to nothing and
    why, by account; `done` the accounts that have it all. `skipped` are accounts left out, and why.
    `unknown` are names that baselines have and Identity Center hasn't.
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
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    claim_until: AwareDatetime | None = None
    settings_version: int = 0
    pairs: tuple[Pair, ...] = ()
    units: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    places: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    untagged: tuple[str, ...] = ()
    tags: dict[str, dict[str, str]] = Field(default_factory=dict)
    unlisted: tuple[int, ...] = ()
    wanted: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    missing: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    again: dict[str, tuple[int, str]] = Field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    failed: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    assigned: int = 0
    total: int = 0
    outcome: str | None = None
