"""A folder of settings beside Parameter Store: what it holds, and where the two differ.

settings.json, rules/<rule id>.json, exemptions/<id>.json, permission-sets/<name>.json and
baseline/<name>.json stand for /keyward/settings, /keyward/rules/<rule id>,
/keyward/exemptions/<id>, /keyward/permission-sets/<name> and /keyward/baseline/<name>. Other files
are no settings.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from keyward.compiling import (
    EXEMPTIONS,
    PERMISSION_SETS,
    RULES,
    SETTINGS,
    Parameter,
    baseline_name,
    compiled,
    exemption_id,
    of_aws,
    part_of,
    permission_set_name,
)
from keyward.errors import RequestError, SettingsError
from keyward.exemptions import Exemption
from keyward.gateways.ssm import ADVANCED_BYTES
from keyward.rule import InForce, in_force
from keyward.rules import every
from keyward.settings import PREFIX, read_json, validated
from keyward_cli.parts import spread

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""A folder is compiled as of then, so that no exemption has ended: events bring their own time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A parameter that differs; `folder` or `store` is None where it isn't there."""

    name: str
    folder: str | None
    store: str | None

    @property
    def kind(self) -> Literal["add", "change", "remove"]:
        """What a push would have to do to make the store like the folder."""
        if self.store is None:
            return "add"
        return "remove" if self.folder is None else "change"


def read_folder(folder: Path) -> dict[str, Parameter]:
    """The folder's settings by parameter name. Raises RequestError where it can't be read."""
    if not folder.is_dir():
        message = f"{folder}: no such folder; settings/ in the project is a sample of one"
        raise RequestError(message)
    parameters = {}
    for file in sorted(folder.rglob("*.json")):
        name = f"{PREFIX}/{file.relative_to(folder).with_suffix('').as_posix()}"
        try:
            value = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{file}: cannot be read as UTF-8 text: {error}"
            raise RequestError(message) from error
        parameters[name] = Parameter(name=name, version=0, value=value)
    return parameters


def problems(
    folder: Path,
    parameters: Mapping[str, Parameter],
    *,
    policy_exists: Callable[[str], bool] = of_aws,
) -> list[str]:
    """Why settings of the folder would be refused, one line for each; names file and field."""
    parts = [name for name in parameters if part_of(name) is not None]
    refused = compiled(
        {name: it for name, it in parameters.items() if name not in parts},
        previous=None,
        rules=every(),
        now=LONG_AGO,
        policy_exists=policy_exists,
        plan_of=None,
    ).refused
    lines = [
        refusal.text.replace(refusal.parameter, str(file_of(folder, refusal.parameter)), 1)
        for refusal in refused
    ]
    for name in parts:
        whole = file_of(folder, PERMISSION_SETS + (part_of(name) or ("",))[0])
        lines.append(
            f"{file_of(folder, name)}: parts are for Parameter Store; expected inline_policy whole "
            f"in {whole}: push puts it in parts"
        )
    for name, parameter in parameters.items():
        size = max(len(text.encode()) for text in spread(name, parameter.value).values())
        if size > ADVANCED_BYTES:
            lines.append(
                f"{file_of(folder, name)}: {size} bytes; Parameter Store takes {ADVANCED_BYTES}"
            )
    return lines


def ended(parameters: Mapping[str, Parameter], now: datetime) -> dict[str, datetime]:
    """The exemptions among the parameters that have ended at `now`, by name, with their ends."""
    ends = {}
    for name, parameter in parameters.items():
        if exemption_id(name) is None:
            continue
        try:
            exemption = validated(name, Exemption, read_json(name, parameter.value))
        except SettingsError:
            continue
        if exemption.until <= now:
            ends[name] = exemption.until
    return ends


def unconfirmed(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """The rules that the hub takes only where a plan of them was confirmed: it alone can tell."""
    names = [name for name in parameters if name.startswith(RULES)]
    return compiled(
        {name: parameters[name] for name in names},
        previous=None,
        rules=every(),
        now=LONG_AGO,
        plan_of=None,
    ).unconfirmed


def settings_of(folder: Path | None) -> InForce:
    """The folder's settings as rules use them; the defaults without a folder.

    Raises SettingsError with the first problem: what would be refused must not be explained.
    """
    rules = every()
    parameters = {} if folder is None else read_folder(folder)
    if folder is not None and (found := problems(folder, parameters)):
        more = f" (and {len(found) - 1} more: keyward settings validate)" if found[1:] else ""
        raise SettingsError(found[0] + more)
    compilation = compiled(parameters, previous=None, rules=rules, now=LONG_AGO, plan_of=None)
    return in_force(compilation.accepted, rules)


def changes(folder: Mapping[str, Parameter], store: Mapping[str, Parameter]) -> tuple[Change, ...]:
    """Where folder and store differ as JSON, comments included; white space doesn't count."""
    found = []
    for name in sorted({*folder, *store}):
        ours = folder[name].value if name in folder else None
        theirs = store[name].value if name in store else None
        if ours is None or theirs is None or _json(ours) != _json(theirs):
            found.append(Change(name=name, folder=ours, store=theirs))
    return tuple(found)


def file_of(folder: Path, name: str) -> Path:
    """The file that stands for a parameter."""
    return folder / f"{name.removeprefix(PREFIX + '/')}.json"


def has_file(name: str) -> bool:
    """Whether the parameter is one that a folder can hold, so that its name is safe as a path."""
    rule = name.removeprefix(RULES)
    return (
        name == SETTINGS
        or exemption_id(name) is not None
        or permission_set_name(name) is not None
        or baseline_name(name) is not None
        or (rule != name and exemption_id(EXEMPTIONS + rule) is not None)
    )


def lines(text: str | None) -> list[str]:
    """JSON as lines to compare: indented, or as it stands where it isn't JSON."""
    if text is None:
        return []
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        return text.splitlines()


def names(found: Iterable[Change], kind: str) -> list[str]:
    """The names of the changes of one kind."""
    return [change.name for change in found if change.kind == kind]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
