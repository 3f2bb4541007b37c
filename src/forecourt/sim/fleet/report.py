"""What a fleet said and heard, counted at the wire.

Guarantees
* `sent` and `received` count every frame that went over the wire, by action; nothing that didn't.
* A latency is the time from a call's leaving to its answer's coming, on the protocol's clock; one that was never
  answered is counted as that, and in no histogram.
* Buckets of a histogram are a tenth of a decade wide: a percentile is right to a quarter.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import IO, Final

import msgspec

from forecourt.domain.clock import Clock
from forecourt.domain.events import MeterSampled, Notice, TransactionEnded, TransactionStarted
from forecourt.domain.meter import energy_wh
from forecourt.station.effects import Effect, Send

_PER_DECADE: Final = 10
_SHORTEST_S: Final = 1e-5
_LINE: Final = msgspec.json.Encoder().encode


class Histogram:
    """Times, in buckets that grow by a tenth of a decade each."""

    __slots__ = ("_buckets", "_longest_s", "_sum_s", "count")

    def __init__(self) -> None:
        self.count = 0
        self._sum_s = 0.0
        self._longest_s = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """One time."""
        self.count += 1
        self._sum_s += seconds
        self._longest_s = max(self._longest_s, seconds)
        self._buckets[max(0, math.ceil(math.log10(max(seconds, _SHORTEST_S) / _SHORTEST_S) * _PER_DECADE))] += 1

    def view(self) -> "Latency":
        """As the report shows it."""
        return Latency(
            count=self.count,
            mean_s=round(self._sum_s / self.count, 6) if self.count else 0.0,
            p50_s=self._percentile(0.50),
            p90_s=self._percentile(0.90),
            p99_s=self._percentile(0.99),
            max_s=round(self._longest_s, 6),
            buckets={f"{_bound_s(bucket):.3g}": count for bucket, count in sorted(self._buckets.items())},
        )

    def _percentile(self, share: float) -> float:
        """The upper bound of the bucket that holds it; never more than the longest."""
        left = math.ceil(self.count * share)
        for bucket, count in sorted(self._buckets.items()):
            left -= count
            if left <= 0:
                return round(min(_bound_s(bucket), self._longest_s), 6)
        return 0.0


def _bound_s(bucket: int) -> float:
    return float(_SHORTEST_S * 10.0 ** (bucket / _PER_DECADE))


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took, in seconds. `buckets`: how many by the bucket's upper bound."""

    count: int
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float
    buckets: dict[str, int]


class ActionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls of one action."""

    sent: int
    answered: int
    errors: dict[str, int]
    """Refused by the CSMS, by error code."""
    unanswered: int
    """Neither answered nor refused before the connection, or the run, ended."""
    latency: Latency


class Booking(msgspec.Struct, kw_only=True):
    """One transaction in the station's own books: what a CSMS should have, too."""

    station_id: str
    transaction_id: str
    evse_id: int
    id_token: str | None
    started_at: datetime
    start_wh: float
    last_wh: float
    ended: bool = False
    reason: str | None = None


class FleetReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    stations: int
    duration_s: float
    """Real seconds."""
    connected_most: int
    connections: int
    """How often a station connected."""
    accepted: int
    """Stations that the CSMS has registered at the end."""
    frames_sent: int
    frames_received: int
    bytes_sent: int
    bytes_received: int
    calls: dict[str, ActionReport]
    """By action: what the stations said."""
    answers_sent: int
    errors_sent: int
    requests_received: dict[str, int]
    """By action: what the CSMS asked."""
    answers_received_late: int
    """To no call that was open."""
    transactions_started: int
    transactions_ended: int
    waiting: int
    """Messages of transactions that were not delivered by the end."""
    set_aside: int
    """Messages of transactions that the CSMS refused for good."""
    energy_wh: float
    """Of all transactions, by the stations' meters."""
    cpu_s: float
    """Of this process."""
    memory_per_station_bytes: int | None
    """What this process grew by for each station; None where it can't be known."""
    transactions: tuple[Booking, ...]


