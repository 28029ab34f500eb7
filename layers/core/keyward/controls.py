"""Controls of frameworks, and the rules that bear on them: the table in controls.toml, typed."""

import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field


class Control(BaseModel):
    """A control, under each framework and id that it goes by, and the rules that bear on it.

    `at_most` has settings of rules that must not be higher for it: rule, setting, highest value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[tuple[str, str], ...] = Field(min_length=1)
    title: str = Field(min_length=1)
    rules: tuple[str, ...] = Field(min_length=1)
    how: str = Field(min_length=1)
    source: str = Field(pattern=r"^https://[^ ]+$")
    at_most: tuple[tuple[str, str, int], ...] = ()


class Controls(BaseModel):
    """The table. `swept` are rules that a sweep looks at in full; of others only events tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    swept: frozenset[str]
    control: tuple[Control, ...]


@cache
def controls() -> Controls:
    """The table as it was packaged."""
    text = resources.files("keyward").joinpath("controls.toml").read_text(encoding="utf-8")
    return Controls.model_validate(tomllib.loads(text))
