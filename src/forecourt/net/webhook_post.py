"""Posts to webhooks: by TLS to public addresses, and nowhere else unless it was allowed.

Guarantees
* The address that is connected to is the one that was checked: a name is resolved once, here, and its certificate is
  still checked against the name. A name that changes its mind (DNS rebinding) gains nothing.
* Loopback, private, link-local, multicast and reserved addresses are refused, in whatever notation: mapped and
  translated IPv6 included. `webhook_networks` are the exceptions.
* No redirection is followed, no proxy of the environment used, and of an answer only the status is read.
"""

import asyncio
import ipaddress
import socket
from typing import Final

import httpx

from forecourt.csms.people_ports import Postage
from forecourt.csms.people_settings import PeopleSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last four octets are an IPv4 address."""


class HttpPostman:
    """See `csms.people_ports.Postman`. `close` it in the end."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._allowed = tuple(ipaddress.ip_network(network) for network in settings.webhook_networks)
        # Connections aren't kept: one that was proved for a name must not serve another name at the same address.
        self._client = httpx.AsyncClient(
            timeout=settings.webhook_timeout_s,
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Postage:
        """Bring it there."""
        try:
            async with asyncio.timeout(self._settings.webhook_timeout_s):
                return await self._post(httpx.URL(url), headers, body)
        except TimeoutError:
            return Postage(error="no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Postage(error=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Let go of everything."""
        await self._client.aclose()

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> Postage:
        if url.scheme != "https" and not (url.scheme == "http" and self._settings.webhook_plain):
            return Postage(error="plain http isn't allowed (webhook_plain)")
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        usable = next((address for address in addresses if self.may_go_to(address)), None)
        if usable is None:
            return Postage(error=f"{url.host} is at no public address (webhook_networks)")
        host = url.netloc.decode("ascii")
        request = self._client.build_request(
            "POST",
            url.copy_with(host=str(usable)),
            headers={**headers, "host": host, "user-agent": "forecourt"},
            content=body,
            extensions={"sni_hostname": url.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            return Postage(status=response.status_code)
        finally:
            await response.aclose()

    def may_go_to(self, address: Address) -> bool:
        """Whether it is public, or allowed."""
        plain = _plain(address)
        return any(plain in network for network in self._allowed if network.version == plain.version) or (
            plain.is_global and not plain.is_multicast and not plain.is_reserved
        )


def _plain(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one, where that is where it leads."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    inner = (address.ipv4_mapped, address.sixtofour, None if address.teredo is None else address.teredo[1])
    return next((one for one in inner if one is not None), address)
