"""A Slack to test with: a real HTTP server that takes Web API calls and webhooks, and can fail.

    with a_slack() as slack:
        gateway = SlackGateway(secret=lambda: slack.secret, url=slack.url, clock=...)
        gateway.post("C0123456", text="...", blocks=[])
        assert slack.channel("C0123456")[0].text == "..."
        slack.fault = refused("channel_not_found")

It refuses what Slack refuses of blocks, as far as Keyward could get it wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "xoxb-test-token"
WEBHOOK_PATH = "/services/T00000000/B00000000/webhook-secret-part-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What Slack got: a method of the Web API ("chat.postMessage"), or "webhook:NAME"."""

    method: str
    body: dict[str, Any]
    token: str | None


@dataclass(slots=True, kw_only=True)
class Message:
    """A message as people see it now; `user` alone, where it is given."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    body: dict[str, Any]
    thread: str | None = None
    user: str | None = None
    edits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Slack answers instead of what it should. `status` 0: it hangs up without a word."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang_seconds: float = 0.0
    taken: bool = False
    """Whether Slack did what was asked, and only its answer is bad."""


def refused(error: str) -> Answer:
    """Slack's own refusal of a call, by the error's code."""
    return Answer(body=json.dumps({"ok": False, "error": error}))


def rate_limited(retry_after: int = 30) -> Answer:
    """Too many calls."""
    body = json.dumps({"ok": False, "error": "ratelimited"})
    return Answer(status=429, body=body, headers={"Retry-After": str(retry_after)})


def down(status: int = 503) -> Answer:
    """Slack, or what stands before it, is out of order."""
    return Answer(status=status, body="<html>upstream connect error</html>")


def hangs(seconds: float = 30.0) -> Answer:
    """Slack takes the call and says nothing, until `seconds` are over or the test ends."""
    return Answer(status=0, hang_seconds=seconds)


def hangs_up() -> Answer:
    """The connection is closed without an answer."""
    return Answer(status=0)


type Fault = Answer | Callable[[Call], Answer | None] | None


class Slack:
    """A workspace. `calls` is all it got, refused or not; `fault` what it does instead."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"{address}/api/"
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.people: dict[str, str] = {}
        """Members by their address: {"alex@example.com": "U0123456"}."""
        self.fault: Fault = None
        self.over = Event()
        self._lock = Lock()
        self._ts = 1_700_000_000_000_000

    def webhook(self, name: str) -> str:
        """The address of a webhook."""
        return f"{self.address}{WEBHOOK_PATH}{name}"

    @property
    def secret(self) -> dict[str, str]:
        """What the secret in Secrets Manager holds: the token, and a webhook named `security`."""
        return {"bot_token": TOKEN, "webhook:security": self.webhook("security")}

    def called(self, method: str) -> list[dict[str, Any]]:
        """The bodies of the calls of a method."""
        return [call.body for call in self.calls if call.method == method]

    def channel(self, name: str) -> list[Message]:
        """First messages in a channel, or of a "webhook:NAME", as everybody sees them now."""
        return [it for it in self.messages if it.channel == name and not it.thread and not it.user]

    def thread(self, first: Message) -> list[Message]:
        """What everybody sees below a first message."""
        return [
            it
            for it in self.messages
            if it.channel == first.channel and it.thread == first.ts and not it.user
        ]

    def whispers(self, user: str) -> list[Message]:
        """What was shown to one user alone."""
        return [it for it in self.messages if it.user == user]

    def take(self, call: Call) -> Answer:
        """Takes a call as Slack would."""
        with self._lock:
            self.calls.append(call)
            fault = self.fault(call) if callable(self.fault) else self.fault
            if fault is not None:
                if fault.taken:
                    self._taken(call)
                return fault
            return self._taken(call)

    def _taken(self, call: Call) -> Answer:
        if call.method.startswith("webhook:"):
            if not call.body.get("text") or (wrong_with(call.body.get("blocks") or [])):
                return Answer(status=400, body="invalid_blocks")
            self._add(call, call.method)
            return Answer(body="ok")
        if call.token != TOKEN:
            return refused("invalid_auth")
        if wrong := wrong_with(call.body.get("blocks") or []):
            return Answer(
                body=json.dumps(
                    {
                        "ok": False,
                        "error": "invalid_blocks",
                        "response_metadata": {"messages": [wrong]},
                    }
                )
            )
        return self._method(call)

    def _method(self, call: Call) -> Answer:
        body = call.body
        match call.method:
            case "chat.postMessage":
                if not body.get("text"):
                    return refused("no_text")
                first = body.get("thread_ts")
                if first and not any(it.ts == first for it in self.channel(body["channel"])):
                    return refused("thread_not_found")
                message = self._add(call, body["channel"], thread=first)
                return _fine(channel=message.channel, ts=message.ts, message={"text": message.text})
            case "chat.postEphemeral":
                message = self._add(
                    call, body["channel"], thread=body.get("thread_ts"), user=body["user"]
                )
                return _fine(message_ts=message.ts)
            case "chat.update":
                for message in self.messages:
                    if (message.channel, message.ts) == (body["channel"], body["ts"]):
                        message.text, message.body = body["text"], body
                        message.blocks = body.get("blocks") or []
                        message.edits += 1
                        return _fine(channel=message.channel, ts=message.ts, text=message.text)
                return refused("message_not_found")
            case "users.lookupByEmail":
                user = self.people.get(body["email"])
                return _fine(user={"id": user}) if user else refused("users_not_found")
            case "conversations.open":
                return _fine(channel={"id": f"D{body['users'][1:]}"})
            case _:
                return refused("unknown_method")

    def _add(
        self, call: Call, channel: str, *, thread: str | None = None, user: str | None = None
    ) -> Message:
        self._ts += 1_000_001
        message = Message(
            channel=channel,
            ts=f"{self._ts // 1_000_000}.{self._ts % 1_000_000:06}",
            text=call.body["text"],
            blocks=call.body.get("blocks") or [],
            body=call.body,
            thread=thread,
            user=user,
        )
        self.messages.append(message)
        return message


