"""Matches and joins the patterns of policies: `*` is any text, `?` any one character.

Text that no policy can name is written with FRESH, a character of Unicode's private use area: a
pattern that matches it does so by a wildcard. Everything here takes linear time, whatever the
pattern, and raises nothing.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

FRESH = "\ue000"
"""Stands for a character that no policy names."""

ANY = FRESH * 3
"""What a `*` is replaced by where a concrete text is wanted."""

WILDCARDS = frozenset("*?")


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    if pattern in {"*", text}:
        return True
    head, star, rest = pattern.partition("*")
    if not star:
        return len(head) == len(text) and "?" in head and _at(head, text, 0)
    *middle, tail = rest.split("*")
    start, end = len(head), len(text) - len(tail)
    if start > end or not _at(head, text, 0) or not _at(tail, text, end):
        return False
    for piece in middle:
        found = _find(piece, text, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def concrete(pattern: str) -> str:
    """A text that the pattern matches and that names no more than the pattern does."""
    return pattern.replace("*", ANY).replace("?", FRESH)


def fixed(pattern: str) -> int:
    """How many characters the pattern prescribes."""
    return sum(1 for character in pattern if character not in WILDCARDS)


def meet(one: str, other: str) -> str | None:
    """A pattern of which every text matches both, or None where no text does.

    Not every such text matches it: of several ways to satisfy both, it takes one.
    """
    if "*" not in one or "*" not in other:
        return _fit(one, other) if "*" not in one else _fit(other, one)
    head, _, one_rest = one.partition("*")
    other_head, _, other_rest = other.partition("*")
    *one_middle, tail = one_rest.split("*")
    *other_middle, other_tail = other_rest.split("*")
    begin = _overlay(head, other_head)
    end = _overlay(tail[::-1], other_tail[::-1])
    if begin is None or end is None:
        return None
    return "*".join([begin, *one_middle, *other_middle, end[::-1]])


def _fit(exact: str, pattern: str) -> str | None:
    """The first, which has no `*`, as far as it must be written out for the other to match."""
    if "?" not in exact:
        return exact if matches(pattern, exact) else None
    head, star, rest = pattern.partition("*")
    if not star:
        return _overlay(exact, head) if len(exact) == len(head) else None
    *middle, tail = rest.split("*")
    end = len(exact) - len(tail)
    if end < len(head):
        return None
    begin, finish = _overlay(exact[: len(head)], head), _overlay(exact[end:], tail)
    if begin is None or finish is None:
        return None
    fitted, position = begin, len(head)
    for piece in middle:
        found = (
            (it, _overlay(exact[it : it + len(piece)], piece))
            for it in range(position, end - len(piece) + 1)
        )
        place, text = next(((it, text) for it, text in found if text is not None), (-1, ""))
        if place < 0:
            return None
        fitted += exact[position:place] + text
        position = place + len(piece)
    return fitted + exact[position:end] + finish


def _overlay(one: str, other: str) -> str | None:
    """The longer text, where both agree as far as both go; None where they don't."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    if "?" not in one and "?" not in other:
        return longer if longer.startswith(shorter) else None
    together = []
    for mine, theirs in zip(longer, shorter, strict=False):
        if mine != theirs and "?" not in {mine, theirs}:
            return None
        together.append(theirs if mine == "?" else mine)
    return "".join(together) + longer[len(shorter) :]


def _at(piece: str, text: str, position: int) -> bool:
    if "?" not in piece:
        return text.startswith(piece, position)
    return len(piece) <= len(text) - position and all(
        wanted in ("?", text[position + offset]) for offset, wanted in enumerate(piece)
    )


def _find(piece: str, text: str, start: int, end: int) -> int:
    if "?" not in piece:
        return text.find(piece, start, end)
    last = end - len(piece)
    return next((it for it in range(start, last + 1) if _at(piece, text, it)), -1)