class Ledger:
    """Everything that a fleet's stations said and heard."""

    def __init__(
        self, clock: Clock, record: IO[bytes] | None = None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """`record`: gets every frame as a line of JSON. `seconds`: the protocol's clock, for latencies."""
        self.clock = clock
        self.seconds = seconds
        self.frames_sent = self.frames_received = self.bytes_sent = self.bytes_received = 0
        self.answers_sent = self.errors_sent = self.late = self.connections = 0
        self.connected = self.connected_most = 0
        self.sent: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.errors: dict[str, Counter[str]] = {}
        self.latencies: dict[str, Histogram] = {}
        self.bookings: dict[tuple[str, str], Booking] = {}
        self._record = record

    def line(self, station_id: str, direction: str, frame: bytes) -> None:
        """Record a frame, if frames are recorded."""
        if self._record is not None:
            entry = {
                "at": self.clock.now().at,
                "station": station_id,
                "direction": direction,
                "frame": frame.decode(errors="replace"),
            }
            self._record.write(_LINE(entry) + b"\n")

    def answered(self, action: str, after_s: float) -> None:
        """A call has its answer."""
        histogram = self.latencies.get(action)
        if histogram is None:
            histogram = self.latencies[action] = Histogram()
        histogram.add(after_s)

    def refused(self, action: str, code: str) -> None:
        """A call was answered with an error."""
        self.errors.setdefault(action, Counter())[code] += 1

    def calls(self) -> dict[str, ActionReport]:
        """By action."""
        reports = {}
        for action, sent in sorted(self.sent.items()):
            latency = self.latencies.get(action, Histogram())
            errors = self.errors.get(action, Counter())
            reports[action] = ActionReport(
                sent=sent,
                answered=latency.count,
                errors=dict(sorted(errors.items())),
                unanswered=sent - latency.count - errors.total(),
                latency=latency.view(),
            )
        return reports


class Tally:
    """One station's share in the ledger: an `edge.Observer`."""

    __slots__ = ("_ledger", "_open", "station_id")

    def __init__(self, ledger: Ledger, station_id: str) -> None:
        self.station_id = station_id
        self._ledger = ledger
        self._open: dict[bytes, tuple[str, float]] = {}

    def connected(self) -> None:
        """A new connection: nobody answers the calls of the last one any more."""
        ledger = self._ledger
        ledger.connections += 1
        ledger.connected += 1
        ledger.connected_most = max(ledger.connected_most, ledger.connected)
        self._open.clear()

    def closed(self) -> None:
        """The connection is gone."""
        self._ledger.connected -= 1

    def sent(self, frame: bytes) -> None:
        """It went over the wire."""
        ledger = self._ledger
        ledger.frames_sent += 1
        ledger.bytes_sent += len(frame)
        kind = frame[1:2]
        if kind == b"2":
            _, message_id, _, action, _ = frame.split(b'"', 4)  # our own frames: ids and actions need no escapes
            name = action.decode()
            ledger.sent[name] += 1
            self._open[message_id] = (name, ledger.seconds())
        elif kind == b"3":
            ledger.answers_sent += 1
        else:
            ledger.errors_sent += 1
        ledger.line(self.station_id, "sent", frame)

    def received(self, frame: bytes) -> None:
        """It came over the wire."""
        ledger = self._ledger
        ledger.frames_received += 1
        ledger.bytes_received += len(frame)
        parts = frame.split(b'"', 4)
        kind = parts[0].strip(b" \t\r\n[,")
        if kind == b"2":
            ledger.requests[parts[3].decode(errors="replace") if len(parts) > 3 else "?"] += 1
        else:
            call = self._open.pop(parts[1], None) if len(parts) > 1 else None
            if call is None:
                ledger.late += 1
            elif kind == b"3":
                ledger.answered(call[0], ledger.seconds() - call[1])
            else:
                ledger.refused(call[0], parts[3].decode(errors="replace") if len(parts) > 3 else "?")
        ledger.line(self.station_id, "received", frame)

    def note(self, effect: Effect) -> None:
        """Keep the station's own books: from what its core has said for good."""
        if not isinstance(effect, Send) or not isinstance(effect.call, Notice):
            return
        bookings = self._ledger.bookings
        for event in effect.call.events:
            match event:
                case TransactionStarted(transaction_id=str(own_id)):
                    start_wh = energy_wh(event.meter_values) or 0.0
                    bookings.setdefault(
                        (self.station_id, own_id),
                        Booking(
                            station_id=self.station_id,
                            transaction_id=own_id,
                            evse_id=event.evse_id,
                            id_token=None if event.id_token is None else event.id_token.value,
                            started_at=event.at,
                            start_wh=start_wh,
                            last_wh=start_wh,
                        ),
                    )
                case MeterSampled(transaction_id=str(own_id)) if (self.station_id, own_id) in bookings:
                    booking = bookings[self.station_id, own_id]
                    booking.last_wh = max(booking.last_wh, energy_wh(event.meter_values) or 0.0)
                case TransactionEnded() if (self.station_id, event.transaction_id) in bookings:
                    booking = bookings[self.station_id, event.transaction_id]
                    booking.last_wh = max(booking.last_wh, energy_wh(event.meter_values) or 0.0)
                    booking.ended, booking.reason = True, event.reason.value
                case _:
                    pass


def for_a_person(report: FleetReport) -> str:
    """The report as text."""
    total_cpu = report.cpu_s / max(report.duration_s, 1e-9)
    each = report.memory_per_station_bytes
    lines = [
        (
            f"{report.stations} stations in {report.duration_s:.0f} s, at most {report.connected_most} connected, "
            f"{report.accepted} accepted at the end; {report.connections} connections"
        ),
        (
            f"{report.frames_sent} frames sent ({report.bytes_sent / 1e6:.2f} MB), "
            f"{report.frames_received} received ({report.bytes_received / 1e6:.2f} MB)"
        ),
        (
            f"{report.transactions_started} transactions started, {report.transactions_ended} ended, "
            f"{report.energy_wh / 1000:.1f} kWh; {report.waiting} messages waiting, {report.set_aside} set aside"
        ),
        f"{report.cpu_s:.1f} s of processor time, {total_cpu:.0%} of one"
        + ("" if each is None else f"; {each / 1024:.0f} KiB for each station"),
        "",
        (
            f"{'action':<28}{'sent':>9}{'answered':>10}{'errors':>8}{'open':>7}"
            f"{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'max ms':>9}"
        ),
    ]
    for action, calls in report.calls.items():
        times = calls.latency
        numbers = "".join(f"{time_s * 1000:>9.1f}" for time_s in (times.p50_s, times.p90_s, times.p99_s, times.max_s))
        errors = sum(calls.errors.values())
        lines.append(f"{action:<28}{calls.sent:>9}{calls.answered:>10}{errors:>8}{calls.unanswered:>7}{numbers}")
    for action, calls in report.calls.items():
        lines += [f"  {action}: {code}, {count} times" for code, count in calls.errors.items()]
    if report.requests_received:
        asked = ", ".join(f"{action} {count} times" for action, count in report.requests_received.items())
        lines += ["", f"The CSMS asked {asked}; {report.answers_sent} answered, {report.errors_sent} refused"]
    return "\n".join(lines)
