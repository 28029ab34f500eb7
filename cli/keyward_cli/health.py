"""How `keyward status` looks: what stands where, what is wrong, and what to do about it."""

from collections.abc import Iterable, Mapping
from typing import Any

from keyward.sweep import SweepState
from keyward_cli.printing import say, show_fields, show_table


def show_health(reply: Mapping[str, Any]) -> None:
    """Prints what `keyward status` says of sweeps, sources and dead letters; and what to do."""
    complete, newest = reply["sweep"]["last_complete"], reply["sweep"]["newest"]
    accounts = reply["accounts"]
    counts = (
        f"{accounts['known']} known, {accounts['unread']} not readable, "
        f"{accounts['not_forwarding']} not forwarding, {accounts['silent']} silent"
    )
    letters = [f"{it['number']} of {it['of']}" for it in reply["dead_letters"] if it["number"]]
    is_under_way = newest and newest["state"] != SweepState.DONE
    show_fields(
        [
            ("last complete sweep", complete["ended_at"] if complete else "none yet"),
            ("sweep", f"{newest['id']} is {newest['state']}" if is_under_way else None),
            ("accounts", counts),
            *(
                (f"canary {it['way']}", f"{it['sent'] or 'never'}{', LATE' if it['late'] else ''}")
                for it in reply["sources"]
            ),
            ("dead letters", ", ".join(letters) or "none"),
        ]
    )
    if reply["wrong"]:
        say("Wrong:", "bold red")
        for it in reply["wrong"]:
            say(f"- {it['what']}", "red")
            say(f"  {it['do']}")
    else:
        say("Nothing is wrong: every source is heard from, every account is reached")


def show_accounts(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints every account with what Keyward knows of it."""
    show_table(
        ("account", "readable", "forwarding", "last swept", "last event", "wrong"),
        [
            (
                row["account"],
                cell(row["readable"]) if row["readable"] is not None else "not swept yet",
                _forwarding(row["forwarders"]),
                row["swept_at"],
                f"{row['heard_at']} {row['heard']}" if row["heard_at"] else "none heard",
                "; ".join(row["wrong"]),
            )
            for row in rows
        ],
    )


def _forwarding(rules: Mapping[str, str]) -> str:
    if not rules:
        return ""
    whole = sum(not why for why in rules.values())
    return "yes" if whole == len(rules) else f"{whole} of {len(rules)} rules"


def cell(value: object) -> object:
    """A value of JSON as a cell of a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={it}" for name, it in value.items())
    return value
