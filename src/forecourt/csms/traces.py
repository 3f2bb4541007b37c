"""Traces (OpenTelemetry): from a request of the API through the bus to the frame, and to the station's answer.

Guarantees
* Without an SDK that is set up nothing is recorded, and next to nothing done.
* Only what is asked of stations is traced, not what they say by themselves: that is for `measures`.
* Spans bear names and ids, never payloads, tokens or passwords.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

NAME: Final = "forecourt"

Carrier = dict[str, str]
"""What tells another process which span is the parent (W3C Trace Context)."""


@contextmanager
def span(
    name: str, kind: SpanKind, attributes: Mapping[str, str], carrier: Mapping[str, str] | None = None
) -> Iterator[Span]:
    """The current span until the context is left. `carrier`: whose child it is, where that is elsewhere."""
    parent = None if carrier is None else propagate.extract(carrier)
    tracer = trace.get_tracer(NAME)
    with tracer.start_as_current_span(name, context=parent, kind=kind, attributes=dict(attributes)) as current:
        yield current


def carrier() -> Carrier:
    """Of the current span; empty: there is none."""
    found: Carrier = {}
    propagate.inject(found)
    return found


def begin(name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]) -> Span | None:
    """A span that `end` ends; None: nobody records its parent."""
    if not carrier:
        return None
    tracer = trace.get_tracer(NAME)
    parent = propagate.extract(carrier)
    return tracer.start_span(name, context=parent, kind=SpanKind.CLIENT, attributes=dict(attributes))


def end(begun: Span | None, outcome: str, *, well: bool) -> None:
    """It is over."""
    if begun is not None:
        begun.set_attribute("forecourt.outcome", outcome)
        if not well:
            begun.set_status(StatusCode.ERROR, outcome)
        begun.end()
