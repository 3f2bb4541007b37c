"""The site link of a controller, as its site file says it.

Guarantees
* The link is encrypted: plain `ws` is for a CSMS on this machine only.
* The key is never shown; exactly one of `key` and `key_file` gives it.
"""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

from forecourt.app.config import ConfigError
from forecourt.net.tls import ClientTls
from forecourt.net.urls import is_loopback


class SiteLinkFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[site_link]`: the Forecourt CSMS that this site tells how it is doing."""

    url: str
    """Of the CSMS's API: wss://csms.example:8080."""
    key: str | None = None
    """As `POST /sites` gave it."""
    key_file: str | None = None
    """A file with nothing but the key, relative to this one."""
    tls: ClientTls = ClientTls()
    """For wss://: whom to trust, as `tls.ca = "roots.pem"`."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("url: expected the CSMS's API without a path, such as wss://csms.example:8080")
        if parts.scheme == "ws" and not is_loopback(parts.hostname):
            raise ValueError("url: has to begin with wss:// unless the CSMS is on this machine")
        if parts.scheme == "ws" and self.tls != ClientTls():
            raise ValueError("url: has to begin with wss:// for tls to be of use")
        if (self.key is None) == (self.key_file is None):
            raise ValueError("key: expected either key or key_file, as POST /sites gave it")

    def __repr__(self) -> str:
        # Never the key.
        return f"SiteLinkFile(url={self.url!r})"

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        key_file = None if self.key_file is None else str(folder / self.key_file)
        return msgspec.structs.replace(self, key_file=key_file, tls=self.tls.beside(folder))

    def secret(self) -> str:
        """The key itself. ConfigError: its file can't be read, or holds none."""
        if self.key_file is None:
            return self.key or ""
        try:
            text = Path(self.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"site_link.key_file: {self.key_file}: {error}") from error
        if not text or len(text.split()) != 1:
            raise ConfigError(f"site_link.key_file: {self.key_file}: expected nothing but the key")
        return text
