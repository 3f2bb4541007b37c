"""Addresses that people configure: whether they are of this machine, and whether they are safe to use."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is behind `host`."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_url(field: str, url: str) -> None:
    """ValueError where it isn't https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError(f"{field}: must be an https:// address, or http:// on this machine")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{field}: must be an address without query and fragment")
