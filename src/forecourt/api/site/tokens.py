"""Who may administer a controller: tokens by name, of which only digests are kept.

Guarantees
* A token is 256 random bits, shown once when it is made; what is kept is its SHA-256, in a file that only its owner can
  read. Long and random as it is, one round is enough.
* A wrong one takes as long to refuse as a right one to find.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Final

FILE: Final = "admin-tokens.json"
FIRST: Final = "admin"
"""Whose the first one is."""
PREFIX: Final = "fc-site-"


class Tokens:
    """Those of one controller. Without a folder they last as long as the process."""

    def __init__(self, state_dir: Path | None = None) -> None:
        """OSError: the file can't be read. ValueError: it isn't one of ours."""
        self._path = None if state_dir is None else state_dir / FILE
        self._digests: dict[str, str] = {}
        if self._path is not None and self._path.exists():
            told = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(told, dict) or not all(isinstance(one, str) for one in told.values()):
                raise ValueError(f"{self._path}: expected names with digests of their tokens")
            self._digests = told

    @property
    def names(self) -> tuple[str, ...]:
        """Whose tokens there are."""
        return tuple(self._digests)

    def first(self) -> str | None:
        """A token, where there is none yet."""
        return None if self._digests else self.make(FIRST)

    def make(self, name: str) -> str:
        """A new token for `name`; an older one of that name is over. OSError: it can't be kept."""
        text = PREFIX + secrets.token_urlsafe(32)
        self._digests[name] = _digest(text)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = self._path.with_suffix(".new")
            beside.unlink(missing_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(self._digests, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        return text

    def whose(self, text: str) -> str | None:
        """The name that a token belongs to."""
        shown, found = _digest(text), None
        for name, kept in self._digests.items():
            if secrets.compare_digest(kept, shown):
                found = name
        return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
