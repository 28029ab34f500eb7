"""What owners wrote -> what is in force: compiles the tree of settings, parameter by parameter.

Pure. One bad parameter never touches the others, and nothing invalid ever widens what is
enforced:

- what is invalid keeps the value that was accepted last, or its default where there was none;
- what is gone falls back to its default, which reports only; a permission set that is gone leaves
  the catalogue;
- a permission set is one thing, however many parameters it spans: it is accepted as a whole;
- baselines that contradict each other, or a rule that enforces, are refused: of two baselines the
  one that is in force already stays;
- `existing: "enforce"` is refused until a plan of whom it hits has been shown and confirmed; once
  accepted it stays, until more than the severity of a rule that acts changes;
- an exemption ends by itself. Writing an end in the past ends an exemption that was in force;
  a new exemption that has ended already is refused, since it would never have held.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyward.baselines import GROUP_ID, MAX_NAME_LENGTH, Baseline, baselines_of
from keyward.baselines import NAME as BASELINE_NAME
from keyward.catalogue import NAME, CatalogueEntry, entries_of
from keyward.errors import SettingsError
from keyward.exemptions import Exemption
from keyward.livedeny import MARK
from keyward.model import PolicyDocument
from keyward.rule import AnyRule
from keyward.settings import (
    PREFIX,
    Accepted,
    GlobalSettings,
    Mode,
    RuleSettings,
    read_json,
    validated,
)
from keyward.sweep import ConfirmedPlan

SETTINGS = f"{PREFIX}/settings"
RULES = f"{PREFIX}/rules/"
EXEMPTIONS = f"{PREFIX}/exemptions/"
BASELINES = f"{PREFIX}/baseline/"
PERMISSION_SETS = f"{PREFIX}/permission-sets/"
INLINE_POLICY = "/inline-policy/"
"""Between a permission set's name and the number of a part of its inline policy."""

EXEMPTION_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""Lower-case words with hyphens: an id is also a file's name and stands in commands."""

MAX_ID_LENGTH = 64

PART_NUMBER = re.compile(r"[1-9][0-9]{0,3}")

BEING_WRITTEN = timedelta(minutes=2)
"""What spans parameters takes several calls to write: for so long, more of them may be to come."""

RESTRICTED = "idc-admin-assignment-restricted"
"""The rule that would take away again what a baseline gives where settings reserve accounts."""

ADMINISTRATOR = "AdministratorAccess"
"""Everything on everything.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AdministratorAccess.html
"""

_EVERYTHING = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


