"""What every command's help ends with: how it is typed, and what its exit status means."""

from collections.abc import Mapping

BROKEN_OFF = 130
"""Exit status where somebody pressed Ctrl-C, as shells have it."""

STATUS = {
    0: "done",
    1: "it could not be done, or you said no: one line on standard error says why",
    2: "wrong usage",
    BROKEN_OFF: "you broke it off",
}
"""What exit statuses mean, unless a command says otherwise of one. There are no others."""

EXAMPLE = "Example:"
EXIT_STATUS = "Exit status:"


def usage(*examples: str, status: Mapping[int, str] | None = None) -> str:
    """The end of a command's help. `status` is what the command alone means by an exit status."""
    return "\n\n".join((EXAMPLE, *examples, exit_status(status)))


def exit_status(of_its_own: Mapping[int, str] | None = None) -> str:
    """A line that says what each exit status means."""
    means = STATUS | dict(of_its_own or {})
    return f"{EXIT_STATUS} " + "; ".join(f"{code} {means[code]}" for code in sorted(means)) + "."
