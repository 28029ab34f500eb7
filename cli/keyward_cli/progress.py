"""How far something is, on standard error: only once it takes long, and never amid results."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from time import monotonic
from typing import Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from keyward_cli.printing import plain

SILENT_SECONDS = 1.5
"""What takes less than this shows nothing."""

PIPED_SECONDS = 30
"""Where nobody watches a terminal, a line of progress comes this often at most."""

_shown = Lock()


class Tell(Protocol):
    """Says how far it is; `done` of `of`, where numbers are known."""

    def __call__(self, text: str, done: int = 0, of: int | None = None) -> None:
        """Takes the place of what was told before."""


@contextmanager
def progress(text: str) -> Iterator[Tell]:
    """Shows a bar on a terminal; elsewhere, of what is told, a line now and then.

    Within another one it shows nothing: the outer one knows better how far everything is. What is
    printed on standard output meanwhile goes there untouched.
    """
    if not _shown.acquire(blocking=False):
        yield _nothing
        return
    try:
        console = Console(stderr=True, highlight=False)
        with _bar(console, text) if console.is_interactive else _lines() as tell:
            yield tell
    finally:
        _shown.release()


def _nothing(text: str, done: int = 0, of: int | None = None) -> None:
    """Tells nobody."""


@contextmanager
def _lines() -> Iterator[Tell]:
    begun = monotonic()
    said: tuple[float, str] | None = None

    def tell(text: str, done: int = 0, of: int | None = None) -> None:  # noqa: ARG001 - for a bar
        nonlocal said
        now, text = monotonic(), plain(text)
        if now - begun < SILENT_SECONDS:
            return
        if said is None or (text != said[1] and now - said[0] >= PIPED_SECONDS):
            typer.echo(text, err=True)
            said = now, text

    yield tell


@contextmanager
def _bar(console: Console, text: str) -> Iterator[Tell]:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(plain(text), total=None)
    begun = monotonic()
    # While AWS is waited for nobody tells anything: the clock alone begins it.
    timer = Timer(SILENT_SECONDS, bar.start)
    timer.daemon = True
    timer.start()

    def tell(text: str, done: int = 0, of: int | None = None) -> None:
        bar.update(task, description=plain(text), completed=done, total=of)
        if monotonic() - begun >= SILENT_SECONDS:
            bar.start()  # where it runs already, this does nothing

    try:
        yield tell
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