def no_plan(_rule: str) -> ConfirmedPlan | None:
    """That nobody confirmed a plan."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as Parameter Store has it. A file of a settings folder has version 0.

    `modified` is when it was written last, None where nobody knows.
    """

    name: str
    version: int
    value: str
    modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A parameter that is not in force. `text` names it, its version, field and expectation.

    `may_be_unfinished`: it spans parameters, and one of them was written a moment ago.
    """

    parameter: str
    version: int
    text: str
    may_be_unfinished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What is in force from now on. Where `changed` is false, nothing needs to be written.

    `unconfirmed` are the rules that need a confirmed plan, of which nobody could tell here.
    """

    accepted: Accepted
    refused: tuple[Refusal, ...]
    changed: bool
    unconfirmed: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Tree:
    """The tree as far as it is accepted; `seen` holds versions that were judged and accepted."""

    settings: GlobalSettings = field(default_factory=GlobalSettings)
    rules: dict[str, dict[str, object]] = field(default_factory=dict)
    exemptions: dict[str, dict[str, object]] = field(default_factory=dict)
    permission_sets: dict[str, dict[str, object]] = field(default_factory=dict)
    baselines: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    unconfirmed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PermissionSet:
    """What the tree says of one permission set: its entry, and parts of its inline policy."""

    name: str
    entry: Parameter
    parts: dict[int, Parameter]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All of them, the entry first."""
        return (self.entry, *(self.parts[number] for number in sorted(self.parts)))

    @property
    def title(self) -> str:
        """How refusals call it: by name, with the versions of what it is made of."""
        if not self.parts:
            return _title(self.entry)
        versions = ", ".join(str(part.version) for part in self.parameters[1:])
        return f"{_title(self.entry)} (with inline-policy parts of versions {versions})"


def of_aws(arn: str) -> bool:
    """Whether this version of the code knows of an AWS managed policy of this ARN."""
    return _path(arn) in _known_policies()


def compiled(  # noqa: PLR0913 - all of it by name
    parameters: Mapping[str, Parameter],
    *,
    previous: Accepted | None,
    rules: Iterable[AnyRule],
    now: datetime,
    policy_exists: Callable[[str], bool] = of_aws,
    plan_of: Callable[[str], ConfirmedPlan | None] | None = no_plan,
) -> Compilation:
    """The settings in force from `now` on, and what of `parameters` (by name) was refused.

    `previous` is what was in force, None where nothing ever was. `paused_until` is carried over.
    `policy_exists` says whether AWS has a managed policy of this ARN; it is asked only about those
    that weren't accepted already. `plan_of` is the plan of a rule that somebody confirmed; None:
    only the hub can tell, and what needs one passes. Raises nothing: what is invalid is refused.
    """
    before = previous or Accepted()
    known = {rule.id: rule for rule in rules}
    tree = _Tree()
    refused = []
    # The settings of all rules first: they say how long a confirmed plan counts.
    for name, parameter in sorted(parameters.items(), key=lambda it: (it[0] != SETTINGS, it[0])):
        if name.startswith((PERMISSION_SETS, BASELINES)):
            continue
        try:
            _accept(parameter, tree, known=known, before=before, plan_of=plan_of, now=now)
        except SettingsError as error:
            refused.append(Refusal(parameter=name, version=parameter.version, text=str(error)))
            _keep(name, tree, before=before)
    refused += _accept_catalogue(
        {name: it for name, it in parameters.items() if name.startswith(PERMISSION_SETS)},
        tree,
        before=before,
        policy_exists=policy_exists,
        now=now,
    )
    # After the rules and the catalogue, which say of a baseline whether it can be.
    refused += _accept_baselines(
        {name: it for name, it in parameters.items() if name.startswith(BASELINES)},
        tree,
        before=before,
    )
    accepted = before.model_copy(
        update={
            "settings": tree.settings,
            "rules": tree.rules,
            "exemptions": {
                name: value for name, value in tree.exemptions.items() if _holds(value, now)
            },
            "permission_sets": tree.permission_sets,
            "unchecked": _changed(
                tree.permission_sets,
                before.permission_sets,
                pending=before.unchecked,
                since=_since(before, now),
            ),
            "baselines": tree.baselines,
            # Those that went are not among them: what only they wanted, the sweep finds.
            "unrolled": _changed(
                tree.baselines,
                before.baselines,
                pending=before.unrolled,
                since=_since(before, now),
            ),
            "enforcing_since": {
                rule: before.enforcing_since.get(rule, now) for rule in _enforcing(tree)
            },
            "parameters": tree.seen,
        }
    )
    changed = previous != accepted
    if changed:
        accepted = accepted.model_copy(update={"version": before.version + 1, "compiled_at": now})
    return Compilation(
        accepted=accepted,
        refused=tuple(refused),
        changed=changed,
        unconfirmed=tuple(tree.unconfirmed),
    )


def exemption_id(name: str) -> str | None:
    """The id in the name of an exemption's parameter, None where the name is no such name."""
    found = name.removeprefix(EXEMPTIONS)
    valid = len(found) <= MAX_ID_LENGTH and EXEMPTION_ID.fullmatch(found)
    return found if valid and found != name else None


def baseline_name(name: str) -> str | None:
    """The baseline in the name of its parameter, None where the name is no such name."""
    found = name.removeprefix(BASELINES)
    valid = len(found) <= MAX_NAME_LENGTH and BASELINE_NAME.fullmatch(found)
    return found if valid and found != name else None


