"""Start the emulator, wait until it serves, and stop all that it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".local"
MANAGEMENT_ACCOUNT = "111122223333"
REGION = "us-east-1"
READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator; an account's root user is a Caller with its id as access key."""

    endpoint: str
    log: Path

    def root(self, account: str, *, region: str = REGION) -> Caller:
        """Return the root user of an account, who may do everything in it."""
        return Caller(
            endpoint=self.endpoint, region=region, access_key_id=account, secret_access_key="test"
        )


@contextlib.contextmanager
def running_emulator(account: str = MANAGEMENT_ACCOUNT) -> Iterator[Emulator]:
    """Serve on a free port of 127.0.0.1, with IAM enforced, until the block ends, however it ends.

    Raises:
        RuntimeError: it ended or didn't answer in time; the message holds the end of its log.

    """
    STATE.mkdir(exist_ok=True)
    log = STATE / "emulator.log"
    folder = Path(tempfile.mkdtemp(prefix="emulator-", dir=STATE))
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_ACCOUNT_ID": account,
        "MINISTACK_REGION": REGION,
    }
    with (folder / "emulator.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own file, by our own interpreter
            [PROJECT / ".emulators/bin/python", PROJECT / "local/additions.py"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_until_ready(process, port, folder / "emulator.log")
        yield Emulator(endpoint=f"http://127.0.0.1:{port}", log=folder / "emulator.log")
    finally:
        stop(process)
        shutil.move(folder / "emulator.log", log)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the emulator answers.

    Raises:
        RuntimeError: it ended, or READY_SECONDS went by.

    """
    address = f"http://127.0.0.1:{port}/_ministack/health"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(address, timeout=2),
        ):
            return
        time.sleep(0.1)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    message = f"the emulator did not start within {READY_SECONDS} s\n{last}"
    raise RuntimeError(message)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the emulator and the functions that it runs: its whole process group, at once.

    Nothing in it is worth keeping, and a polite end waits for calls that are still open.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()
