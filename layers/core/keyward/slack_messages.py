"""Findings and notices as Slack's Block Kit. Pure. Text of others is only ever plain text."""

from collections.abc import Mapping

from keyward.findings import FindingRecord

type Block = Mapping[str, object]


def form(act: str, record: FindingRecord, *, nonce: str) -> list[Block]:
    """The form that asks for what the act needs: "release", "exempt" or "quarantine".

    Input blocks are named "reason", and of an exemption "ticket" and "days"; the element in each
    has the action id "value" ("days" is a static_select: "7", "30" or "90"). The button has the
    action id keyward:<act>:confirm and the value <finding key>:<episode>:<nonce>.
    """
    raise NotImplementedError


def answered(text: str) -> list[Block]:
    """An answer in our own or anybody's words: plain text, whatever they are."""
    raise NotImplementedError