def _since(before: Accepted, now: datetime) -> datetime:
    """Since when what is new is so.

    Where nothing was in force yet nobody changed it: what is was so before any rule enforced.
    """
    return now if before.version else now - timedelta(seconds=1)


def _changed(
    values: Mapping[str, object],
    former: Mapping[str, object],
    *,
    pending: Mapping[str, datetime],
    since: datetime,
) -> dict[str, datetime]:
    """What is new or other than before, and what is still pending; since when each is so."""
    return {
        name: since if value != former.get(name) else pending[name]
        for name, value in values.items()
        if value != former.get(name) or name in pending
    }


def digest_of(text: str) -> str:
    """What an entry has of the parts of its inline policy, put together."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def permission_set_name(name: str) -> str | None:
    """The permission set whose entry this parameter is, None where it is no such name."""
    found = name.removeprefix(PERMISSION_SETS)
    return found if NAME.fullmatch(found) and found != name else None


def part_of(name: str) -> tuple[str, int] | None:
    """The permission set and number of a part of an inline policy; None for other names."""
    of, _, number = name.removeprefix(PERMISSION_SETS).partition(INLINE_POLICY)
    is_part = name.startswith(PERMISSION_SETS) and PART_NUMBER.fullmatch(number)
    return (of, int(number)) if is_part and NAME.fullmatch(of) else None


def _accept(  # noqa: PLR0913 - all of it by name
    parameter: Parameter,
    tree: _Tree,
    *,
    known: Mapping[str, AnyRule],
    before: Accepted,
    plan_of: Callable[[str], ConfirmedPlan | None] | None,
    now: datetime,
) -> None:
    """Puts a valid parameter into the tree. Raises SettingsError for any other."""
    name = parameter.name
    title = _title(parameter)
    if name == SETTINGS:
        tree.settings = validated(title, GlobalSettings, read_json(title, parameter.value))
    elif name.startswith(RULES):
        rule = known.get(name.removeprefix(RULES))
        if rule is None:
            raise _refusal(title, _no_rule(name.removeprefix(RULES), known))
        value = read_json(title, parameter.value)
        settings = validated(title, rule.settings, value)
        if _needs_plan(settings, value, before.rules.get(rule.id, {})):
            if plan_of is None:
                tree.unconfirmed.append(rule.id)
            elif why := _not_confirmed(rule.id, settings, plan_of(rule.id), tree, now):
                raise _refusal(title, why)
        tree.rules[rule.id] = value
    elif name.startswith(EXEMPTIONS):
        found = exemption_id(name)
        if found is None:
            raise _refusal(
                title,
                f"expected an id of lower-case letters, digits and single hyphens, at most "
                f"{MAX_ID_LENGTH} characters, after {EXEMPTIONS}",
            )
        tree.exemptions[found] = _exemption(
            title, parameter.value, known=known, now=now, new=name not in before.parameters
        )
    else:
        raise _refusal(
            title,
            f"nothing reads it; expected {SETTINGS}, {RULES}<rule id>, {EXEMPTIONS}<id>, "
            f"{PERMISSION_SETS}<name> or {BASELINES}<name>",
        )
    tree.seen[name] = parameter.version


def _needs_plan(
    settings: RuleSettings, value: Mapping[str, object], former: Mapping[str, object]
) -> bool:
    """Whether somebody must have confirmed whom the rule hits before its value is accepted.

    What was accepted stays so, however old its plan is, while the rule is the same but for its
    severity; and a rule that is to do less than enforce hits nobody.
    """
    if settings.existing != "enforce":
        return False
    if former.get("existing") != "enforce":
        return True
    now, then = dict(value), dict(former)
    for one in (now, then):
        one.pop("severity", None)
    return settings.mode is Mode.ENFORCE and now != then


def _not_confirmed(
    rule: str, settings: RuleSettings, plan: ConfirmedPlan | None, tree: _Tree, now: datetime
) -> str | None:
    """Why a rule may not enforce what exists; None where a plan of just that was confirmed lately.

    A plan is made of what was found by the settings in force, and tells of no others.
    """
    days = tree.settings.sweeps.plan_days
    if plan is not None and now - plan.at <= timedelta(days=days):
        if plan.terms == settings.terms:
            return None
        return (
            'field existing: "enforce" is refused: the plan that was confirmed is of other '
            "settings of the rule; expected 'report' with the new ones first, then "
            f"keyward sweep --full --wait, and keyward sweep --plan --rule {rule}"
        )
    late = f", and the last one is of {plan.at:%Y-%m-%d}" if plan is not None else ""
    return (
        f'field existing: "enforce" is refused until a plan of whom it hits was confirmed, '
        f"within {days} days{late}; expected 'report', or first "
        f"keyward sweep --plan --rule {rule}, which says how to confirm it"
    )


def _exemption(
    title: str, text: str, *, known: Mapping[str, AnyRule], now: datetime, new: bool
) -> dict[str, object]:
    value = read_json(title, text)
    exemption = validated(title, Exemption, value)
    for rule in exemption.rules:
        if rule not in known:
            raise _refusal(title, f"field rules: {_no_rule(rule, known)}")
    if new and exemption.until <= now:
        raise _refusal(
            title,
            f"field until: {exemption.until.isoformat()} has passed already; expected a later time",
        )
    return value


def _keep(name: str, tree: _Tree, *, before: Accepted) -> None:
    """Keeps what was accepted last of a parameter that is invalid now."""
    if name == SETTINGS:
        tree.settings = before.settings
    rule = name.removeprefix(RULES)
    if rule != name and rule in before.rules:
        tree.rules[rule] = before.rules[rule]
    exemption = name.removeprefix(EXEMPTIONS)
    if exemption != name and exemption in before.exemptions:
        tree.exemptions[exemption] = before.exemptions[exemption]
    baseline = name.removeprefix(BASELINES)
    if baseline != name and baseline in before.baselines:
        tree.baselines[baseline] = before.baselines[baseline]
    if name in before.parameters:
        tree.seen[name] = before.parameters[name]


def _accept_catalogue(
    parameters: Mapping[str, Parameter],
    tree: _Tree,
    *,
    before: Accepted,
    policy_exists: Callable[[str], bool],
    now: datetime,
) -> Iterator[Refusal]:
    """Puts the permission sets that are valid into the tree, keeps those that were; the refusals.

    Two names that differ in case alone are one name to people. Neither is taken then, unless one
    is in force already: that one stays.
    """
    sets = _sets(parameters)
    belonging = {it.name for one in sets for it in one.parameters}
    for name in sorted(parameters.keys() - belonging):
        parameter = parameters[name]
        yield Refusal(
            parameter=name,
            version=parameter.version,
            text=f"{_title(parameter)}: {_why_not_of_catalogue(name)}",
            may_be_unfinished=_is_being_written([parameter], now),
        )
    for one in sets:
        try:
            _check_twins(one, [it.name for it in sets], before)
            value = _entry(one, before=before, policy_exists=policy_exists)
        except SettingsError as error:
            yield Refusal(
                parameter=one.entry.name,
                version=one.entry.version,
                text=str(error),
                may_be_unfinished=_spans(one) and _is_being_written(one.parameters, now),
            )
            _keep_set(one, tree, before=before)
        else:
            tree.permission_sets[one.name] = value
            tree.seen |= {parameter.name: parameter.version for parameter in one.parameters}


def _sets(parameters: Mapping[str, Parameter]) -> list[_PermissionSet]:
    """The permission sets that have an entry, with their parts, by name."""
    parts: dict[str, dict[int, Parameter]] = {}
    for name, parameter in parameters.items():
        if (found := part_of(name)) is not None:
            parts.setdefault(found[0], {})[found[1]] = parameter
    return [
        _PermissionSet(name=of, entry=parameter, parts=parts.get(of, {}))
        for name, parameter in sorted(parameters.items())
        if (of := permission_set_name(name)) is not None
    ]


def _why_not_of_catalogue(name: str) -> str:
    if (part := part_of(name)) is not None:
        return f"a part of an inline policy without its entry; expected {PERMISSION_SETS}{part[0]}"
    if "/" in name.removeprefix(PERMISSION_SETS):
        return (
            f"nothing reads it; expected {PERMISSION_SETS}<name>, or after that name "
            f"{INLINE_POLICY}1, 2 and so on"
        )
    return (
        f"expected a name of letters, digits, and _ . - after {PERMISSION_SETS}, at most 32 "
        "characters, and no dot at its beginning"
    )


def _spans(one: _PermissionSet) -> bool:
    """Whether it spans parameters, or says that it does."""
    return bool(one.parts) or "inline_policy_sha256" in one.entry.value


def _is_being_written(parameters: Iterable[Parameter], now: datetime) -> bool:
    return any(it.modified is not None and now - it.modified < BEING_WRITTEN for it in parameters)


def _check_twins(one: _PermissionSet, names: Iterable[str], before: Accepted) -> None:
    """Raises SettingsError where another name is the same but for case, and has precedence."""
    twins = [it for it in names if it != one.name and it.casefold() == one.name.casefold()]
    in_force = [it for it in (one.name, *twins) if it in before.permission_sets]
    if twins and in_force != [one.name]:
        raise _refusal(
            one.title,
            f"{', '.join(twins)} is the same name but for upper and lower case; expected one",
        )


def _entry(
    one: _PermissionSet, *, before: Accepted, policy_exists: Callable[[str], bool]
) -> dict[str, object]:
    """The whole entry, with its inline policy put together. Raises SettingsError."""
    value = read_json(one.title, one.entry.value)
    digest = value.pop("inline_policy_sha256", None)
    if one.parts or digest is not None:
        if "inline_policy" in value:
            raise _refusal(
                one.title, "field inline_policy: stands in the entry and in parts; expected one"
            )
        value["inline_policy"] = _put_together(one, digest)
    entry = validated(one.title, CatalogueEntry, value)
    if MARK in str(entry.inline_policy):
        raise _refusal(
            one.title, f"field inline_policy: a Sid with {MARK} is Keyward's own; expected another"
        )
    accepted = entries_of({one.name: before.permission_sets.get(one.name, {})})
    in_force = {arn for it in accepted.values() for _, arn in it.policies_of_aws()}
    for where, arn in entry.policies_of_aws():
        if arn not in in_force and not policy_exists(arn):
            raise _refusal(one.title, f"field {where}: {_no_policy(arn)}")
    return value


def _put_together(one: _PermissionSet, digest: object) -> dict[str, object]:
    """The inline policy that the parts are together. Raises SettingsError where some are lacking.

    Where the entry has their digest, no mixture of an older and a newer policy passes.
    """
    count = len(one.parts)
    for number in range(1, count + 1):
        if number not in one.parts:
            raise _refusal(
                one.title,
                f"there are {count} parts of its inline policy and none is {number}; expected them "
                "numbered from 1 without gaps",
            )
    text = "".join(one.parts[number].value for number in range(1, count + 1))
    if digest is not None and digest != digest_of(text):
        raise _refusal(
            one.title,
            "field inline_policy_sha256: the parts of its inline policy are not those that it was "
            "written with; expected them complete: push it again",
        )
    return read_json(f"{one.title}: field inline_policy", text)


def _no_policy(arn: str) -> str:
    name = _path(arn).rpartition("/")[2]
    elsewhere = sorted(it for it in _known_policies() if it.rpartition("/")[2] == name)
    near = elsewhere or difflib.get_close_matches(_path(arn), _known_policies(), n=1)
    hint = f"did you mean {near[0]}?" if near else "expected the ARN of one that AWS has"
    return f"AWS has no managed policy {_path(arn)} that this version knows; {hint}"


def _path(arn: str) -> str:
    """What comes after policy/ in the ARN of an AWS managed policy."""
    return arn.partition(":policy/")[2]


def _known_policies() -> frozenset[str]:
    from keyward.policy import aws_managed  # noqa: PLC0415 - long, and guards don't need it here

    return aws_managed.names()


def _keep_set(one: _PermissionSet, tree: _Tree, *, before: Accepted) -> None:
    """Keeps the whole entry that was accepted last of a permission set that is invalid now."""
    if one.name not in before.permission_sets:
        return
    tree.permission_sets[one.name] = before.permission_sets[one.name]
    tree.seen |= {
        name: version
        for name, version in before.parameters.items()
        if name == one.entry.name or name.startswith(one.entry.name + INLINE_POLICY)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    """A baseline that is valid by itself; `value` are its JSON values, as they are accepted."""

    parameter: Parameter
    value: dict[str, object]
    settings: Baseline


def _accept_baselines(
    parameters: Mapping[str, Parameter], tree: _Tree, *, before: Accepted
) -> list[Refusal]:
    """Puts the baselines that are valid into the tree, keeps those that were; the refusals.

    Of two that contradict each other none is taken, unless one is in force already, just as it
    stands: that one stays.
    """
    valid: dict[str, _Baseline] = {}
    problems: dict[str, str] = {}
    for name, parameter in sorted(parameters.items()):
        try:
            valid[name] = _baseline(parameter, tree)
        except SettingsError as error:
            problems[name] = str(error)
    # What is refused leaves its former value in force, which others may contradict in turn.
    while contradicting := dict(_contradicting(valid, parameters, before)):
        problems |= contradicting
        valid = {name: one for name, one in valid.items() if name not in contradicting}
    for name, one in valid.items():
        tree.baselines[name.removeprefix(BASELINES)] = one.value
        tree.seen[name] = one.parameter.version
    for name in problems:
        _keep(name, tree, before=before)
    return [
        Refusal(parameter=name, version=parameters[name].version, text=problems[name])
        for name in sorted(problems)
    ]


def _baseline(parameter: Parameter, tree: _Tree) -> _Baseline:
    """The baseline of a parameter. Raises SettingsError where it can't be one, whatever others say.

    Whether groups, permission sets and OUs exist is not asked here.
    """
    title = _title(parameter)
    if baseline_name(parameter.name) is None:
        raise _refusal(
            title,
            f"expected a name of lower-case letters, digits and single hyphens, at most "
            f"{MAX_NAME_LENGTH} characters, after {BASELINES}",
        )
    value = read_json(title, parameter.value)
    found = validated(title, Baseline, value)
    names = {name.casefold(): name for name in tree.permission_sets}
    for number, it in enumerate(found.assignments):
        meant = names.get(it.permission_set.casefold())
        if meant is not None and meant != it.permission_set:
            raise _refusal(
                title,
                f"field assignments.{number}.permission_set: {it.permission_set} is {meant} but "
                f"for upper and lower case; expected {meant}, as the catalogue has it",
            )
    if (taken := _taken_away(found, tree)) is not None:
        raise _refusal(title, taken)
    return _Baseline(parameter=parameter, value=value, settings=found)


def _contradicting(
    valid: Mapping[str, _Baseline], parameters: Mapping[str, Parameter], before: Accepted
) -> Iterator[tuple[str, str]]:
    """The new or changed baselines that contradict another one, by parameter name, and why.

    That is: both have the very same `accounts` and `exclude`, in whatever order, and one says that
    other access is stale there, the other that it isn't. Selectors that merely overlap, or call an
    OU by id here and by path there, are not compared.
    """
    kept = {
        BASELINES + name: baseline
        for name, baseline in baselines_of(before.baselines).items()
        if BASELINES + name in parameters
    }
    in_force = kept | {name: one.settings for name, one in valid.items()}
    for name, one in valid.items():
        if one.settings == kept.get(name):
            continue
        for other, baseline in sorted(in_force.items()):
            if (
                other != name
                and baseline.selectors == one.settings.selectors
                and baseline.exclusive != one.settings.exclusive
            ):
                here, there = ("true", "false") if one.settings.exclusive else ("false", "true")
                problem = (
                    f"field exclusive: is {here} here and {there} in {other}, for the very same "
                    "accounts; expected the same in both"
                )
                yield name, f"{_title(one.parameter)}: {problem}"
                break


def _taken_away(baseline: Baseline, tree: _Tree) -> str | None:
    """What of it a rule that enforces would take away again, in words; None: nothing is known of.

    Seen is what RESTRICTED, in mode enforce, reserves by account or OU, where `accounts` names just
    that id; a group by its id, which the rule doesn't allow; a permission set by its name, of which
    the catalogue shows that it counts. Names of groups, paths of OUs, and OUs above those that are
    named are not looked up here, and neither is what AWS managed policies other than
    AdministratorAccess say.
    """
    if tree.rules.get(RESTRICTED, {}).get("mode") != Mode.ENFORCE:
        return None
    from keyward.rules import idc_admin_assignment_restricted as rule  # noqa: PLC0415 - no guard's

    try:
        settings = validated(RESTRICTED, rule.Settings, tree.rules[RESTRICTED])
    except SettingsError:  # accepted by another version of the code: in this one it only reports
        return None
    reserved = {*settings.accounts, *settings.organizational_units}
    named = [
        (number, where)
        for number, it in enumerate(baseline.accounts)
        for where in (*it.ids, it.unit)
        if where in reserved
    ]
    if not named:
        return None
    for number, it in enumerate(baseline.assignments):
        if not GROUP_ID.fullmatch(it.group) or it.group in settings.allowed_principals:
            continue
        if _reaches(it.permission_set, settings.reach, tree):
            place, where = named[0]
            return (
                f"field assignments.{number}: gives {it.permission_set} to group {it.group} in "
                f"{where} (accounts.{place}), where {RULES}{RESTRICTED} takes it away again; "
                "expected the group among its allowed_principals, or a smaller permission set"
            )
    return None


def _reaches(permission_set: str, reach: str, tree: _Tree) -> bool:
    """Whether the catalogue shows that a permission set reaches so far, with no boundary to it."""
    from keyward.policy import Reach, analyse  # noqa: PLC0415 - guards don't need it here

    entries = {
        name: value for name, value in tree.permission_sets.items() if name == permission_set
    }
    for entry in entries_of(entries).values():
        documents = [
            PolicyDocument(name=ADMINISTRATOR, text=_EVERYTHING)
            for arn in entry.managed_policies
            if _path(arn) == ADMINISTRATOR
        ]
        if entry.inline_policy is not None:
            text = json.dumps(entry.inline_policy)
            documents.append(PolicyDocument(name="inline policy", text=text))
        grants = analyse(documents).grants if entry.boundary is None else ()
        return any(grant.reach.rank >= Reach(reach).rank for grant in grants)
    return False


def _enforcing(tree: _Tree) -> Iterator[str]:
    """The rules that may enforce, pauses apart: by their own mode and under the ceiling.

    Under a ceiling of report a rule has not begun to enforce, whatever its own mode says:
    what came to be in the meantime exists already when the ceiling is lifted.
    """
    if tree.settings.ceiling is Mode.ENFORCE:
        yield from (rule for rule, value in tree.rules.items() if value.get("mode") == Mode.ENFORCE)


def _holds(exemption: dict[str, object], now: datetime) -> bool:
    """Whether it has not ended. What this version of the code cannot read holds nothing."""
    try:
        return now < validated("exemption", Exemption, exemption).until
    except SettingsError:
        return False


def _title(parameter: Parameter) -> str:
    name, version = parameter.name, parameter.version
    return f"{name} version {version}" if version else name


def _no_rule(rule: str, known: Mapping[str, AnyRule]) -> str:
    near = difflib.get_close_matches(rule, known, n=1)
    return (
        f"no rule is called {rule}; {f'did you mean {near[0]}?' if near else 'see keyward rules'}"
    )


def _refusal(title: str, text: str) -> SettingsError:
    return SettingsError(f"{title}: {text}")
