"""One root of the CSMS takes the place of another, and the one before may be fallen back on for so long.

Guarantees (security white paper M05.FR.11 to FR.13)
* While a successor has not been seen to work, `on_trial` names it and the root before it: a connection is tried with
  the successor first, and with the one before only where the server's certificate does not lead to the successor.
* After a connection by way of the successor the one before is trusted no longer (`settle`). An installed one is
  removed; one that is part of the station's configuration can't be, and is remembered as replaced.
* Both are kept in files: a restart changes nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

TRIAL: Final = "csms-root-on-trial"
REPLACED: Final = "csms-roots-replaced"

Write = Callable[[Path, bytes], None]
"""Writes a file, whole or not at all."""


class Succession:
    """In the directory of one station. Roots go by their fingerprints, in hexadecimal."""

    def __init__(self, folder: Path, write: Write) -> None:
        self._trial = folder / TRIAL
        self._replaced = folder / REPLACED
        self._write = write

    def begin(self, successor: str, before: str) -> None:
        """`successor` has been installed in place of `before`. OSError: it can't be written."""
        self._write(self._trial, f"{successor}\n{before}\n".encode("ascii"))

    @property
    def on_trial(self) -> tuple[str, str] | None:
        """The successor, and the one before; None: nothing is on trial."""
        words = _words(self._trial)
        return (words[0], words[1]) if len(words) == 2 else None

    @property
    def replaced(self) -> frozenset[str]:
        """Roots that are trusted no longer, wherever they are."""
        return frozenset(_words(self._replaced))

    def settle(self) -> str | None:
        """The successor works. The root that is trusted no longer. OSError: it can't be written."""
        if (pair := self.on_trial) is None:
            return None
        self._write(self._replaced, "".join(f"{root}\n" for root in sorted(self.replaced | {pair[1]})).encode("ascii"))
        self._trial.unlink()
        return pair[1]

    def trust_again(self, root: str) -> None:
        """It has been installed anew: whoever may do that has changed their mind. OSError: it can't be written."""
        if root in self.replaced:
            self._write(self._replaced, "".join(f"{one}\n" for one in sorted(self.replaced - {root})).encode("ascii"))


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="ascii", errors="replace").split() if file.exists() else []
