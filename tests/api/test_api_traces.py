"""One trace from a request of the API through the bus to the frame and the station's answer."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.api.houses import House

ANCESTOR = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return found


async def test_a_command_is_one_trace(house: House, recorded: InMemorySpanExporter) -> None:
    async with house.station("CS1"):
        response = await house.client.post(
            "/api/v1/commands/CLEAR_CACHE",
            json={"station_id": "CS1"},
            headers={"prefer": "wait=10", "traceparent": f"00-{ANCESTOR}-b7ad6b7169203331-01"},
        )
        assert response.json()["state"] == "accepted"
    request, command, call = (named(recorded, name) for name in ("API POST", "command ClearCache", "ocpp ClearCache"))
    assert request.parent is not None
    assert f"{request.parent.trace_id:032x}" == ANCESTOR
    assert command.parent is not None
    assert request.context is not None
    assert command.parent.span_id == request.context.span_id
    assert call.parent is not None
    assert command.context is not None
    assert call.parent.span_id == command.context.span_id
    assert call.attributes is not None
    assert call.attributes["forecourt.station"] == "CS1"
    assert call.attributes["forecourt.outcome"] == "answered"
    assert call.attributes["ocpp.message_id"]


async def test_what_a_station_says_by_itself_is_no_trace(house: House, recorded: InMemorySpanExporter) -> None:
    async with house.station("CS1") as station:
        await station.call("Heartbeat", {})
    assert not recorded.get_finished_spans()
