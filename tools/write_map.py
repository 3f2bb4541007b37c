"""Write the list of rooms and modules in docs/map.md from what the modules say of themselves.

`--check` fails when the page differs from what this would write.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "forecourt"
PAGE = ROOT / "docs" / "map.md"
BEGIN, END = "<!-- rooms: written by tools/write_map.py -->", "<!-- end of rooms -->"

ROOMS = (
    "app", "api", "console", "sim", "net", "store", "bus", "hardware", "meters", "station", "controller", "csms",
    "dialect", "allocation", "rpc", "messages", "domain",
)  # fmt: skip


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def rooms() -> str:
    """The section, from the top of the house to its foundations."""
    lines = [BEGIN]
    for room in ROOMS:
        modules = sorted(path for path in (SOURCE / room).glob("*.py") if path.name != "__init__.py")
        if not modules:
            continue
        about = first_line(SOURCE / room / "__init__.py")
        lines += ["", f"### `{room}/`", ""]
        if about:
            lines += [about, ""]
        lines += ["| module | what it is |", "|---|---|"]
        lines += [f"| `{path.name}` | {first_line(path).replace('|', '/')} |" for path in modules]
    lines += ["", f"And `quantities.py`, below them all: {first_line(SOURCE / 'quantities.py')}", "", END]
    return "\n".join(lines)


def main() -> int:
    """Write the page, or say whether it is true."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = before + rooms() + after
    if "--check" in sys.argv:
        if written != page:
            print("docs/map.md differs from the modules; run: make map")
            return 1
        return 0
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
