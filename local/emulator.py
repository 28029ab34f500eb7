"""Start the emulator, wait until it serves, and stop all that it started.

It is two processes. Ministack is the AWS that callers see; Identity Center is played by another
(local/identity_center.py), to which ministack sends what it has allowed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moto.iam.aws_managed_policies import aws_managed_policies_data

from local.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".local"
MANAGEMENT_ACCOUNT = "111122223333"
REGION = "us-east-1"
READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class IdentityCenter:
    """The process that plays Identity Center, to tell it what happens next.

    See `Behaviour` in local/sso_admin.py for what can be told.
    """

    endpoint: str

    def tell(self, act: str, **arguments: object) -> None:
        """Set fields of its behaviour (`set`), or `refuse`, `fail`, `lose`, `not_ready`, `settle`.

        Raises:
            urllib.error.HTTPError: there is no such act, or it takes other arguments.

        """
        asked = urllib.request.Request(  # noqa: S310  our own process, on this machine
            f"{self.endpoint}/behaviour/{act}", data=json.dumps(arguments).encode(), method="POST"
        )
        with urllib.request.urlopen(asked, timeout=10):  # noqa: S310  the same
            return


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator; an account's root user is a Caller with its id as access key."""

    endpoint: str
    log: Path
    identity_center: IdentityCenter

    def root(self, account: str, *, region: str = REGION) -> Caller:
        """Return the root user of an account, who may do everything in it."""
        return Caller(
            endpoint=self.endpoint, region=region, access_key_id=account, secret_access_key="test"
        )

    def make_older(self, account: str, access_key_id: str = "", *, days: float) -> None:
        """Let an access key have been made so many days ago, and never used since.

        Without a key it is the account that joined the organization so long ago.

        Raises:
            urllib.error.HTTPError: there is no such account, or it has no such key.

        """
        about = {"account": account, "access_key_id": access_key_id, "days": days}
        asked = urllib.request.Request(  # noqa: S310  our own process, on this machine
            f"{self.endpoint}/keyward/older", data=json.dumps(about).encode(), method="POST"
        )
        with urllib.request.urlopen(asked, timeout=10):  # noqa: S310  the same
            return


@contextlib.contextmanager
def running_emulator(account: str = MANAGEMENT_ACCOUNT) -> Iterator[Emulator]:
    """Serve on a free port of 127.0.0.1, with IAM enforced, until the block ends, however it ends.

    Raises:
        RuntimeError: it ended or didn't answer in time; the message holds the end of its log.

    """
    STATE.mkdir(exist_ok=True)
    log = STATE / "emulator.log"
    folder = Path(tempfile.mkdtemp(prefix="emulator-", dir=STATE))
    port, identity_center_port = free_port(), free_port()
    address, identity_center = (
        f"http://127.0.0.1:{number}" for number in (port, identity_center_port)
    )
    everywhere = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MINISTACK_ACCOUNT_ID": account,
        "MINISTACK_REGION": REGION,
    }
    ministack = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "KEYWARD_IDENTITY_CENTER": identity_center,
        "KEYWARD_MANAGED_POLICIES": str(folder / "managed-policies.json"),
    }
    # Ministack's environment has no moto, and moto has what AWS says of its policies.
    (folder / "managed-policies.json").write_text(aws_managed_policies_data, encoding="utf-8")
    with contextlib.ExitStack() as after:
        after.callback(shutil.rmtree, folder, ignore_errors=True)
        output = after.enter_context((folder / "emulator.log").open("ab"))
        after.callback(shutil.copy, folder / "emulator.log", log)
        processes = [
            after.enter_context(running(*started, output=output, folder=folder))
            for started in (
                (PROJECT / ".emulators/bin/python", "local/additions.py", everywhere | ministack),
                (
                    Path(sys.executable),
                    "local/identity_center.py",
                    everywhere | {"KEYWARD_PORT": str(identity_center_port)},
                ),
            )
        ]
        for process, health in zip(
            processes,
            (f"{address}/_ministack/health", f"{identity_center}/behaviour"),
            strict=True,
        ):
            wait_until_ready(process, health, folder / "emulator.log")
        yield Emulator(
            endpoint=address,
            log=folder / "emulator.log",
            identity_center=IdentityCenter(identity_center),
        )


@contextlib.contextmanager
def running(
    python: Path, program: str, environment: dict[str, str], *, output: BinaryIO, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our own programs in a process group of its own, until the block ends."""
    process = subprocess.Popen(  # noqa: S603  our own file, by our own interpreter
        [python, PROJECT / program],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Return when a process of the emulator answers.

    Raises:
        RuntimeError: it ended, or READY_SECONDS went by.

    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(address, timeout=2),  # noqa: S310  our own process
        ):
            return
        time.sleep(0.1)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    message = f"the emulator did not start within {READY_SECONDS} s\n{last}"
    raise RuntimeError(message)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and what it runs, functions too: its whole process group, at once.

    Nothing in it is worth keeping, and a polite end waits for calls that are still open.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()
