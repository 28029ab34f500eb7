"""From what an instance has today to files of a settings folder: what is written is valid."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from keyward.bootstrapping import Existing
from keyward.catalogue import entry_of
from keyward.compiling import PERMISSION_SETS, Parameter, compiled, permission_set_name
from keyward.principals import CONTROL_TOWER_SETS
from keyward_cli.folder import LONG_AGO, file_of

EXISTING = TypeAdapter(tuple[Existing, ...])
"""How the operator's answer lists permission sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What becomes of one permission set. `text` is what its file is to hold.

    It is `written`, or `kept` since the file is there; `skipped` as Control Tower's own; or
    `refused` since no valid entry can be made of it. `why` says so.
    """

    name: str
    result: Literal["written", "kept", "skipped", "refused"]
    why: str = ""
    text: str | None = None

    @property
    def parameter(self) -> str:
        """The parameter that its file stands for."""
        return PERMISSION_SETS + self.name


def imported(
    existing: Iterable[Existing],
    folder: Mapping[str, Parameter],
    *,
    with_control_tower: bool,
    force: bool,
    policy_exists: Callable[[str], bool],
) -> list[Imported]:
    """What becomes of each permission set that there is, by name; `folder` is what is there. Pure.

    A file is replaced with `force` alone. What is written is valid together with all the rest.
    """
    found = [
        _first(one, folder, with_control_tower=with_control_tower, force=force) for one in existing
    ]
    written = {
        one.parameter: Parameter(name=one.parameter, version=0, value=one.text)
        for one in found
        if one.text is not None
    }
    others = {name: it for name, it in folder.items() if permission_set_name(name) is not None}
    refused = {
        refusal.parameter: refusal.text.removeprefix(f"{refusal.parameter}: ")
        for refusal in compiled(
            others | written,
            previous=None,
            rules=(),
            now=LONG_AGO,
            policy_exists=policy_exists,
        ).refused
    }
    return sorted(
        (
            replace(one, result="refused", why=refused[one.parameter], text=None)
            if one.text is not None and one.parameter in refused
            else one
            for one in found
        ),
        key=lambda one: one.name,
    )


def write(found: Iterable[Imported], folder: Path) -> None:
    """Writes the files."""
    for one in found:
        if one.text is not None and permission_set_name(one.parameter) is not None:
            file = file_of(folder, one.parameter)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(one.text, encoding="utf-8")


def _first(
    one: Existing, folder: Mapping[str, Parameter], *, with_control_tower: bool, force: bool
) -> Imported:
    """What becomes of it, should its entry be valid."""
    if one.name is None or one.attributes is None:
        return Imported(name=one.arn, result="refused", why=one.error or "it can't be read")
    if one.name in CONTROL_TOWER_SETS and not with_control_tower:
        why = "Control Tower made it and needs it so: --all writes it, too"
        return Imported(name=one.name, result="skipped", why=why)
    if PERMISSION_SETS + one.name in folder and not force:
        return Imported(name=one.name, result="kept", why="its file is there: --force replaces it")
    text = json.dumps(entry_of(one.attributes), indent=2, ensure_ascii=False) + "\n"
    return Imported(name=one.name, result="written", text=text)
