"""Values over time from a file or an HTTP endpoint: day-ahead prices, carbon intensity, a forecast of sunshine.

Guarantees
* Two shapes are read. CSV: a header `time,value` (any name for the second), a row for each step, times with their
  offset from UTC. JSON: `[{"start": "2026-03-02T00:00:00+01:00", "value": 0.2841}, …]`, or an object with such a list
  under `rates`, `prices`, `data` or `result` (`price` may stand for `value`, and Unix milliseconds for times:
  `start_timestamp` with `marketprice`, as the awattar API has it).
* What is wrong tells where; then the values from before go on being used.
* A file is read again when it has changed, an endpoint at its interval, with its ETag.
"""

import csv
import io
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import msgspec

from forecourt.controller.outlook import Curve

log = logging.getLogger(__name__)

_LISTS: Final = ("rates", "prices", "data", "result")
_TIMES: Final = ("start", "time", "start_timestamp")
_VALUES: Final = ("value", "price", "marketprice")
_LARGEST: Final = 4 * 1024 * 1024


class FeedError(ValueError):
    """Values over time that can't be read; the text says why."""


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where values over time come from. Read from `[prices]`, `[carbon]`, `[pv_forecast]`, `[base_load]`."""

    file: str | None = None
    """Relative to the site's file."""
    url: Annotated[str, msgspec.Meta(pattern="^https?://")] | None = None
    headers: dict[str, str] = {}
    """Sent with the request: a key, if one is asked for."""
    constant: float | None = None
    """Always the same."""
    scale: float = 1.0
    """What a value is to be multiplied by: 0.01 for cents, 0.001 for prices per MWh or grams of carbon."""
    add: float = 0.0
    """Added to each value after that: taxes and grid charges on top of an exchange's price."""
    interval_s: Annotated[float, msgspec.Meta(gt=0)] = 900.0

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.file, self.url, self.constant)) != 1:
            raise ValueError("expected one of file, url and constant")

    def __repr__(self) -> str:
        return f"Feed(file={self.file!r}, url={self.url!r})"  # never the headers: they may hold a key

    def beside(self, folder: Path) -> "Feed":
        """With a path that is relative to `folder` made absolute."""
        return self if self.file is None else msgspec.structs.replace(self, file=str(folder / self.file))


class FeedReader:
    """One feed, read again and again."""

    def __init__(self, feed: Feed, name: str, client: httpx.AsyncClient) -> None:
        self._feed = feed
        self._name = name
        self._client = client
        self._etag: str | None = None
        self._changed_ns: int | None = None
        self._failing = False

    async def read(self, take: Callable[[Curve], None]) -> None:
        """Look once; what is new is handed to `take`. Never raises for what a feed says."""
        try:
            curve = await self._look()
        except (FeedError, OSError, httpx.HTTPError) as error:
            if not self._failing:
                log.warning("%s: %s", self._name, str(error) or type(error).__name__)
            self._failing = True
            return
        if self._failing:
            log.info("%s: can be read again", self._name)
        self._failing = False
        if curve is not None:
            take(curve)

    async def _look(self) -> Curve | None:
        feed = self._feed
        if feed.constant is not None:
            known, self._changed_ns = self._changed_ns, 0
            value = feed.constant * feed.scale + feed.add
            return None if known is not None else Curve.constant(value, datetime.fromtimestamp(0, UTC))
        if feed.file is not None:
            path = Path(feed.file)  # a small one, on this machine
            changed_ns = path.stat().st_mtime_ns  # noqa: ASYNC240
            if changed_ns == self._changed_ns:
                return None
            self._changed_ns = changed_ns
            return curve_of(path.read_bytes(), feed)  # noqa: ASYNC240
        assert feed.url is not None
        headers = dict(feed.headers)
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        answer = await self._client.get(feed.url, headers=headers, follow_redirects=True)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return None
        answer.raise_for_status()
        if len(answer.content) > _LARGEST:
            raise FeedError(f"more than {_LARGEST} bytes")
        curve = curve_of(answer.content, feed)
        self._etag = answer.headers.get("etag")
        return curve


def curve_of(raw: bytes, feed: Feed) -> Curve:
    """The values in a file or an answer. FeedError if they can't be read."""
    text = raw.decode("utf-8-sig", errors="replace").strip()
    steps = _json(text) if text[:1] in ("[", "{") else _csv(text)
    steps.sort(key=lambda step: step[0])
    try:
        return Curve([at for at, _ in steps], [value * feed.scale + feed.add for _, value in steps])
    except ValueError as error:
        raise FeedError(str(error)) from error


def _csv(text: str) -> list[tuple[datetime, float]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if len(header) != 2 or header[0].strip().lower() not in _TIMES:
        raise FeedError(f"line 1: expected the columns time and value, got {','.join(header)[:60]!r}")
    found = []
    for cells in rows:
        if cells:
            if len(cells) != 2:
                raise FeedError(f"line {rows.line_num}: expected 2 fields, found {len(cells)}")
            where = f"line {rows.line_num}"
            found.append((_time(cells[0], where), _number(cells[1], where)))
    return found


def _json(text: str) -> list[tuple[datetime, float]]:
    try:
        tree: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FeedError(f"not JSON: {error}") from error
    if isinstance(tree, dict):
        tree = next((tree[name] for name in _LISTS if isinstance(tree.get(name), list)), None)
    if not isinstance(tree, list):
        raise FeedError(f"expected a list, or an object with one under {', '.join(_LISTS)}")
    found = []
    for index, entry in enumerate(tree):
        if not isinstance(entry, dict):
            raise FeedError(f"[{index}]: expected an object")
        at = next((entry[name] for name in _TIMES if name in entry), None)
        value = next((entry[name] for name in _VALUES if name in entry), None)
        if at is None or value is None:
            raise FeedError(f"[{index}]: expected start and value")
        found.append((_time(at, f"[{index}]"), _number(value, f"[{index}]")))
    return found


def _time(value: object, where: str) -> datetime:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000.0 if value > 1e11 else value, UTC)
        at = datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        at = None
    if at is None or at.tzinfo is None:
        raise FeedError(f"{where}: expected a time with its offset from UTC, got {str(value)[:40]!r}")
    return at


def _number(value: object, where: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FeedError(f"{where}: expected a number, got {str(value)[:40]!r}")
    return number