def wrong_with(blocks: list[dict[str, Any]]) -> str | None:
    """Why Slack refuses these blocks; None where it takes them.

    Source: https://docs.slack.dev/reference/block-kit/blocks and .../block-elements
    """
    if len(blocks) > 50:
        return "no more than 50 items allowed"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        return "block_id has to be unique"
    for block in blocks:
        for path, value in _walk(block, ""):
            if (limit := _limit(block["type"], path)) is not None and not 0 < len(value) <= limit:
                return f"{path} of {block['type']}: must be 1 to {limit} long"
        actions = [it["action_id"] for it in block.get("elements", []) if "action_id" in it]
        if len(actions) != len(set(actions)):
            return "action_id has to be unique in its block"
    return None


def _walk(part: object, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for name, value in part.items():
            yield from _walk(value, f"{path}.{name}" if path else name)
    elif isinstance(part, list):
        yield path, part
        for value in part:
            yield from _walk(value, f"{path}[]")
    else:
        yield path, part


def _limit(kind: str, path: str) -> int | None:
    if kind == "header" and path == "text.text":
        return 150
    ends = {
        "block_id": 255,
        "action_id": 255,
        "value": 2000,
        "confirm.title.text": 100,
        "confirm.text.text": 300,
        "confirm.confirm.text": 30,
        "confirm.deny.text": 30,
        "label.text": 2000,
        "hint.text": 2000,
        "placeholder.text": 150,
        "options[].text.text": 75,
        "options[].value": 150,
        "fields[].text": 2000,
    }
    for end in sorted(ends, key=len, reverse=True):
        if path == end or path.endswith((f".{end}", f"[].{end}")):
            return ends[end]
    if path == "fields" or (kind == "context" and path == "elements"):
        return 10
    if kind == "actions" and path == "elements":
        return 25
    if kind == "actions" and path == "elements[].text.text":
        return 75
    return 3000 if path == "text" or path.endswith(".text") else None


def _fine(**members: object) -> Answer:
    return Answer(body=json.dumps({"ok": True, **members}))


@contextmanager
def a_slack() -> Iterator[Slack]:
    """A Slack that is there until the block ends."""

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            path = urlsplit(self.path).path
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            answer = slack.take(Call(method=_method_of(path), body=_body(raw), token=token))
            if answer.hang_seconds:
                slack.over.wait(answer.hang_seconds)
            if not answer.status:
                self.close_connection = True
                return
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body.encode())))
                self.end_headers()
                self.wfile.write(answer.body.encode())
            except ConnectionError:
                pass  # whoever called has hung up

        def log_message(self, *_args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        slack = Slack(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield slack
        finally:
            slack.over.set()
            server.shutdown()


def _method_of(path: str) -> str:
    if path.startswith(WEBHOOK_PATH):
        return f"webhook:{path.removeprefix(WEBHOOK_PATH)}"
    return path.removeprefix("/api/")


def _body(raw: str) -> dict[str, Any]:
    if raw.startswith("{"):
        body: dict[str, Any] = json.loads(raw)
        return body
    return {name: values[0] for name, values in parse_qs(raw).items()}
