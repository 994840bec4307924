"""Laws of parsing and formatting, on random programs and on random damage to them."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark.exceptions import UnexpectedInput

import meshc_grammar
from meshc.diagnostics import RULES
from meshc.format import format_source
from meshc.parse import Parsed, parse
from meshc.source import SourceFile
from random_syntax import Programs, Words, source_of

SEEDS = st.integers(min_value=0, max_value=2**48)
LARK = meshc_grammar.load()


def is_well_formed(parsed: Parsed, text: str) -> None:
    """What every result of `parse` must be like."""
    for diagnostic in parsed.diagnostics:
        assert diagnostic.name in RULES
        assert "\n" not in diagnostic.message
        assert not diagnostic.message.endswith(".")
        for span in (diagnostic.span, *(label.span for label in diagnostic.labels)):
            assert 0 <= span.start <= span.end <= len(text)
            assert (span.line, span.column) == SourceFile("p.mesh", text).position(span.start)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_generated_programs_parse(seed: int) -> None:
    source = source_of(seed)
    assert parse(source).diagnostics == ()


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_formatting_keeps_meaning_and_comments_and_is_idempotent(seed: int) -> None:
    """parse . format == parse, and format . format == format."""
    source = source_of(seed)
    formatted = format_source(source)
    assert formatted.text is not None, formatted.diagnostics
    again = SourceFile("p.mesh", formatted.text)
    assert parse(again).file == parse(source).file
    assert [c.text.rstrip() for c in parse(again).comments] == [c.text.rstrip() for c in parse(source).comments]
    assert format_source(again).text == formatted.text
    assert not any(line != line.rstrip() for line in formatted.text.split("\n"))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_parsing_agrees_with_lark(seed: int) -> None:
    """The tables, run by us, accept what lark's own parser accepts."""
    random = Random(seed)
    programs = Programs(random)
    words = damaged(programs.program(), random) if random.random() < 0.7 else programs.program()
    text = " ".join(words)
    try:
        LARK.parse(text)
        is_accepted = True
    except UnexpectedInput:
        is_accepted = False
    ours = parse(SourceFile("p.mesh", text))
    reserved = [d for d in ours.diagnostics if "is a word of the language" in d.message]
    assert (len(ours.diagnostics) == len(reserved)) == is_accepted


def damaged(words: Words, random: Random) -> Words:
    """Some words left out, doubled, swapped or replaced."""
    words = list(words)
    for _ in range(random.randrange(1, 4)):
        if not words:
            break
        at = random.randrange(len(words))
        kind = random.randrange(4)
        if kind == 0:
            del words[at]
        elif kind == 1:
            words.insert(at, words[at])
        elif kind == 2:
            other = random.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        else:
            words[at] = random.choice(
                (
                    "{",
                    "}",
                    ";",
                    "=",
                    "==",
                    ":",
                    "'x'",
                    '"open',
                    "//",
                    "&&",
                    "my_name",
                    "Get",
                    "5",
                    "s",
                    "“x”",
                    "re",
                    "\u200b",
                    "(",
                    "!",
                )
            )
    return words


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_damage_is_reported_and_never_crashes(seed: int) -> None:
    random = Random(seed)
    programs = Programs(random)
    text = programs.spaced(damaged(programs.program(), random))
    parsed = parse(SourceFile("p.mesh", text))
    is_well_formed(parsed, text)
    formatted = format_source(SourceFile("p.mesh", text))
    assert (formatted.text is None) == bool(parsed.diagnostics)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("abA_0 \n\r\t{}()\"'#/:;,.=!&|-><@$%\\\u200b\x00é“”<>"), max_size=80))
def test_any_text_gives_a_result(text: str) -> None:
    is_well_formed(parse(SourceFile("p.mesh", text)), text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_result(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    is_well_formed(parse(SourceFile("p.mesh", text)), text)


@pytest.mark.parametrize("length", [0, 1, 17, 64, 400])
def test_every_cut_of_a_program_gives_a_result(length: int) -> None:
    text = source_of(4).text
    cut = text[: min(length, len(text))]
    is_well_formed(parse(SourceFile("p.mesh", cut)), cut)
