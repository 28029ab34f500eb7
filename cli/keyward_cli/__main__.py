"""`python -m keyward_cli` is `keyward`."""

from keyward_cli.main import app

app(prog_name="keyward")
