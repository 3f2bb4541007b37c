"""Configuration errors name the field and what was expected."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from forecourt.app.config import ConfigError, load, parse


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9000
    colour: Colour | None = None
    preset: Literal["full", "spare"] = "full"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    csms: Inner = Inner()
    stations: list[Inner] = []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "name: is missing"),
        ("name = 3", "name: expected text, got a whole number"),
        ('name = "x"\n[csms]\nport = "a"', "csms.port: expected a whole number, got text"),
        ('name = "x"\n[csms]\nport = 70000', "csms.port: expected a whole number <= 65535"),
        ('name = "x"\n[csms]\nprot = 9000', 'csms.prot: no such field; did you mean "port"?'),
        ('name = "x"\n[[stations]]\nport = -1', "stations[0].port: expected a whole number >= 0"),
        ('name = "x"\n[csms]\ncolour = "blue"', "csms.colour: expected one of red, green, got 'blue'"),
        ('name = "x"\n[csms]\npreset = "half"', "csms.preset: expected one of full, spare, got 'half'"),
        ('name = "x"\n[[stations]]\ncolour = "blue"', "stations[].colour: expected one of red, green, got 'blue'"),
        ('name = "x"\nzzzzz = 1', "zzzzz: no such field"),
        ("name = ", "not TOML: Invalid value (at end of document)"),
    ],
)
def test_the_error_names_the_field_and_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Outer, source="site.toml")
    assert str(caught.value).startswith("site.toml: ")
    assert complaint.replace("stations[0]", "stations[]") in str(caught.value).replace("stations[0]", "stations[]")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", Outer)


def test_a_file_that_is_not_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "bad.toml", Outer)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text('name = "x"\n[csms]\nport = 1\n')
    assert load(tmp_path / "good.toml", Outer) == Outer("x", Inner(1))
