"""Text from events, made harmless before people or their tools read it."""

import re
import unicodedata

ELLIPSIS = "..."

_MARKUP = str.maketrans(
    {"*": "\u2217", "_": "\u02cd", "~": "\u223c", "`": "\u02cb", ":": "\u2236", "#": "\u266f"}
)
"""What is markup, an emoji or an address to Slack -> what looks like it and is none.

Source: https://docs.slack.dev/messaging/formatting-message-text#basic-formatting
"""

_BRACKETS = str.maketrans({"[": "(", "]": ")", "|": "\u2223", "\\": "\u2216", "!": "\u01c3"})
"""What makes links, pictures, tables and escapes in markdown -> what looks like it."""

_MENTION = re.compile(r"(?i)@(?=here|channel|everyone)")

_SCHEME = re.compile(r"(?i)(javascript|vbscript|mailto):|:(?=//)")
"""How addresses begin that an app could make a link of."""


def clean(value: object, *, limit: int = 300) -> str:
    """One line without control, direction or invisible characters, no longer than `limit`.

    `<`, `>` and `&`, which begin Slack's markup, and the mentions that ring everybody are replaced
    by plain words and brackets. Source:
    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    characters = (
        character if unicodedata.category(character)[0] not in {"C", "Z"} else " "
        for character in str(value)
    )
    line = " ".join("".join(characters).split())
    line = line.replace("&", "+").replace("<", "(").replace(">", ")")
    return _cut(_MENTION.sub("(at)", line), limit)


def unlinked(value: object, *, limit: int = 300) -> str:
    """The same as `clean`, with no address that an app could make a link of."""
    return _cut(_SCHEME.sub(r"\1[:]", clean(value, limit=limit)), limit)


def defanged(value: object, *, limit: int = 300) -> str:
    """The same as `clean`, with nothing that is markup, emoji or link where markup is read."""
    return clean(value, limit=limit).translate(_MARKUP)


def marked_down(line: str) -> str:
    """A cleaned line with nothing that is markup to Slack or in markdown, whatever the dialect."""
    return defanged(line, limit=len(line)).translate(_BRACKETS)


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - len(ELLIPSIS)] + ELLIPSIS


def many(number: int, noun: str) -> str:
    """The number and what it counts: "1 account", "3 accounts"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
