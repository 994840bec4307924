"""`meshc diff`: what differs in meaning between two programs, revisions of one, or configurations of a mesh."""

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.sides import Program, SideInvalidError, read_program
from meshc.difference.compare import Comparer
from meshc.difference.environments import merge
from meshc.difference.model import Change, Difference
from meshc.suggest import closest

_GATES = tuple(change.value for change in Change)


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    gates = _gates(arguments.fail_on)
    old, new = arguments.paths
    try:
        difference = _difference(old, new, arguments.environment, console)
    except SideInvalidError:
        return 1
    console.print(_rendered(difference, arguments, console))
    failed = sorted(change.value for change in difference.changes & gates)
    if failed:
        console.say(f"meshc: found what --fail-on names: {', '.join(failed)}")
    return 1 if failed else 0


def _difference(old: str, new: str, environment: str | None, console: Console) -> Difference:
    from meshc.cli.configurations import is_configuration  # noqa: PLC0415  reading meshes is not always asked for

    configured = [is_configuration(one) for one in (old, new)]
    if not any(configured):
        return _compare(read_program(old, console), read_program(new, console), environment, console)
    if all(configured):
        from meshc.cli.two_configurations import compare_configured  # noqa: PLC0415  seldom asked for

        return compare_configured(old, new, environment, console)
    program = read_program(new if configured[0] else old, console)
    return _compare_configured(program, old if configured[0] else new, environment, console, is_new=configured[1])


def _compare_configured(
    program: Program, operand: str, environment: str | None, console: Console, *, is_new: bool
) -> Difference:
    """Compare a program with configuration, for one environment, or for the program without one."""
    from meshc.cli.configurations import compare_with, read_configuration  # noqa: PLC0415

    if environment is not None and environment not in program.environments:
        raise _unknown_environment(environment, program, "old" if is_new else "new")
    configuration = read_configuration(operand, console)
    side = program.side(environment, console)
    return merge(((environment, compare_with(side, configuration, program.config, console, is_new=is_new)),))


def _gates(words: tuple[str, ...]) -> frozenset[Change]:
    for word in words:
        if word not in _GATES:
            near = closest(word, _GATES)
            advice = f"did you mean `{near}`?" if near else f"there are {', '.join(_GATES)}"
            raise UsageError(f"--fail-on knows no `{word}`; {advice}")
    return frozenset(Change(word) for word in words)


def _compare(old: Program, new: Program, environment: str | None, console: Console) -> Difference:
    """Compare for one environment, or for the programs themselves and each environment of either."""
    comparer = Comparer()
    before, after = set(old.environments), set(new.environments)
    if environment is not None:
        for program, known, word in ((old, before, "old"), (new, after, "new")):
            if environment not in known:
                raise _unknown_environment(environment, program, word)
        pair = comparer.compare(old.side(environment, console), new.side(environment, console))
        return merge(((environment, pair),))
    found: list[tuple[str | None, Difference]] = []
    for name in (None, *sorted(before | after)):
        old_side = old.side(name if name in before else None, console)
        new_side = new.side(name if name in after else None, console)
        found.append((name, comparer.compare(old_side, new_side)))
    return merge(found, added=sorted(after - before), removed=sorted(before - after))


def _unknown_environment(environment: str, program: Program, word: str) -> UsageError:
    near = closest(environment, program.environments)
    listed = f"did you mean `{near}`?" if near else f"it has {', '.join(program.environments) or 'none'}"
    return UsageError(f"the {word} program has no environment `{environment}`; {listed}")


def _rendered(difference: Difference, arguments: Arguments, console: Console) -> str:
    from meshc.difference.render.summary import LIMIT  # noqa: PLC0415

    limit = None if arguments.all else LIMIT
    match arguments.format:
        case "json":
            from meshc.difference.render.as_json import render_json  # noqa: PLC0415  one of several formats

            return render_json(difference)
        case "markdown":
            from meshc.difference.render.as_markdown import render_markdown  # noqa: PLC0415

            return render_markdown(difference, limit=limit)
        case "html":
            from meshc.difference.render.as_html import PAGE_LIMIT, render_html  # noqa: PLC0415

            return render_html(difference, limit=None if arguments.all else PAGE_LIMIT)
        case "sarif":
            from meshc.difference.render.as_sarif import render_sarif  # noqa: PLC0415

            return render_sarif(difference)
        case _:
            from meshc.difference.render.text import render_text  # noqa: PLC0415

            return render_text(difference, color=console.colors("stdout"), limit=limit)
