"""A Slack workspace on this machine: it keeps what it is told, shows it, and its people press.

It is an HTTP server that answers the methods of Slack's Web API, and the webhooks, that Keyward
uses. A press of a button is made as Slack makes it: a signed request to the function URL.
Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = "xoxb-local-token"
SIGNING_SECRET = "5d7f0c1e9b3a4d6682f1c0aa97e35b48"
TEAM = {"id": "T0KEYWARD", "domain": "example"}
# Slack's ids of people, and their addresses, by name.
MEMBERS = {
    name: (f"U0{name.upper()}0000", f"{name}@example.com")
    for name in ("ana", "ben", "chris", "dana", "emil")
}
WEBHOOKS = "/services/T0KEYWARD/"
# Slack itself waits for so long.
# Source: https://docs.slack.dev/interactivity/handling-user-interaction
SECONDS = 30
POLL_SECONDS = 0.05
JSON = "application/json"

type Object = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Message:
    """A message as it reads now; `before` is what it said before each edit, the oldest first."""

    channel: str
    ts: str
    text: str
    blocks: list[Object]
    thread: str | None = None
    only_for: str | None = None
    """The one member who sees it; everybody does where it is None."""
    before: list[str] = field(default_factory=list)

    def shown(self) -> str:
        """What its readers see: its blocks, or its text where it has none."""
        return rendered(self.blocks) if self.blocks else self.text

    def buttons(self) -> dict[str, Object]:
        """Its buttons by what stands on them."""
        return {
            element["text"]["text"]: element | {"block_id": block["block_id"]}
            for block in self.blocks
            for element in (*block.get("elements", ()), block.get("accessory") or {})
            if element.get("type") == "button"
        }

    def button(self, label: str) -> Object:
        """The button whose label begins so.

        Raises:
            KeyError: there is none; the error names those that there are.

        """
        found = self.buttons()
        for name, button in found.items():
            if name.casefold().startswith(label.casefold()):
                return button
        raise KeyError(f"button {label} among {', '.join(found) or 'none'}")  # noqa: EM102, TRY003  said once


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as Slack sends it when somebody presses a button: sending it again is a replay."""

    body: bytes
    headers: dict[str, str]

    def forged(self) -> Request:
        """The same, signed by somebody who doesn't know the secret."""
        return replace(self, headers=signed(self.body, secret="not the secret", at=time.time()))

    def altered(self, old: str, new: str) -> Request:
        """The same with other words in its body, and the signature of the first ones."""
        words = self.body.replace(old.encode(), new.encode())
        return replace(self, body=words)


