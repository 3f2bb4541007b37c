"""The house's rules that no other tool checks: time and chance are arguments, modules state their rules, no versions
outside the dialect, one pair of lungs per room."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "forecourt"
PURE_ROOMS = ("quantities.py", "rpc", "domain", "allocation", "dialect", "station", "controller")
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
VERSION = re.compile(r"\b(v16|v201|v21|ocpp1\.6|ocpp2\.0\.1|ocpp2\.1)\b")

FORBIDDEN_IMPORTS = {"time", "random", "uuid", "secrets", "asyncio", "socket", "threading"}
FORBIDDEN_CALLS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def pure_modules() -> Iterator[Path]:
    for room in PURE_ROOMS:
        place = SOURCE / room
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", list(pure_modules()), ids=name)
def test_time_and_chance_are_arguments(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_IMPORTS
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_IMPORTS
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            assert (node.func.value.id, node.func.attr) not in FORBIDDEN_CALLS


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_states_its_rules_at_its_door(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module begins with what it guarantees"


@pytest.mark.parametrize("room", ["station", "controller", "csms", "domain", "allocation"])
def test_versions_end_at_the_dialect(room: str) -> None:
    for path in sorted((SOURCE / room).rglob("*.py")):
        assert not VERSION.search(path.read_text(encoding="utf-8")), f"{name(path)} names a version"
