"""Files of events -> one event after another, in constant memory where the file allows.

A file is an EventBridge envelope, a CloudTrail record, a log file (`{"Records": [...]}`), a JSON
array of events, or JSON Lines of any of these; plain or gzipped; `-` is standard input.
JSON Lines are read line by line, everything else is one document and held in memory.
"""

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any, cast

from keyward import events
from keyward.errors import EventError, RequestError

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 256 * 1024 * 1024
"""A line, or a document, beyond this is refused. CloudTrail's log files stay far below it."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)
_LOG_FILE = re.compile(rb'\s*\{\s*"Records"\s*:\s*(?=\[)')
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?=\[)")
_OPENS_ARRAY = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*"Records"\s*:\s*)?\[\s*')
_OPEN_AT_ITS_END = re.compile(rb"[{\[,:]\s*\Z")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Stands in an event's place."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An event, or what stands for it. `line` counts lines, or a document's records, from 1."""

    line: int
    event: object


def read_events(path: str) -> Iterator[Read]:
    """Every event in the file. Raises RequestError where the file can't be opened.

    What can't be read, a line or the rest of a broken file, is an Unreadable in its place.
    """
    with ExitStack() as stack:
        try:
            raw = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))  # noqa: PTH123 - a path is no Path here: "-"
        except OSError as error:
            message = f"{path}: cannot be read: {error.strerror}"
            raise RequestError(message) from error
        yield from _events(_plain(raw))


def _plain(raw: IO[bytes]) -> IO[bytes]:
    """The stream itself, or what is gzipped in it."""
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast("Any", raw))
    if buffered.peek(2)[:2] == GZIP_MAGIC:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered))
    return buffered


def _events(stream: IO[bytes]) -> Iterator[Read]:
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    second = next(lines, None)
    if second is None:
        yield from _line(first, whole=True)
    elif _begins_document(first.event, second.event):
        yield from _document([first, second, *lines])
    else:
        for line in chain((first, second), lines):
            yield from _line(line)


def _lines(stream: IO[bytes]) -> Iterator[Read]:
    """The lines that are not blank, as bytes; an Unreadable where one can't be had."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(MAX_LINE_BYTES)
            too_long = len(line) == MAX_LINE_BYTES and not line.endswith(b"\n")
            while too_long and (rest := stream.readline(MAX_LINE_BYTES)):
                if rest.endswith(b"\n"):
                    break
        except (OSError, EOFError, zlib.error) as error:
            yield Read(line=number, event=Unreadable(error=f"the file breaks off here: {error}"))
            return
        if not line:
            return
        if too_long:
            yield Read(line=number, event=Unreadable(error=f"longer than {MAX_LINE_BYTES} bytes"))
        elif line.removeprefix(_BOM if number == 1 else b"").strip():
            yield Read(line=number, event=line)


def _begins_document(first: object, second: object) -> bool:
    """Whether a first line is the beginning of a document that goes on in the second.

    Where the second is an event by itself, the first was a broken one, unless it opens an array.
    """
    if not isinstance(first, bytes) or _OPEN_AT_ITS_END.search(first) is None:
        return False
    if _OPENS_ARRAY.fullmatch(first):
        return True
    alone = isinstance(second, bytes) and second[:1] == b"{" and isinstance(_loaded(second), dict)
    return not alone and isinstance(_loaded(first), Unreadable)


def _document(lines: list[Read]) -> Iterator[Read]:
    """The events of one document; where it is none, every line for itself."""
    parts = [line.event for line in lines]
    broken = [line for line in lines if isinstance(line.event, Unreadable)]
    text = b"".join(part for part in parts if isinstance(part, bytes))
    if len(text) > MAX_LINE_BYTES:
        error = f"one document of more than {MAX_LINE_BYTES} bytes: split it"
        yield Read(line=1, event=Unreadable(error=error))
        return
    if not broken and (start := _first_record(text)) is not None:
        yield from _records(text, start)
        return
    whole = _loaded(text)
    if isinstance(whole, Unreadable) and any(isinstance(_loaded(part), dict) for part in parts):
        for line in lines:
            yield from _line(line)
        return
    yield from _unpacked(1, whole)
    yield from broken


def _line(line: Read, *, whole: bool = False) -> Iterator[Read]:
    """The events of one line: one, or the records of a log file, counted where it is the whole."""
    if not isinstance(line.event, bytes):
        found: Iterator[Read] = iter((line,))
    elif (start := _first_record(line.event)) is not None:
        found = _records(line.event, start)
    else:
        found = _unpacked(line.line, _loaded(line.event))
    for read in found:
        yield read if whole else Read(line=line.line, event=read.event)


def _unpacked(line: int, value: object) -> Iterator[Read]:
    match value:
        case {"Records": list(records)}:
            for number, record in enumerate(records, 1):
                yield Read(line=number, event=record)
        case _:
            yield Read(line=line, event=value)


def _first_record(text: bytes) -> int | None:
    """Where the array of records begins in a log file or a bare array, None in anything else."""
    found = _LOG_FILE.match(text.removeprefix(_BOM)) or _ARRAY.match(text.removeprefix(_BOM))
    return None if found is None else found.end() + len(text) - len(text.removeprefix(_BOM))


def _records(text: bytes, start: int) -> Iterator[Read]:
    """Each record of the array that begins at `start`, read for itself.

    So one record that is too deep or too large is unreadable by itself, and the others are judged.
    """
    depth, begin, number = 0, start + 1, 1
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    record = text[begin : token.start()].strip()
                    if record or number > 1:
                        yield Read(line=number, event=_loaded(record))
                    return
            case b"," if depth == 1:
                yield Read(line=number, event=_loaded(text[begin : token.start()]))
                begin, number = token.end(), number + 1
    error = "the file breaks off within this record"
    yield Read(line=number, event=Unreadable(error=error))


def _loaded(text: object) -> object:
    if not isinstance(text, bytes):
        return text
    try:
        return events.loads(text)
    except EventError as error:
        return Unreadable(error=str(error))