class Slack:
    """One workspace. It can be reached, at its address, within `serving`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refused: list[str] = []
        """The errors with which calls were refused."""
        self.address = ""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """What Keyward calls instead of https://slack.com/api/."""
        return f"{self.address}/api/"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a free port of 127.0.0.1 until the block ends."""
        server = server_of(self)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def secret(self, *webhooks: str) -> dict[str, str]:
        """What Keyward's secret holds: the bot's token, and webhooks by name."""
        named = {f"webhook:{it}": f"{self.address}{WEBHOOKS}{it}" for it in webhooks}
        return {"bot_token": TOKEN, **named}

    def in_channel(self, channel: str) -> list[Message]:
        """The first messages in a channel, oldest first; those to one member alone are not."""
        return [it for it in self._of(channel) if it.thread is None and it.only_for is None]

    def thread_of(self, first: Message) -> list[Message]:
        """What stands in the thread of a message, oldest first, as everybody sees it."""
        return [
            it for it in self._of(first.channel) if it.thread == first.ts and it.only_for is None
        ]

    def only_for(self, name: str) -> list[Message]:
        """What was shown to this member alone, in any channel, oldest first."""
        return [it for it in list(self.messages) if it.only_for == MEMBERS[name][0]]

    def direct(self, name: str) -> list[Message]:
        """The direct messages to a member, oldest first."""
        return self.in_channel(direct_channel(MEMBERS[name][0]))

    def _of(self, channel: str) -> list[Message]:
        return [it for it in list(self.messages) if it.channel == channel]

    def pressing(
        self, message: Message, label: str, *, by: str, filled: Mapping[str, str] | None = None
    ) -> Request:
        """The request that is sent when a member presses the button whose label begins so.

        `filled` is what they put into the fields of the message, by words of the fields' labels.

        Raises:
            KeyError: there is no such button, field or option.

        """
        user, _ = MEMBERS[by]
        at = time.time()
        container = {"message_ts": message.ts, "channel_id": message.channel}
        thread = {"thread_ts": message.thread} if message.thread else {}
        whole = {
            "ts": message.ts,
            "text": message.text,
            "blocks": message.blocks,
            "type": "message",
        }
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": by, "name": by, "team_id": TEAM["id"]},
            "api_app_id": "A0KEYWARD",
            "container": {
                "type": "message",
                "is_ephemeral": message.only_for is not None,
                **container,
                **thread,
            },
            "trigger_id": f"{next(self._numbers)}.{time.time_ns()}",
            "team": TEAM,
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": "keyward-alerts"},
            # Of what only one member sees Slack sends no message.
            **({} if message.only_for else {"message": whole | thread}),
            "state": {"values": values(message.blocks, filled or {})},
            "response_url": f"{self.address}/actions/{message.channel}/{message.ts}",
            "actions": [{**message.button(label), "action_ts": f"{at:.6f}"}],
        }
        body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
        return Request(body=body, headers=signed(body, secret=SIGNING_SECRET, at=at))

    # What the server is asked

    def answer(self, path: str, asked: Object, token: str) -> tuple[int, str]:
        """Answer one request: the status, and JSON or a webhook's plain word."""
        with self._lock:
            if path.startswith(WEBHOOKS):
                self._add(f"webhook:{path.removeprefix(WEBHOOKS)}", asked)
                return 200, "ok"
            if path.startswith("/actions/"):
                channel, ts = path.split("/")[2:4]
                return 200, json.dumps(self._update({**asked, "channel": channel, "ts": ts}))
            reply = self._method(path.removeprefix("/api/"), asked, token)
        if not reply["ok"]:
            self.refused.append(reply["error"])
        return 200, json.dumps(reply)

    def _method(self, method: str, asked: Object, token: str) -> Object:
        if token != f"Bearer {TOKEN}":
            return refusal("invalid_auth")
        reply = refusal("unknown_method")
        match method:
            case "chat.postMessage":
                message = self._add(asked["channel"], asked)
                reply = {"ok": True, "channel": message.channel, "ts": message.ts}
            case "chat.postEphemeral":
                message = self._add(asked["channel"], asked, only_for=asked["user"])
                reply = {"ok": True, "message_ts": message.ts}
            case "chat.update":
                reply = self._update(asked)
            case "users.lookupByEmail":
                users = {address: user for user, address in MEMBERS.values()}
                user = users.get(asked["email"])
                reply = {"ok": True, "user": {"id": user}} if user else refusal("users_not_found")
            case "conversations.open":
                reply = {"ok": True, "channel": {"id": direct_channel(asked["users"])}}
        return reply

    def _add(self, channel: str, asked: Object, *, only_for: str | None = None) -> Message:
        # Times are the names of messages here: no two are the same.
        ts = f"{int(time.time())}.{next(self._numbers):06d}"
        message = Message(
            channel=direct_channel(channel) if channel.startswith("U") else channel,
            ts=ts,
            text=asked.get("text", ""),
            blocks=named(asked),
            thread=asked.get("thread_ts"),
            only_for=only_for,
        )
        self.messages.append(message)
        return message

    def _update(self, asked: Object) -> Object:
        for message in self.messages:
            if (message.channel, message.ts) == (asked["channel"], asked["ts"]):
                message.before.append(message.shown())
                message.text = asked.get("text", "")
                message.blocks = named(asked)
                return {"ok": True, "channel": message.channel, "ts": message.ts}
        return refusal("message_not_found")


