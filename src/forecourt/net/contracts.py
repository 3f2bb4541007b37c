"""The ways to OCSP responders and to who issues contracts' certificates, by HTTP.

Guarantees
* Only responders are asked whose address begins with one that the operator has named: a station names addresses, too,
  and must not make the CSMS reach for them. No redirection is followed, no proxy of the environment used.
* An answer is kept until it is over, an hour at most, so that many cars at once ask once.
* Nothing waits longer than `timeout_s`, and nothing larger than a certificate can be is read.
"""

import time
from typing import Final

import httpx
import msgspec
from cryptography.x509 import ocsp

from forecourt.csms.contract_ports import ContractUnavailable, ResponderUnavailable
from forecourt.domain.certificate import ContractAction

_LARGEST: Final = 65_536
_LONGEST_KEPT_S: Final = 3600.0
_MOST_KEPT: Final = 10_000
_LONGEST_EXI: Final = 5600


class HttpResponder:
    """See `csms.contract_ports.Responder`. `close` it in the end."""

    def __init__(self, allowed: tuple[str, ...], *, timeout_s: float = 5.0) -> None:
        """`allowed`: addresses that responders' addresses must begin with."""
        self._allowed = tuple(httpx.URL(one) for one in allowed)
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False)
        self._kept: dict[tuple[str, bytes], tuple[float, bytes]] = {}

    async def ask(self, url: str, request: bytes) -> bytes:
        """Ask, or remember what was said."""
        key = (url, request)
        until_s, kept = self._kept.get(key, (0.0, b""))
        if time.monotonic() < until_s:
            return kept
        if not self._may_ask(url):
            raise ResponderUnavailable("it is none of the responders that may be asked (contracts.responders)")
        content = await self._post(url, request)
        self._keep(key, content)
        return content

    async def close(self) -> None:
        """Let go of everything."""
        await self._client.aclose()

    def _may_ask(self, url: str) -> bool:
        try:
            asked = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        return any(
            (asked.scheme, asked.host, asked.port) == (one.scheme, one.host, one.port)
            and asked.path.startswith(one.path)
            for one in self._allowed
        )

    async def _post(self, url: str, request: bytes) -> bytes:
        headers = {"content-type": "application/ocsp-request", "accept": "application/ocsp-response"}
        try:
            async with self._client.stream("POST", url, content=request, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise ResponderUnavailable(f"it answered {answer.status_code}")
                content = b""
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > _LARGEST:
                        raise ResponderUnavailable("its answer is too large")
                return content
        except httpx.HTTPError as error:
            raise ResponderUnavailable(f"{type(error).__name__}: {error}") from error

    def _keep(self, key: tuple[str, bytes], content: bytes) -> None:
        try:
            response = ocsp.load_der_ocsp_response(content)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL or response.next_update_utc is None:
                return
            rest_s = response.next_update_utc.timestamp() - time.time()
        except ValueError:
            return
        if rest_s > 0:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (time.monotonic() + min(rest_s, _LONGEST_KEPT_S), content)


class _Given(msgspec.Struct, frozen=True):
    exi_response: str = msgspec.field(name="exiResponse")


class HttpContractProvider:
    """See `csms.contract_ports.ContractProvider`: JSON by POST. `close` it in the end.

    The body has `stationId`, `iso15118SchemaVersion`, `action` and `exiRequest`, named and meant as in OCPP; the
    answer, with status 200, has `exiResponse`.
    """

    def __init__(self, url: str, *, bearer: str | None = None, timeout_s: float = 20.0) -> None:
        self._url = url
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False, headers=headers)

    async def answer(self, station_id: str, schema_version: str, action: ContractAction, exi_request: str) -> str:
        """Pass it on."""
        body = {
            "stationId": station_id,
            "iso15118SchemaVersion": schema_version,
            "action": action.value,
            "exiRequest": exi_request,
        }
        try:
            answer = await self._client.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise ContractUnavailable(f"{type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise ContractUnavailable(f"it answered {answer.status_code}")
        try:
            given = msgspec.json.decode(answer.content, type=_Given).exi_response
        except msgspec.DecodeError as error:
            raise ContractUnavailable(f"its answer can't be read: {error}") from error
        if len(given) > _LONGEST_EXI:
            raise ContractUnavailable("its answer is too long for a station")
        return given

    async def close(self) -> None:
        """Let go of everything."""
        await self._client.aclose()
