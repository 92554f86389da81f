"""logfmt: any text comes back as it went in, and nothing foreign forges a pair, a line, or reaches a terminal raw."""

from __future__ import annotations

import json
import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eelogger.text.logfmt import pair, parse, quote

HOSTILE = ' ="\\\n\r\t\x00\x07\x1b\x7f\x85\x9b\xa0\xad\u200b\u200d\u2028\u202e\u2066\u3000\ufeff\ud800\udfff\U000e0001'
PLAIN = "aZ09-_.,:;/'#[]{}é前🚪"
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE + PLAIN)), max_size=40)
KEYS = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)


def joined(text: str) -> str:
    """The text with a surrogate pair in two halves made the one character it stands for, as any JSON reader does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(TEXTS)
@example("".join(map(chr, range(256))))
@example(HOSTILE)
@example("\ud83d")
@example("\ude00\ud83d")
@example("\ud83d\ude00")
@example(" -- ")
@example('" verdict=measured delay_s=0.1 x="')
def test_a_quoted_value_comes_back(text: str) -> None:
    assert parse(f"before=1 {pair('key', text)} after=2") == {"before": "1", "key": joined(text), "after": "2"}


@given(TEXTS)
@example(HOSTILE)
def test_a_quoted_value_is_printable_and_bare_only_where_it_can_be(text: str) -> None:
    quoted = quote(text)
    assert quoted.isprintable()
    quoted.encode("utf-8")
    if quoted.startswith('"'):
        assert json.loads(quoted) == joined(text)
    else:
        assert quoted == text
    bare = bool(text) and text.isprintable() and not set(text) & set(' ="\\')
    assert quoted.startswith('"') is not bare


def test_every_character_there_is() -> None:
    for start in range(0, sys.maxunicode + 1, 256):
        text = "".join(map(chr, range(start, start + 256)))
        quoted = quote(text)
        assert quoted.isprintable(), hex(start)
        assert parse(f"k={quoted}") == {"k": text}, hex(start)


@given(st.lists(st.tuples(KEYS, TEXTS)))
def test_pairs_come_back_and_the_first_of_a_key_counts(pairs: list[tuple[str, str]]) -> None:
    first = {key: joined(value) for key, value in reversed(pairs)}
    assert parse(" ".join(pair(key, value) for key, value in pairs)) == first


@given(TEXTS, TEXTS)
def test_foreign_text_changes_no_other_pair(one: str, other: str) -> None:
    for text in (one, other):
        keys = parse(f"verdict=measured {pair('name', text)} delay_s=1.234456 -- {json.dumps(text)}\n")
        assert list(keys) == ["verdict", "name", "delay_s"]
        assert (keys["verdict"], keys["delay_s"]) == ("measured", "1.234456")


@given(TEXTS | st.text('ab= "\\-\n', max_size=60))
@example("a=" * 50_000)
@example('a="' * 50_000)
@example("x" * 100_000)
@example('a="\\u12')
def test_any_line_is_read_without_complaint(line: str) -> None:
    for key, value in parse(line).items():
        assert re.fullmatch(r"[!#-<>-~]+", key)
        assert isinstance(value, str)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("Intrusion", "Intrusion"),
        ("Front Door", '"Front Door"'),
        ("Tür", "Tür"),
        ("前門 🚪", '"前門 🚪"'),
        ("a=b", '"a=b"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("a\nb\tc", r'"a\nb\tc"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\x7f", r'"\u007f"'),
        ("\x9b31m", r'"\u009b31m"'),
        ("\xa0", r'"\u00a0"'),
        ("\u202etxt", r'"\u202etxt"'),
        ("\u200b", r'"\u200b"'),
        ("\ud800", r'"\ud800"'),
        ("\U000e0001", r'"\udb40\udc01"'),
        ("--", "--"),
        ("'", "'"),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("", {}),
        ("\n", {}),
        ("a=1 b=2\n", {"a": "1", "b": "2"}),
        ("a= b=2", {"a": "", "b": "2"}),
        ('a="" b=2', {"a": "", "b": "2"}),
        ("stray a=1 more strays b=2", {"a": "1", "b": "2"}),
        ("a=1   b=2", {"a": "1", "b": "2"}),
        (" a=1", {"a": "1"}),
        ("a=1 a=2", {"a": "1"}),
        ('a=1 -- {"x": "y b=2 z"}', {"a": "1"}),
        ('-- {"x": "y b=2 z"}', {}),
        ('a=" -- " b=2', {"a": " -- ", "b": "2"}),
        ('a=1 b="torn', {"a": "1"}),
        ('a=1 b="torn c=2', {"a": "1"}),
        ('a=1 b="torn\\', {"a": "1"}),
        ("a=1 b", {"a": "1"}),
        ("a=http://x?y=z", {"a": "http://x?y=z"}),
    ],
)
def test_parse(line: str, pairs: dict[str, str]) -> None:
    assert parse(line) == pairs


def test_a_value_that_is_no_string_is_written_as_str_gives_it() -> None:
    assert [pair("k", value) for value in (7, -1, None, 1.5)] == ["k=7", "k=-1", "k=None", "k=1.5"]
