"""What owners wrote -> what is in force: compiles the tree of settings, parameter by parameter.

Pure. One bad parameter never touches the others, and nothing invalid ever widens what is
enforced:

- what is invalid keeps the value that was accepted last, or its default where there was none;
- what is gone falls back to its default, which reports only;
- `existing: "enforce"` is refused until a plan of whom it hits has been shown and confirmed;
- an exemption ends by itself. Writing an end in the past ends an exemption that was in force;
  a new exemption that has ended already is refused, since it would never have held.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from keyward.errors import SettingsError
from keyward.exemptions import Exemption
from keyward.rule import AnyRule
from keyward.settings import PREFIX, Accepted, GlobalSettings, Mode, read_json, validated

SETTINGS = f"{PREFIX}/settings"
RULES = f"{PREFIX}/rules/"
EXEMPTIONS = f"{PREFIX}/exemptions/"

EXEMPTION_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""Lower-case words with hyphens: an id is also a file's name and stands in commands."""

MAX_ID_LENGTH = 64

NO_PLAN_YET = (
    'field existing: "enforce" is refused until a plan of whom it hits has been shown and '
    "confirmed, and this version cannot make such a plan yet; expected 'report'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as Parameter Store has it. A file of a settings folder has version 0."""

    name: str
    version: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A parameter that is not in force. `text` names it, its version, field and expectation."""

    parameter: str
    version: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What is in force from now on. Where `changed` is false, nothing needs to be written."""

    accepted: Accepted
    refused: tuple[Refusal, ...]
    changed: bool


@dataclass(slots=True, kw_only=True)
class _Tree:
    """The tree as far as it is accepted; `seen` holds versions that were judged and accepted."""

    settings: GlobalSettings = field(default_factory=GlobalSettings)
    rules: dict[str, dict[str, object]] = field(default_factory=dict)
    exemptions: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)


def compiled(
    parameters: Mapping[str, Parameter],
    *,
    previous: Accepted | None,
    rules: Iterable[AnyRule],
    now: datetime,
) -> Compilation:
    """The settings in force from `now` on, and what of `parameters` (by name) was refused.

    `previous` is what was in force, None where nothing ever was. `paused_until` is carried over.
    Raises nothing: what is invalid is refused.
    """
    before = previous or Accepted()
    known = {rule.id: rule for rule in rules}
    tree = _Tree()
    refused = []
    for name, parameter in sorted(parameters.items()):
        try:
            _accept(parameter, tree, known=known, before=before, now=now)
        except SettingsError as error:
            refused.append(Refusal(parameter=name, version=parameter.version, text=str(error)))
            _keep(name, tree, before=before)
    accepted = before.model_copy(
        update={
            "settings": tree.settings,
            "rules": tree.rules,
            "exemptions": {
                name: value for name, value in tree.exemptions.items() if _holds(value, now)
            },
            "enforcing_since": {
                rule: before.enforcing_since.get(rule, now) for rule in _enforcing(tree)
            },
            "parameters": tree.seen,
        }
    )
    if previous == accepted:
        return Compilation(accepted=previous, refused=tuple(refused), changed=False)
    accepted = accepted.model_copy(update={"version": before.version + 1, "compiled_at": now})
    return Compilation(accepted=accepted, refused=tuple(refused), changed=True)


def exemption_id(name: str) -> str | None:
    """The id in the name of an exemption's parameter, None where the name is no such name."""
    found = name.removeprefix(EXEMPTIONS)
    valid = len(found) <= MAX_ID_LENGTH and EXEMPTION_ID.fullmatch(found)
    return found if valid and found != name else None


def _accept(
    parameter: Parameter,
    tree: _Tree,
    *,
    known: Mapping[str, AnyRule],
    before: Accepted,
    now: datetime,
) -> None:
    """Puts a valid parameter into the tree. Raises SettingsError for any other."""
    name = parameter.name
    title = f"{name} version {parameter.version}" if parameter.version else name
    if name == SETTINGS:
        tree.settings = validated(title, GlobalSettings, read_json(title, parameter.value))
    elif name.startswith(RULES):
        rule = known.get(name.removeprefix(RULES))
        if rule is None:
            raise _refusal(title, _no_rule(name.removeprefix(RULES), known))
        value = read_json(title, parameter.value)
        if validated(title, rule.settings, value).existing == "enforce":
            raise _refusal(title, NO_PLAN_YET)
        tree.rules[rule.id] = value
    elif name.startswith(EXEMPTIONS):
        found = exemption_id(name)
        if found is None:
            raise _refusal(
                title,
                f"expected an id of lower-case letters, digits and single hyphens, at most "
                f"{MAX_ID_LENGTH} characters, after {EXEMPTIONS}",
            )
        tree.exemptions[found] = _exemption(
            title, parameter.value, known=known, now=now, new=name not in before.parameters
        )
    else:
        raise _refusal(
            title, f"nothing reads it; expected {SETTINGS}, {RULES}<rule id> or {EXEMPTIONS}<id>"
        )
    tree.seen[name] = parameter.version


def _exemption(
    title: str, text: str, *, known: Mapping[str, AnyRule], now: datetime, new: bool
) -> dict[str, object]:
    value = read_json(title, text)
    exemption = validated(title, Exemption, value)
    for rule in exemption.rules:
        if rule not in known:
            raise _refusal(title, f"field rules: {_no_rule(rule, known)}")
    if new and exemption.until <= now:
        raise _refusal(
            title,
            f"field until: {exemption.until.isoformat()} has passed already; expected a later time",
        )
    return value


def _keep(name: str, tree: _Tree, *, before: Accepted) -> None:
    """Keeps what was accepted last of a parameter that is invalid now."""
    if name == SETTINGS:
        tree.settings = before.settings
    rule = name.removeprefix(RULES)
    if rule != name and rule in before.rules:
        tree.rules[rule] = before.rules[rule]
    exemption = name.removeprefix(EXEMPTIONS)
    if exemption != name and exemption in before.exemptions:
        tree.exemptions[exemption] = before.exemptions[exemption]
    if name in before.parameters:
        tree.seen[name] = before.parameters[name]


def _enforcing(tree: _Tree) -> Iterator[str]:
    """The rules that may enforce, pauses apart: by their own mode and under the ceiling.

    Under a ceiling of report a rule has not begun to enforce, whatever its own mode says:
    what came to be in the meantime exists already when the ceiling is lifted.
    """
    if tree.settings.ceiling is Mode.ENFORCE:
        yield from (rule for rule, value in tree.rules.items() if value.get("mode") == Mode.ENFORCE)


def _holds(exemption: dict[str, object], now: datetime) -> bool:
    """Whether it has not ended. What this version of the code cannot read holds nothing."""
    try:
        return now < validated("exemption", Exemption, exemption).until
    except SettingsError:
        return False


def _no_rule(rule: str, known: Mapping[str, AnyRule]) -> str:
    near = difflib.get_close_matches(rule, known, n=1)
    return (
        f"no rule is called {rule}; {f'did you mean {near[0]}?' if near else 'see keyward rules'}"
    )


def _refusal(title: str, text: str) -> SettingsError:
    return SettingsError(f"{title}: {text}")
