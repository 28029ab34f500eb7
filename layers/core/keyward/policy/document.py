"""Reads the JSON of identity policies into statements, and says which text is no policy.

Names of elements, effects and actions are read in any case, values as a string or a list, and white
space around them is dropped, as IAM does or more leniently. What IAM would refuse makes a document
unreadable; its good statements are read all the same, so that a broken one hides nothing.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyward.model import PolicyDocument

SELF = "\ue020self"
"""Stands for the policy variable ${aws:username}: the caller's own name."""

OTHER_VARIABLE = "\ue021"
"""Begins any other policy variable: some text, but no wildcard."""

_ESCAPED = {"*": "\ue010", "?": "\ue011", "$": "$"}
_ANY_ACCOUNT = frozenset({"aws:principalaccount", "aws:resourceaccount"})
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One line of a Condition: operator and key in lower case, the values as texts."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy. Actions are in lower case; `every_*_but` is the Not form.

    `tests` is None where the Condition cannot be read: it may hold or not.
    """

    policy: str
    label: str
    allows: bool
    actions: tuple[str, ...]
    every_action_but: bool
    resources: tuple[str, ...]
    every_resource_but: bool
    tests: tuple[Test, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """The statements of a document, and whether all of it is a policy."""

    statements: tuple[Statement, ...]
    readable: bool


class _NoPolicyError(ValueError):
    """Part of a document is not what the grammar of policies says."""


def read(document: PolicyDocument) -> Readout:
    """The statements of a document; whatever the text is, it raises nothing."""
    try:
        found = json.loads(document.text, object_pairs_hook=_elements)
    except (ValueError, TypeError, RecursionError):
        return Readout(statements=(), readable=False)
    if not isinstance(found, dict) or "statement" not in found:
        return Readout(statements=(), readable=False)
    listed = found["statement"] if isinstance(found["statement"], list) else [found["statement"]]
    statements = []
    readable = True
    for position, raw in enumerate(listed, start=1):
        try:
            statements.append(_statement(raw, document.name, position))
        except _NoPolicyError:
            readable = False
    return Readout(statements=tuple(statements), readable=readable)


def _elements(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Raises ValueError for an element that is there twice: which one counts, nobody can say."""
    elements: dict[str, object] = {}
    for name, value in pairs:
        key = name.strip().lower()
        if key in elements:
            raise _NoPolicyError(name)
        elements[key] = value
    return elements


def _statement(raw: object, policy: str, position: int) -> Statement:
    if not isinstance(raw, dict):
        raise _NoPolicyError
    effect = raw.get("effect")
    effect = effect.strip().lower() if isinstance(effect, str) else None
    if effect not in {"allow", "deny"}:
        raise _NoPolicyError
    sid = raw.get("sid")
    actions, every_action_but = _one_of(raw, "action", "notaction")
    resources, every_resource_but = _one_of(raw, "resource", "notresource")
    return Statement(
        policy=policy,
        label=sid.strip() if isinstance(sid, str) and sid.strip() else f"statement {position}",
        allows=effect == "allow",
        actions=tuple(it.lower() for it in actions),
        every_action_but=every_action_but,
        resources=tuple(_resource(it) for it in resources),
        every_resource_but=every_resource_but,
        tests=_tests(raw.get("condition", {})),
    )


def _one_of(raw: Mapping[str, object], plain: str, negated: str) -> tuple[tuple[str, ...], bool]:
    if (plain in raw) == (negated in raw):
        raise _NoPolicyError
    name = plain if plain in raw else negated
    value = raw[name]
    values = value if isinstance(value, list) else [value]
    texts = tuple(it.strip() for it in values if isinstance(it, str))
    if len(texts) != len(values):
        raise _NoPolicyError
    return texts, name == negated


def _resource(pattern: str) -> str:
    """The pattern with policy variables replaced, and completed where it is cut off.

    An ARN that stops before its last part means all that begins so. Source: the page on Resource.
    """
    pattern = _VARIABLE.sub(_variable, pattern) if "${" in pattern else pattern
    cut_off = pattern.startswith("arn:") and pattern.count(":") < 5  # noqa: PLR2004 - an ARN's parts
    return f"{pattern}:*" if cut_off and "*" not in pattern else pattern


def _variable(found: re.Match[str]) -> str:
    if found[1] in _ESCAPED:
        return _ESCAPED[found[1]]
    key = found[1].partition(",")[0].strip().lower()
    if key == "aws:username":
        return SELF
    return "*" if key in _ANY_ACCOUNT else f"{OTHER_VARIABLE}{key.replace(':', '.')}"


def _tests(raw: object) -> tuple[Test, ...] | None:
    if not isinstance(raw, dict):
        return None
    tests = []
    for operator, keys in raw.items():
        if not isinstance(keys, dict):
            return None
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            texts = tuple(_text(it) for it in values if isinstance(it, (str, bool, int, float)))
            if len(texts) != len(values):
                return None
            tests.append(Test(operator=operator, key=key, values=texts))
    return tuple(tests)


def _text(value: str | float) -> str:
    """Booleans are written in JSON's way."""
    return value.strip() if isinstance(value, str) else str(value).lower()
