"""The rules, one module each, found by discovery: `iam_user_created` is rule iam-user-created.

Which guard runs a rule follows from how its name begins, so that a guard imports no other rule.
"""

import importlib
import pkgutil

from keyward.rule import AnyRule

GUARDS: dict[str, tuple[str, ...]] = {
    "iam_guard": ("iam_", "keyward_"),
    "identity_center_guard": ("idc_",),
    "account_baseline": ("account_", "baseline_", "org_", "trail_"),
}
"""Guard -> how the names of its rules' modules begin."""


def of_guard(guard: str) -> tuple[AnyRule, ...]:
    """The rules that this guard runs, by id. Imports only those."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(
        importlib.import_module(f"{__name__}.{name}").RULE
        for name in names
        if name.startswith(GUARDS[guard])
    )


def every() -> tuple[AnyRule, ...]:
    """All rules, guard by guard."""
    return tuple(rule for guard in GUARDS for rule in of_guard(guard))


def guard_of(rule_id: str) -> str:
    """The guard that runs the rule of this id. Raises KeyError for an id that none runs."""
    module = rule_id.replace("-", "_")
    for guard, prefixes in GUARDS.items():
        if module.startswith(prefixes):
            return guard
    raise KeyError(rule_id)
