"""A person with Slack on a phone: presses buttons, fills in forms, and reads what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from local.inbox import IAM_SWEEP, all_told, unfinished, wait_until
from local.slack import MEMBERS, send

if TYPE_CHECKING:
    from local.organization import Organization
    from local.slack import Message, Request

OPERATOR = "keyward-operator"
SECONDS = 45


@dataclass(frozen=True, slots=True)
class Phone:
    """The phone of a member of the workspace, by their name."""

    organization: Organization
    name: str

    @property
    def id(self) -> str:
        """Slack's id of the member."""
        return MEMBERS[self.name][0]

    def press(self, message: Message, label: str, **filled: str) -> int:
        """Press a button, and return the status of the answer once all that follows is done.

        `filled` goes into the message's fields, by a word of their labels.

        Raises:
            KeyError: there is no such button or field.
            TimeoutError: what follows is not done, or not told.

        """
        return self.send(
            self.organization.slack.pressing(message, label, by=self.name, filled=filled)
        )

    def fill_in(self, message: Message, label: str, **filled: str) -> Message:
        """Press a button that asks back, fill in its form, confirm, and return the form.

        Raises:
            KeyError: there is no such button or field, or no form came.
            TimeoutError: what follows is not done, or not told.

        """
        before = len(self.whispers())
        self.press(message, label)
        if len(self.whispers()) == before:
            raise KeyError(f"form of {label}")  # noqa: EM102, TRY003  said once
        form = self.whispers()[-1]
        self.press(form, next(iter(form.buttons()), "confirm"), **filled)
        return form

    def send(self, request: Request) -> int:
        """Send a request as it is, and return as `press` does."""
        url = self.organization.outputs()["SlackUrl"]
        status = send(request, url, endpoint=self.organization.emulator.endpoint)
        # What is ordered to be acted on, the guard looks at by the queue of its sweeps.
        for queue in (OPERATOR, IAM_SWEEP):
            wait_until(partial(self._is_done, queue), f"{queue} is done", SECONDS)
        wait_until(lambda: all_told(self.organization), "what came of it is told", SECONDS)
        return status

    def _is_done(self, queue: str) -> bool:
        return unfinished(self.organization, queue) == 0

    def whispers(self) -> list[Message]:
        """What was shown to this person alone, oldest first."""
        return self.organization.slack.only_for(self.name)

    def told_last(self) -> str:
        """What was shown to this person alone last; empty where nothing was."""
        return self.whispers()[-1].shown() if self.whispers() else ""
