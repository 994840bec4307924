"""Profiles: `uses NAME(args)` replaced by the settings that it stands for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from meshc import ast
from meshc.diagnostics import Label
from meshc.literals import KINDS, LiteralError, kind_of, read_quantity
from meshc.lower import values
from meshc.lower.context import Context, either
from meshc.suggest import closest

_DEEPEST = 90
"""The layer of a block's own profiles; each profile that they use is one below."""
_MOST_USES = 100_000


def expand_uses(
    context: Context, uses: Sequence[ast.Use], depth: int = _DEEPEST
) -> Iterator[tuple[int, Context, ast.Setting]]:
    """The settings of profiles, each with the context that its variables are read in.

    The number is a layer: a profile's own settings are above those of the profiles that it uses itself.
    """
    for use in uses:
        entry = context.definition("profile", use.profile.scope, use.profile.name, use.profile.span)
        if entry is None or not isinstance(entry.declaration, ast.Profile):
            continue
        profile = entry.declaration
        context.report.uses += 1
        if context.report.uses > _MOST_USES:
            message = f"profiles are used more than {_MOST_USES} times in all"
            context.report.add("value-out-of-range", use.span, message, advice="profiles that use each other multiply")
            return
        if not context.may_descend(use.span, "profiles"):
            continue
        if context.is_expanding(entry):
            context.report.add("cyclic-definition", use.span, f"profile `{profile.name.text}` uses itself")
            continue
        inside = context.within(entry)
        inside = replace(inside, parameters=_bind(context, inside, use, profile))
        yield from expand_uses(inside, profile.uses, depth - 1)
        for setting in profile.settings:
            yield depth, inside, setting


def check_profile(context: Context, profile: ast.Profile) -> None:
    """Report what is wrong with a profile's parameters, whether it is used or not."""
    seen: dict[str, ast.Parameter] = {}
    for parameter in profile.parameters:
        if parameter.name.text in seen:
            first = Label(span=seen[parameter.name.text].span, text="the first one")
            message = f"parameter `{parameter.name.text}` is declared twice"
            context.report.add("duplicate-declaration", parameter.span, message, labels=(first,))
        seen[parameter.name.text] = parameter
        context.word(parameter.type, {kind: kind for kind in _TYPES}, "type")
        if parameter.default is not None and parameter.type.text in _TYPES:
            _checked(context, parameter, parameter.default)


_TYPES = ("duration", "percent", "rate", "size", "int", "string", "cidr", "status")


def _bind(context: Context, inside: Context, use: ast.Use, profile: ast.Profile) -> dict[str, tuple[ast.Literal, ...]]:
    """Each parameter's literals; what does not fit is reported. Arguments are read where they stand, defaults `inside`."""
    given: dict[str, ast.Argument] = {}
    names = [parameter.name.text for parameter in profile.parameters]
    for index, argument in enumerate(use.arguments):
        name = _parameter_name(context, argument, index, profile, names)
        if name is None:
            continue
        if name in given:
            context.report.add("profile-arguments", argument.span, f"`{name}` is given twice")
        given[name] = argument
    bound: dict[str, tuple[ast.Literal, ...]] = {}
    for parameter in profile.parameters:
        name = parameter.name.text
        if name in given:
            bound[name] = _checked(context, parameter, given[name].value)
        elif parameter.default is not None:
            default = values.expand(inside, parameter.default)  # `check_profile` reports those that do not fit
            bound[name] = tuple(value for value in default if _fits(value, parameter.type.text))
        else:
            message = f"profile `{profile.name.text}` needs a value for `{name}`"
            label = Label(span=parameter.span, text="it has no default")
            context.report.add("profile-arguments", use.span, message, labels=(label,))
            bound[name] = ()
    return bound


def _parameter_name(
    context: Context, argument: ast.Argument, index: int, profile: ast.Profile, names: list[str]
) -> str | None:
    if argument.name is not None:
        if argument.name.text in names:
            return argument.name.text
        near = closest(argument.name.text, names)
        advice = f"did you mean `{near}`?" if near else (f"it has {either(names)}" if names else "it has none")
        message = f"profile `{profile.name.text}` has no parameter `{argument.name.text}`"
        context.report.add("profile-arguments", argument.name.span, message, advice=advice)
        return None
    if index < len(names):
        return names[index]
    message = f"profile `{profile.name.text}` takes {len(names)} argument{'' if len(names) == 1 else 's'}"
    label = Label(span=profile.name.span, text="declared here")
    context.report.add("profile-arguments", argument.span, message, labels=(label,))
    return None


def _checked(context: Context, parameter: ast.Parameter, literal: ast.Literal) -> tuple[ast.Literal, ...]:
    found = values.expand(context, literal)
    for value in found:
        if not _fits(value, parameter.type.text):
            values.mismatch(context, value, literal.span, f"`{parameter.name.text}`", parameter.type.text)
            return ()
    return found


def _fits(value: ast.Literal, kind: str) -> bool:
    if kind not in KINDS:
        return True
    match value:
        case ast.String():
            return kind == "string"
        case ast.Regex() | ast.Var():
            return False
        case ast.Quantity():
            try:
                found = kind_of(read_quantity(value.text))
            except LiteralError:
                return False
            return found == kind or (kind == "status" and found == "int")
