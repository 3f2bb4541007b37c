"""Files in a folder. See `csms.resource_ports.FileStore`.

Guarantees
* A file is there whole or not at all: it gets its name when all of it is on the disk.
* Nobody but its owner may read the folder and what is in it. Names are random: nothing that came from outside is part
  of a path.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from forecourt.csms.resource_ports import FileTooLarge, KeptFile

_CHUNK: Final = 256 * 1024


class FolderFiles:
    """Keeps files in one folder; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        """OSError when the folder can't be made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    async def keep(self, content: AsyncIterator[bytes], largest: int) -> KeptFile:
        """All of it, or nothing."""
        key = secrets.token_hex(16)
        fresh = self._folder / f"{key}.part"
        digest, size = hashlib.sha256(), 0
        handle = await asyncio.to_thread(os.open, fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            async for chunk in content:
                size = _within(size + len(chunk), largest)
                digest.update(chunk)
                await asyncio.to_thread(_write_all, handle, chunk)
            await asyncio.to_thread(os.fsync, handle)
            fresh.rename(self._folder / key)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        finally:
            os.close(handle)
        return KeptFile(key=key, size=size, sha256=digest.hexdigest())

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """In parts."""
        with await asyncio.to_thread(self._path(key).open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk

    async def remove(self, key: str) -> None:
        """It may be gone already."""
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    def _path(self, key: str) -> Path:
        if not key.isalnum():
            raise FileNotFoundError(key)
        return self._folder / key


def _within(size: int, largest: int) -> int:
    if size > largest:
        raise FileTooLarge
    return size


def _write_all(handle: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(handle, rest) :]
