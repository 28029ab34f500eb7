"""Text from events, made harmless before people or their tools read it."""

import unicodedata

ELLIPSIS = "..."


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
    for mention in ("@here", "@channel", "@everyone"):
        line = line.replace(mention, mention.replace("@", "(at)"))
    return line if len(line) <= limit else line[: limit - len(ELLIPSIS)] + ELLIPSIS


def many(number: int, noun: str) -> str:
    """The number and what it counts: "1 account", "3 accounts"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
