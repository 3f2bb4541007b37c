"""`/metrics`: what the CSMS counts, in the text format of Prometheus.

Guarantees
* Asked for by whoever shows the configured token, or comes from an address of the allow-list: this machine only, unless
  the configuration says otherwise. Who comes through a proxy needs the token: its address says nothing.
* A registry of its own. Names have units; labels have few values (`csms.measures`).
* The books are asked no more than once in `FRESH_S`, however many look; without the books the rest is told.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from forecourt.api.problems import Refused
from forecourt.api.settings import ApiSettings
from forecourt.csms.measures import Histogram
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.records import ConnectorView

PATH: Final = "/metrics"
FRESH_S: Final = 15.0
_TEXT: Final = CONTENT_TYPE_LATEST.partition("; charset=")[0]
"""The answer names the character set itself; a media type that has it twice is none (RFC 9110 §8.3.1)."""
_PATIENCE_S: Final = 3.0
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Exposition(Collector):
    """Makes families of what is counted."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stations: dict[bool, int] = {}
        self._views: dict[ConnectorView, int] = {}
        self._looked_s: float | None = None
        self._looking = asyncio.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    async def text(self) -> bytes:
        """All of it."""
        await self._look()
        return generate_latest(self.registry)

    async def _look(self) -> None:
        async with self._looking:
            now_s = asyncio.get_running_loop().time()
            if self._looked_s is not None and now_s - self._looked_s < FRESH_S:
                return
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    found = await self._context.store.read(lambda books: books.stations.counts())
            except (StoreUnavailable, TimeoutError):
                self._stations, self._views = {}, {}
                return
            self._stations, self._views = found
            self._looked_s = now_s

    def describe(self) -> list[Metric]:
        """Nothing is registered twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family, whether or not there is anything to tell."""
        measures = self._context.measures
        calls = CounterMetricFamily(
            "forecourt_calls", "OCPP calls, by what became of them", labels=("direction", "action", "outcome")
        )
        for (direction, action, outcome), count in list(measures.calls.items()):
            calls.add_metric((direction, action, outcome.value), count)
        yield calls
        yield _histograms(
            "forecourt_call_answer_seconds",
            "From the receipt of a station's call to its answer, after the commit",
            measures.answer_s,
        )
        yield _histograms(
            "forecourt_command_answer_seconds", "From a call to a station to its answer", measures.command_s
        )
        connections = GaugeMetricFamily(
            "forecourt_connections", "Open connections of stations", labels=("protocol", "security_profile")
        )
        for (protocol, profile), count in list(measures.connections.items()):
            connections.add_metric((protocol, str(profile)), count)
        yield connections
        yield _counter("forecourt_handshakes", "Connections asked for", "outcome", measures.handshakes)
        yield _counter("forecourt_commands", "Commands brought to their end here", "state", measures.commands)
        yield _counter("forecourt_events", "Events that came of commits here", "type", measures.events)
        stations = GaugeMetricFamily("forecourt_stations", "Stations in the books", labels=("link",))
        for connected, count in self._stations.items():
            stations.add_metric(("connected" if connected else "offline",), count)
        yield stations
        views = GaugeMetricFamily("forecourt_connectors", "Connectors by their state", labels=("view",))
        for view, count in self._views.items():
            views.add_metric((view.value,), count)
        yield views
        yield from self._store()
        yield from self._bus()

    def _store(self) -> Iterator[Metric]:
        store = self._context.measures.store
        yield _histogram("forecourt_store_batch_units", "Units of work in one commit", store.batch_units)
        yield _histogram("forecourt_store_commit_seconds", "From the begin of a batch to its commit", store.commit_s)
        yield GaugeMetricFamily(
            "forecourt_store_waiting_units", "Units of work that wait for the writer", store.waiting_units
        )
        yield _counter("forecourt_store_retries", "Batches run again, by what was in the way", "trouble", store.retries)
        yield CounterMetricFamily(
            "forecourt_store_failed_units", "Units of work that could not be committed", store.failed_units
        )

    def _bus(self) -> Iterator[Metric]:
        bus = self._context.measures.bus
        yield GaugeMetricFamily("forecourt_bus_connected", "Whether the bus can be reached", int(bus.connected))
        yield _histogram("forecourt_bus_lag_seconds", "From the commit in one process to another", bus.lag_s)
        yield GaugeMetricFamily(
            "forecourt_bus_listener_behind_events", "What the slowest listener has not read", bus.most_behind
        )
        yield CounterMetricFamily("forecourt_bus_replays", "How often events were taken from the log", bus.from_log)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in list(counts.items()):
        family.add_metric((value,), count)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if bound == float("inf") else str(bound), float(count)) for bound, count in histogram.cumulated()]


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, buckets=_buckets(histogram), sum_value=histogram.total)


def _histograms(name: str, text: str, by_action: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=("action",))
    for action, histogram in list(by_action.items()):
        family.add_metric((action,), buckets=_buckets(histogram), sum_value=histogram.total)
    return family


def may_look(settings: ApiSettings, authorization: str | None, address: str | None, *, forwarded: bool) -> bool:
    """Whether these numbers are for whoever asks."""
    if settings.metrics_token is not None:
        shown = (authorization or "").encode("utf-8", "replace")
        if hmac.compare_digest(shown, f"Bearer {settings.metrics_token}".encode()):
            return True
    if address is None or forwarded:
        return False
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in ipaddress.ip_network(network) for network in settings.metrics_from)


@get(PATH, include_in_schema=False)
async def metrics(
    request: Request[Any, Any, Any],
    settings: NamedDependency[SkipValidation[ApiSettings]],
    exposition: NamedDependency[SkipValidation[Exposition]],
) -> Response[bytes]:
    forwarded = any(name in request.headers for name in _FORWARDED)
    address = None if request.client is None else request.client.host
    if not may_look(settings, request.headers.get("authorization"), address, forwarded=forwarded):
        raise Refused(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed: authorization: Bearer … (api.metrics_token)",
            headers={"www-authenticate": 'Bearer realm="forecourt metrics"'},
        )
    return Response(await exposition.text(), media_type=_TEXT, headers={"cache-control": "no-store"})
