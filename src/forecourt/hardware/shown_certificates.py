"""Which of the station's certificates the CSMS has let in, and which it has not (security white paper A02.FR.10).

Guarantees
* Both are kept in files: a restart changes nothing. Certificates go by the fingerprint of their leaf, so that another
  certificate in a file of the same name is another.
* A certificate that is let in is refused no longer.
* What can't be written holds until the next start, and is said; nothing raises.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forecourt.hardware.certificate_reading import fingerprint, first

log = logging.getLogger(__name__)

REFUSED: Final = "certificates-refused"
PROVEN: Final = "certificates-proven"

Write = Callable[[Path, bytes], None]
"""Writes a file, whole or not at all."""


class ShownCertificates:
    """In the directory of one station. A certificate is named by the file of its chain."""

    def __init__(self, folder: Path, write: Write) -> None:
        self._write = write
        self._files = {REFUSED: folder / REFUSED, PROVEN: folder / PROVEN}
        self._names = {kind: _words(file) for kind, file in self._files.items()}

    def is_refused(self, chain: Path) -> bool:
        """Whether the CSMS has not let it in."""
        return _name(chain) in self._names[REFUSED]

    def is_proven(self, chain: Path) -> bool:
        """Whether it has connected, so that a mere breakdown says nothing of it."""
        return _name(chain) in self._names[PROVEN]

    def refuse(self, chain: Path) -> None:
        """The CSMS did not let it in."""
        self._keep(REFUSED, self._names[REFUSED] | {_name(chain)})

    def prove(self, chain: Path) -> None:
        """It has connected."""
        self._keep(PROVEN, self._names[PROVEN] | {_name(chain)})
        self._keep(REFUSED, self._names[REFUSED] - {_name(chain)})

    def forget_refusals(self) -> None:
        """Begin anew: nothing else is left to be tried."""
        self._keep(REFUSED, frozenset())

    def _keep(self, kind: str, names: frozenset[str]) -> None:
        if names == self._names[kind]:
            return
        self._names[kind] = names
        try:
            self._write(self._files[kind], "".join(f"{name}\n" for name in sorted(names)).encode("ascii"))
        except OSError as error:
            log.error("%s: %s", self._files[kind], error.strerror or error)  # noqa: TRY400 - says it all


def _name(chain: Path) -> str:
    try:
        leaf = first(chain.read_text(encoding="ascii", errors="replace"))
    except OSError:
        leaf = None
    return chain.name if leaf is None else fingerprint(leaf)


def _words(file: Path) -> frozenset[str]:
    try:
        return frozenset(file.read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return frozenset()
