"""Who asks things of stations meanwhile, and who listens to what happens: through the API, remembering each answer."""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import httpx
from tools.survival.stations import Station, Tally

PROBES_AT_ONCE: Final = 8
PROBE_PATIENCE_S: Final = 20.0
COMMAND_TIMEOUT_S: Final = 10
_UNFINISHED: Final = ("queued", "sent")


class Operators:
    """A driver of commands, a prober of stations that have just come back, and a listener to events."""

    def __init__(self, api: str, key: str, stations: Sequence[Station], tally: Tally) -> None:
        self.said_of: dict[str, str] = {}
        """By the id of each command that was answered: what it tells the station."""
        self.told: dict[str, str] = {}
        """By the same: the state that the answer gave, where it was final."""
        self.statuses: Counter[int] = Counter()
        """How the API answered; 0: not at all."""
        self.latencies_s: list[float] = []
        """From the request to the station's word, of those that were accepted."""
        self.heard: list[int] = []
        """Ids of events, as they came."""
        self.kinds: Counter[tuple[str, int]] = Counter()
        """Events of transactions by type and transaction's number."""
        self._stations = stations
        self._tally = tally
        self._chance = random.Random(1)
        limits = httpx.Limits(max_connections=50, max_keepalive_connections=20)
        headers = {"authorization": f"Bearer {key}"}
        self._client = httpx.AsyncClient(
            base_url=f"{api}/api/v1", headers=headers, timeout=40.0, limits=limits, trust_env=False
        )
        self._last_id = 0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def command(self, station: Station, *, wait_s: float = 0.0, said: str = "") -> str | None:
        """Tell a station something; the state of the command as the API answers it, None: no answer."""
        said = said or uuid.uuid4().hex
        begun_s = time.monotonic()
        try:
            response = await self._client.post(
                f"/stations/{station.name}/ocpp/DataTransfer",
                params={"timeout_s": COMMAND_TIMEOUT_S},
                json={"vendorId": "survival", "data": said},
                headers={"prefer": f"wait={wait_s:g}"} if wait_s else {},
            )
            answer = response.json()
        except (httpx.HTTPError, ValueError):
            self.statuses[0] += 1
            return None
        self.statuses[response.status_code] += 1
        if response.status_code not in {200, 202, 409} or "id" not in answer:
            return None
        self.said_of[answer["id"]] = said
        state = str(answer["state"])
        if state not in _UNFINISHED:
            self.told[answer["id"]] = state
        if state == "accepted":
            self.latencies_s.append(time.monotonic() - begun_s)
        return state

    async def command_all_the_time(self, pause_s: float) -> None:
        """Ask something of any station, again and again."""
        while True:
            await self.command(self._chance.choice(self._stations), wait_s=self._chance.choice((0.0, 5.0)))
            await asyncio.sleep(pause_s * self._chance.uniform(0.5, 1.5))

    async def probe(self, connected: "asyncio.Queue[Station]") -> None:
        """Reach those who have just come back, as soon as they have."""
        while True:
            station = await connected.get()
            begun_s = station.served_at_s
            if begun_s is None or time.monotonic() - begun_s > 0.2:
                continue  # there were too many to look at all
            while station.served_at_s == begun_s:
                said = uuid.uuid4().hex
                state = await self.command(station, said=said)
                if state is not None and state != "offline" and await station.arrival(said, 5.0):
                    self._tally.reached_s.append(time.monotonic() - begun_s)
                    break
                if state is None and self.statuses[0]:
                    await asyncio.sleep(0.2)  # the API is away: nothing is said about the station
                    if time.monotonic() - begun_s > PROBE_PATIENCE_S:
                        break
                    continue
                if time.monotonic() - begun_s > PROBE_PATIENCE_S:
                    self._tally.unreached += 1
                    break
                await asyncio.sleep(0.05)

    async def listen(self) -> None:
        """To the event stream, from the beginning, and on from the last after each loss."""
        while True:
            headers = {"last-event-id": str(self._last_id)}
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                async with asyncio.timeout(600):
                    async with self._client.stream("GET", "/events", headers=headers, timeout=35.0) as stream:
                        async for line in stream.aiter_lines():
                            if line.startswith("data:"):
                                self._hear(json.loads(line[5:]))
            await asyncio.sleep(0.5)

    def _hear(self, event: dict[str, Any]) -> None:
        if event.get("id") is None:
            return
        self.heard.append(event["id"])
        self._last_id = max(self._last_id, event["id"])
        if event["type"] in {"transaction.started", "transaction.ended"}:
            self.kinds[event["type"], event["body"]["transaction"]["number"]] += 1
