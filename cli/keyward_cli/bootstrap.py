"""`keyward bootstrap`: has the operator function plan, and then make, call after call."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

from keyward.bootstrapping import Step
from keyward_cli.aws import Caller
from keyward_cli.paging import answers
from keyward_cli.printing import say, show_table

STEPS = TypeAdapter(tuple[Step, ...])
"""How the operator's answer lists steps."""

DOES = {
    "create": "create",
    "finish": "finish: an earlier run broke off",
    "differs": "differs: the guard restores it where idc-permission-set-drift enforces",
    "elsewhere": "make it in the identity provider",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is lacking, and of which catalogue, by its digest."""

    steps: tuple[Step, ...]
    catalogue: str

    @property
    def to_do(self) -> tuple[Step, ...]:
        """What Keyward would make."""
        return tuple(step for step in self.steps if step.is_to_do)


def planned(caller: Caller) -> Plan:
    """What the catalogue in force has and Identity Center lacks. Changes nothing.

    Raises RequestError and GatewayError.
    """
    found, catalogue = _all(caller, plan=True)
    return Plan(steps=found, catalogue=catalogue)


def made(caller: Caller, plan: Plan) -> tuple[Step, ...]:
    """Makes it, and says of each step what became of it. Raises RequestError and GatewayError."""
    found, _ = _all(caller, plan=False, catalogue=plan.catalogue)
    return tuple(step for step in found if step.is_to_do)


def _all(caller: Caller, **arguments: object) -> tuple[tuple[Step, ...], str]:
    found: tuple[Step, ...] = ()
    catalogue = ""
    for answer in answers(caller, "bootstrap", **arguments):
        found += STEPS.validate_python(answer["steps"])
        catalogue = str(answer["catalogue"])
    return found, catalogue


def show(steps: Iterable[Step]) -> None:
    """Prints steps as a table, and below it how what differs does."""
    steps = tuple(steps)
    show_table(
        ("what", "name", "outcome" if any(step.outcome for step in steps) else "plan"),
        [
            (step.kind.replace("-", " "), step.name, _outcome(step) or DOES[step.does])
            for step in steps
        ],
    )
    for step in steps:
        if step.does == "differs":
            say(f"{step.name}, from what it is to what the catalogue has:", "bold")
            for line in step.lines:
                say(f"  {line}", {"+": "green", "-": "red"}.get(line[:1], ""))


def _outcome(step: Step) -> str | None:
    return f"failed: {step.outcome}" if step.failed else step.outcome