def server_of(slack: Slack) -> ThreadingHTTPServer:
    """Return the server of a workspace, on a free port of 127.0.0.1."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(fields(body, self.headers.get("Content-Type") or ""))

        def _answer(self, asked: Object) -> None:
            path, _, query = self.path.partition("?")
            asked |= fields(query.encode(), "")
            status, text = slack.answer(path, asked, self.headers.get("Authorization") or "")
            self.send_response(status)
            self.send_header("Content-Type", JSON if text.startswith("{") else "text/html")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Answering)


def fields(body: bytes, content_type: str) -> Object:
    """Return what a request says, as JSON or as a form; JSON inside of a form is read as well."""
    text = body.decode()
    if content_type.startswith(JSON):
        found: Object = json.loads(text)
        return found
    form = dict(urllib.parse.parse_qsl(text))
    return {name: json.loads(it) if name == "blocks" else it for name, it in form.items()}


def signed(body: bytes, *, secret: str, at: float) -> dict[str, str]:
    """Return the headers of a request that is signed so.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    stamp = str(int(at))
    word = hmac.new(secret.encode(), b":".join((b"v0", stamp.encode(), body)), hashlib.sha256)
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={word.hexdigest()}",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
    }


def send(request: Request, url: str, *, endpoint: str) -> int:
    """Send a request to a function URL of the emulator, and return the status of its answer.

    The emulator serves every function URL at its own port, and knows it by the Host header.
    """
    asked = urllib.request.Request(  # noqa: S310  our own process, on this machine
        endpoint,
        data=request.body,
        headers={**request.headers, "Host": urllib.parse.urlsplit(url).netloc},
        method="POST",
    )
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as reply:  # noqa: S310  the same
            status: int = reply.status
    except urllib.error.HTTPError as error:
        with error:
            status = error.code
    return status


def named(asked: Object) -> list[Object]:
    """Return the blocks of a message; Slack gives a name to each that has none."""
    return [
        {"block_id": f"b{number}", **block}
        for number, block in enumerate(asked.get("blocks") or [])
    ]


def refusal(error: str) -> Object:
    """Return how Slack refuses a call: with status 200."""
    return {"ok": False, "error": error}


def direct_channel(user: str) -> str:
    """Return the id of the channel between the bot and a member."""
    return f"D{user[1:]}"


def values(blocks: list[Object], filled: Mapping[str, str]) -> Object:
    """Return the state of a message's fields, where these were filled in by words of their labels.

    Raises:
        KeyError: there is no such field, or it has no such option.

    """
    left = dict(filled)
    state: Object = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element, label = block["element"], block["label"]["text"]
        word = next((it for it in left if it.casefold() in label.casefold()), None)
        given = left.pop(word) if word is not None else None
        state[block["block_id"]] = {element["action_id"]: value(element, given)}
    if left:
        raise KeyError(f"fields {', '.join(left)}")  # noqa: EM102, TRY003  said once
    return state


def value(element: Object, given: str | None) -> Object:
    """Return the state of one field; what nobody filled in is as it was at first.

    Raises:
        KeyError: it is a choice and has no such option.

    """
    if element["type"] == "plain_text_input":
        return {"type": element["type"], "value": given or element.get("initial_value")}
    options = {it["text"]["text"]: it for it in element["options"]}
    chosen = options[given] if given is not None else element.get("initial_option")
    return {"type": element["type"], "selected_option": chosen}


def rendered(blocks: list[Object]) -> str:
    """Return a message's blocks as text, a line for each part, buttons in brackets."""
    return "\n".join(line for block in blocks for line in lines(block) if line)


def lines(block: Object) -> Iterator[str]:
    """Yield the lines of one block."""
    match block["type"]:
        case "header":
            yield block["text"]["text"]
        case "section":
            yield from block.get("text", {}).get("text", "").splitlines()
            for it in block.get("fields", ()):
                yield " ".join(it["text"].split("\n"))
        case "context":
            yield "  ".join(it["text"] for it in block["elements"] if "text" in it)
        case "actions":
            yield "  ".join(f"[ {it['text']['text']} ]" for it in block["elements"])
        case "input":
            yield f"{block['label']['text']}: {field_of(block['element'])}"
        case "divider":
            yield "---"
        case other:
            yield f"({other})"


def field_of(element: Object) -> str:
    """Return a field as one sees it: a line to write on, or the options to choose from."""
    if "options" in element:
        return " | ".join(it["text"]["text"] for it in element["options"])
    return "_" * 20
