"""How a permission set differs from what is wanted: as values to act on and as lines to read.

Pure. What the catalogue leaves open is no difference: tags that it doesn't name, and a description
where it has none.
"""

import difflib
import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from keyward.model import Boundary, CustomerPolicy, PermissionSetAttributes, PolicyDocument


class Attribute(StrEnum):
    """The attributes of a permission set, as people call them."""

    DESCRIPTION = "description"
    SESSION = "session"
    RELAY_STATE = "relay state"
    MANAGED_POLICY = "managed policy"
    CUSTOMER_POLICY = "customer managed policy"
    INLINE_POLICY = "inline policy"
    BOUNDARY = "permissions boundary"
    TAG = "tag"


type Value = str | int | CustomerPolicy | Boundary | tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One attribute, or one policy or tag, that is not as wanted.

    `extra` is there and not wanted, `lacking` is wanted and not there; both for what has another
    value than it should. A tag is (key, value).
    """

    attribute: Attribute
    extra: Value | None = None
    lacking: Value | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """As a diff: `-` for what is and shouldn't be, `+` for what should be and isn't."""
        if self.attribute is Attribute.INLINE_POLICY:
            return _policy_lines(self.extra, self.lacking)
        return tuple(
            f"{sign} {self.attribute}: {_text(self.attribute, value)}"
            for sign, value in (("-", self.extra), ("+", self.lacking))
            if value is not None
        )


def differences(
    actual: PermissionSetAttributes, wanted: PermissionSetAttributes
) -> tuple[Difference, ...]:
    """Everything about `actual` that is not as wanted, in a fixed order."""
    found: list[Difference] = []
    if wanted.description is not None:
        found += _changed(Attribute.DESCRIPTION, actual.description, wanted.description)
    found += _changed(Attribute.SESSION, actual.session_seconds, wanted.session_seconds)
    found += _changed(Attribute.RELAY_STATE, actual.relay_state, wanted.relay_state)
    found += _of_sets(Attribute.MANAGED_POLICY, actual.managed_policies, wanted.managed_policies)
    found += _of_sets(Attribute.CUSTOMER_POLICY, actual.customer_policies, wanted.customer_policies)
    if not same_policy(actual.inline_policy, wanted.inline_policy):
        found += _changed(Attribute.INLINE_POLICY, actual.inline_policy, wanted.inline_policy)
    found += _changed(Attribute.BOUNDARY, actual.boundary, wanted.boundary)
    for key, value in sorted(wanted.tags.items()):
        is_value = actual.tags.get(key)
        if is_value != value:
            found.append(
                Difference(
                    attribute=Attribute.TAG,
                    extra=None if is_value is None else (key, is_value),
                    lacking=(key, value),
                )
            )
    return tuple(found)


def reverted(
    actual: PermissionSetAttributes,
    *,
    before: PermissionSetAttributes,
    wanted: PermissionSetAttributes,
) -> PermissionSetAttributes:
    """`actual`, with what making `before` into `wanted` changed as it was before; all else stays.

    Somebody may have changed the rest since, and meant it.
    """
    was = {difference.attribute for difference in differences(before, wanted)}
    tags = dict(actual.tags)
    for key in (key for key, value in wanted.tags.items() if before.tags.get(key) != value):
        tags.pop(key, None)
        tags |= {key: before.tags[key]} if key in before.tags else {}

    def of[V](attribute: Attribute, old: V, new: V) -> V:
        return old if attribute in was else new

    return PermissionSetAttributes(
        description=of(Attribute.DESCRIPTION, before.description, actual.description),
        session_seconds=of(Attribute.SESSION, before.session_seconds, actual.session_seconds),
        relay_state=of(Attribute.RELAY_STATE, before.relay_state, actual.relay_state),
        managed_policies=_reverted(
            actual.managed_policies, before.managed_policies, wanted.managed_policies
        ),
        customer_policies=_reverted(
            actual.customer_policies, before.customer_policies, wanted.customer_policies
        ),
        inline_policy=of(Attribute.INLINE_POLICY, before.inline_policy, actual.inline_policy),
        boundary=of(Attribute.BOUNDARY, before.boundary, actual.boundary),
        tags=tags,
    )


def lines(found: Iterable[Difference]) -> tuple[str, ...]:
    """The differences as a readable diff."""
    return tuple(line for difference in found for line in difference.lines)


def same_policy(one: str | None, other: str | None) -> bool:
    """Whether two policies are the same but for white space and the order of members."""
    if one is None or other is None:
        return (one or "") == (other or "")
    return one == other or _canonical(one) == _canonical(other)


def is_wanted(
    policy: PolicyDocument | CustomerPolicy, wanted: PermissionSetAttributes | None
) -> bool:
    """Whether what is wanted of a permission set names this very policy."""
    if wanted is None:
        return False
    match policy:
        case CustomerPolicy():
            return policy in wanted.customer_policies
        case PolicyDocument(arn=str() as arn):
            return arn in wanted.managed_policies
        case PolicyDocument(text=text):
            return wanted.inline_policy is not None and same_policy(text, wanted.inline_policy)


def _policy_lines(actual: object, wanted: object) -> tuple[str, ...]:
    """What differs between two inline policies, line by line of their statements."""
    if actual is None or wanted is None:
        sign, only = ("+", wanted) if actual is None else ("-", actual)
        return tuple(f"{sign} inline policy: {line}" for line in _pretty(only))
    found = difflib.unified_diff(_pretty(actual), _pretty(wanted), n=1, lineterm="")
    return tuple(
        f"{line[:1]} inline policy: {line[1:]}"
        for line in found
        if not line.startswith(("---", "+++", "@@"))
    )


def _pretty(text: object) -> list[str]:
    try:
        return json.dumps(_loaded(str(text)), indent=1, sort_keys=True).splitlines()
    except (ValueError, RecursionError):
        return str(text).splitlines()


def _canonical(text: str) -> str:
    try:
        return json.dumps(_loaded(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _loaded(text: str) -> object:
    """The JSON value. Raises ValueError where a member stands there twice.

    Nobody says which of the two counts. A policy could otherwise grant more than it seems to.
    """

    def once(members: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(members)
        if len(found) < len(members):
            message = "a member stands there twice"
            raise ValueError(message)
        return found

    return json.loads(text, object_pairs_hook=once)


def _changed(
    attribute: Attribute, actual: Value | None, wanted: Value | None
) -> tuple[Difference, ...]:
    if actual == wanted:
        return ()
    return (Difference(attribute=attribute, extra=actual, lacking=wanted),)


def _of_sets[V: (str, CustomerPolicy)](
    attribute: Attribute, actual: Iterable[V], wanted: Iterable[V]
) -> list[Difference]:
    have: set[V] = set(actual)
    want: set[V] = set(wanted)
    return [
        *(Difference(attribute=attribute, extra=it) for it in _sorted(have - want)),
        *(Difference(attribute=attribute, lacking=it) for it in _sorted(want - have)),
    ]


def _reverted[V: (str, CustomerPolicy)](
    actual: Iterable[V], before: Iterable[V], wanted: Iterable[V]
) -> tuple[V, ...]:
    was: set[V] = set(before)
    became: set[V] = set(wanted)
    return tuple(_sorted((set(actual) - (became - was)) | (was - became)))


def _sorted[V: Hashable](values: Iterable[V]) -> list[V]:
    return sorted(values, key=str)


def _text(attribute: Attribute, value: Value) -> str:
    match value:
        case int() if attribute is Attribute.SESSION:
            return hours(value)
        case CustomerPolicy():
            return f"{value.path}{value.name}"
        case Boundary(customer_policy=CustomerPolicy() as policy):
            return f"{policy.path}{policy.name}"
        case Boundary():
            return str(value.managed_policy_arn)
        case (key, of_key):
            return f"{key}={of_key}"
        case _:
            return str(value)


def hours(seconds: int) -> str:
    """A session's length as people say it: 4 h, 1 h 30 min."""
    whole, rest = divmod(seconds, 3600)
    return f"{whole} h" if not rest else f"{whole} h {rest // 60} min"
