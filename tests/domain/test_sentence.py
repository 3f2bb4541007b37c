"""Sentences: said in English, sent as they are, and known in German by the console."""

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from forecourt.domain.sentence import Sentence, duration, say

ROOT = Path(__file__).parents[2]
GERMAN = ROOT / "console" / "src" / "i18n" / "de-told.ts"
PLACE = re.compile(r"\{(\w+)(?::[.\w]*)?\}")
NOTHING_TO_TRANSLATE = re.compile(r"(\{\w+(:[.\w]*)?\}|[\s\W]|kW|A|V|s|min)*")


def test_it_is_said_in_english() -> None:
    place = say("circuit {node}, phase {phase}", node="B", phase="L2")
    assert str(say("{limit:.1f} A: {why}", limit=9.0, why=place)) == "9.0 A: circuit B, phase L2"
    assert str(say("{n:g} A", n=6.0)) == "6 A"
    assert [str(duration(seconds)) for seconds in (-1.0, 119.4, 120.0, 200.0)] == ["0 s", "119 s", "2 min", "3 min"]


@pytest.mark.parametrize("name", ["{limit}", "{", "{0}", "{a.__class__}"])
def test_what_fills_it_is_no_part_of_the_words(name: str) -> None:
    assert str(say("circuit {node}", node=name)) == f"circuit {name}"


def test_it_passes_through_json_as_it_is() -> None:
    sentence = say("{evse} draws {drawn:.1f} A: {why}", evse="S/1", drawn=7.25, why=say("nothing"))
    assert msgspec.json.decode(msgspec.json.encode(sentence), type=Sentence) == sentence
    endless = say("its limit is {limit:.1f} A", limit=math.inf)
    assert str(endless) == "its limit is inf A"
    assert msgspec.json.decode(msgspec.json.encode(endless), type=Sentence).values == {"limit": None}


# The console's German


def constants(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from constants(one)
            yield from constants(other)
        case ast.BoolOp(values=several):
            for each in several:
                yield from constants(each)


def assigned(tree: ast.AST, name: str) -> Iterator[str]:
    """The texts that are given to a name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for one, value in pairs:
                if isinstance(one, ast.Name) and one.id == name:
                    yield from constants(value)


def said() -> set[str]:
    """All words with which `say` is called, and the reasons that are given for a wish."""
    found: set[str] = set()
    for path in (ROOT / "src" / "forecourt").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "because" not in text and "domain.sentence" not in text:
            continue
        tree = ast.parse(text)
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="say"), args=[words, *_]):
                    found.update(constants(words))
                    for name in ast.walk(words):
                        if isinstance(name, ast.Name):
                            found.update(assigned(tree, name.id))
                case ast.keyword(arg="because" | "wanted_because"):
                    found.update(constants(node.value))
                case ast.AnnAssign(target=ast.Name(id="wanted_because"), value=value) if value is not None:
                    found.update(constants(value))
                case ast.Name(id="because" | "problem", ctx=ast.Store()):
                    found.update(assigned(tree, node.id))
    return {one for one in found if not NOTHING_TO_TRANSLATE.fullmatch(one)}


def german() -> dict[str, str]:
    text = re.sub(r"//.*|/\*.*?\*/", "", GERMAN.read_text(encoding="utf-8"))
    string = r'"((?:[^"\\]|\\.)*)"'
    pairs = re.findall(rf"(?:{string}|\b(\w+)):\s*{string}", text)
    return {quoted or bare: value for quoted, bare, value in pairs}


def test_each_sentence_has_its_german() -> None:
    words, known = said(), german()
    assert len(words) > 50
    assert words - known.keys() == set(), "console/src/i18n/de-told.ts lacks these"
    for english, translated in known.items():
        assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(translated)), english


def test_no_german_is_left_over() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "forecourt").rglob("*.py"))
    # A group is said where a decision says circuit (`csms.group_decision`).
    assert [one for one in german() if one not in code and one.replace("group {", "circuit {") not in code] == []
