"""A permission set is one file of a folder, and one or more parameters of the store.

What is longer than a parameter has its inline policy in parameters of its own, in pieces; the entry
then holds the digest of all of them, so that whoever reads while they are written takes no mixture.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from keyward.compiling import INLINE_POLICY, Parameter, digest_of, part_of, permission_set_name
from keyward.gateways.ssm import STANDARD_BYTES

INCOMPLETE = "inline_policy_parts"
"""What an entry shows that no file has, where the store's parts make no inline policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """What makes the store hold one setting of a folder: puts, then deletes, each in this order."""

    puts: Mapping[str, str]
    deletes: tuple[str, ...]


def spread(name: str, value: str, *, most_bytes: int = STANDARD_BYTES) -> dict[str, str]:
    """What the store holds of a setting of a folder: by parameter name, parts before their entry.

    Only a permission set with an inline policy is ever more than one parameter.
    """
    text = stored(value)
    if len(text.encode()) <= most_bytes or permission_set_name(name) is None:
        return {name: text}
    entry = _object(value)
    if entry is None or not isinstance(policy := entry.pop("inline_policy", None), dict):
        return {name: text}
    whole = json.dumps(policy, separators=(",", ":"))
    pieces = _pieces(whole, most_bytes)
    entry["inline_policy_sha256"] = digest_of(whole)
    return {
        **{f"{name}{INLINE_POLICY}{number}": piece for number, piece in enumerate(pieces, 1)},
        name: stored(_written(entry)),
    }


def joined(store: Mapping[str, Parameter], *, folder: Iterable[str] = ()) -> dict[str, Parameter]:
    """The store as a folder would hold it: each permission set whole, other settings as they are.

    Parts stand by themselves only where neither store nor `folder`, by parameter name, has an entry
    that they belong to.
    """
    names = {*store, *folder}
    parts: dict[str, dict[int, str]] = {}
    found = {}
    for name, parameter in store.items():
        if (part := part_of(name)) is None or _entry_of(name) not in names:
            found[name] = parameter
        else:
            parts.setdefault(_entry_of(name), {})[part[1]] = parameter.value
    return {
        name: replace(it, value=_whole(it.value, parts.get(name, {})))
        if permission_set_name(name) is not None
        else it
        for name, it in found.items()
    }


def writes(
    name: str, value: str | None, store: Mapping[str, Parameter], *, most_bytes: int
) -> Writes:
    """What makes the store hold this value of a folder's setting, None to have it gone.

    Of one that goes, the entry goes first: it is the entry that puts it in force.
    """
    wanted = {} if value is None else spread(name, value, most_bytes=most_bytes)
    there = [it for it in store if it == name or (part_of(it) and _entry_of(it) == name)]
    return Writes(
        puts={
            it: text for it, text in wanted.items() if it not in store or store[it].value != text
        },
        deletes=tuple(it for it in sorted(there, key=len) if it not in wanted),
    )


def stored(value: str) -> str:
    """What is written to the store: as it stands, or without white space where that is too long."""
    if len(value.encode()) <= STANDARD_BYTES:
        return value
    try:
        return json.dumps(json.loads(value), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return value


def _entry_of(part: str) -> str:
    return part.partition(INLINE_POLICY)[0]


def _whole(value: str, parts: Mapping[int, str]) -> str:
    """An entry with the inline policy that its parts make; else with what there is of them."""
    entry = _object(value)
    if entry is None or not (parts or "inline_policy_sha256" in entry):
        return value
    numbers = sorted(parts)
    text = "".join(parts[number] for number in numbers)
    policy = _object(text)
    is_complete = (
        numbers == list(range(1, len(parts) + 1))
        and policy is not None
        and entry.get("inline_policy_sha256") in {None, digest_of(text)}
        and "inline_policy" not in entry
    )
    if not is_complete:
        return _written({**entry, INCOMPLETE: text})
    entry.pop("inline_policy_sha256", None)
    return _written({**entry, "inline_policy": policy})


def _pieces(text: str, most_bytes: int) -> list[str]:
    """ASCII text in pieces; none begins or ends with white space, which might get lost."""
    pieces = []
    while text:
        end = min(most_bytes, len(text))
        while 0 < end < len(text) and (text[end - 1].isspace() or text[end].isspace()):
            end -= 1
        end = end or most_bytes
        pieces.append(text[:end])
        text = text[end:]
    return pieces


def _object(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
