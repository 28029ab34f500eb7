"""`python -m keyward_cli` is `keyward`."""

import os
import sys

from keyward_cli.usage import BROKEN_OFF


def run() -> None:
    """Runs a command, with streams in place of those that the caller closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - it stays open
    try:
        from keyward_cli.main import app  # noqa: PLC0415 - it takes a moment, in which to press Ctrl-C
    except KeyboardInterrupt:
        sys.stderr.write("keyward: broken off; nothing was done\n")
        raise SystemExit(BROKEN_OFF) from None
    app(prog_name="keyward")


if __name__ == "__main__":
    run()
