"""Decisions come out again from what was written down of them."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from forecourt.allocation.demand import NodeLimit
from forecourt.app.main import app
from forecourt.controller.by_hand import BY_HAND
from forecourt.controller.decision_record import FULL_EVERY, LogError, replay
from forecourt.controller.effects import Decided
from forecourt.controller.limits import TimedLimit
from forecourt.controller.settings import ControllerSettings
from forecourt.store.decision_log import FILE, DecisionLog, lines_of
from tests.controller.bench import Bench, Car, Faults
from tests.controller.test_controller import make_site


def busy_hour(log: DecisionLog, bench: Bench, minutes: int = 60) -> int:
    """Cars come and go, take turns, and are limited; requests are lost and refused. How many decisions there were."""
    count = 0
    apply = bench._apply

    def noted(effects: list[object]) -> None:
        nonlocal count
        for effect in effects:
            if isinstance(effect, Decided):
                assert effect.case is not None
                log.decided(effect.case, bench.now.at)
                count += 1
        apply(effects)  # type: ignore[arg-type]

    bench._apply = noted  # type: ignore[assignment, method-assign]
    limits = bench.controller.surroundings.limits
    for point in bench.site.evses:
        bench.connect(point.station_id, boots=True)
    for minute in range(minutes):
        station_id = f"S{bench.chance.randrange(len(bench.site.evses))}"
        if bench.evse(station_id).car is None:
            bench.plug_in(station_id, Car(bench.chance.choice((10, 16, 32)), bench.chance.choice((1, 3))))
        elif bench.chance.random() < 0.4:
            bench.unplug(station_id)
        if minute % 10 == 5:
            limits.put(BY_HAND, "grid", [TimedLimit(limit=NodeLimit(power_w=9_000.0 + 1_000 * minute))])
        bench.run(60)
    log.close()
    return count


@pytest.fixture
def bench() -> Bench:
    faults = Faults(refuse=0.05, lose_request=0.05, lose_answer=0.05)
    return Bench(make_site(8, 40, circuit_a=25), ControllerSettings(), seed=7, faults=faults)


@pytest.mark.parametrize("minutes", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_a_busy_hour_comes_out_again(tmp_path: Path, bench: Bench, minutes: int) -> None:
    log = DecisionLog(tmp_path, bench.controller.recorder())
    count = busy_hour(log, bench, minutes)
    found = replay(lines_of(tmp_path / FILE))
    assert (found.decisions, found.skipped, found.differences) == (count, 0, ())
    assert count > min(4 * minutes, FULL_EVERY)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    result = CliRunner().invoke(app, ["controller", "replay", str(tmp_path / FILE)])
    assert (result.exit_code, result.output.splitlines()[1]) == (0, "every one comes out as it was")


def test_files_are_bounded_and_each_can_be_replayed(tmp_path: Path, bench: Bench) -> None:
    largest = 8_000
    log = DecisionLog(tmp_path, bench.controller.recorder(), largest_bytes=largest, files=3)
    busy_hour(log, bench, 12)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["decisions.1.jsonl", "decisions.2.jsonl", FILE]
    for file in files:
        assert file.stat().st_size < largest + 12_000
        found = replay(lines_of(file))
        assert found.decisions > 0
        assert (found.skipped, found.differences) == (0, ())


def test_another_decision_is_told_and_reaches_no_further_than_the_next_full_record(
    tmp_path: Path, bench: Bench
) -> None:
    log = DecisionLog(tmp_path, bench.controller.recorder())
    busy_hour(log, bench, 12)
    lines = list(lines_of(tmp_path / FILE))
    number = next(n for n, line in enumerate(lines) if n > 1 and msgspec.json.decode(line).get("shares"))
    told = msgspec.json.decode(lines[number])
    told["shares"][0][1] += 1.0
    told["digest"] = "0" * 16
    lines[number] = msgspec.json.encode(told)
    found = replay(lines)
    assert [one.now_s for one in found.differences] == [told["now_s"]]
    ((_, then, now),) = found.differences[0].shares
    assert then == now + 1.0
    (tmp_path / "changed").write_bytes(b"\n".join(lines))
    result = CliRunner().invoke(app, ["controller", "replay", str(tmp_path / "changed")])
    assert result.exit_code == 1
    assert f"{then:.1f} A then, {now:.1f} A now" in result.output


def test_a_log_that_was_cut_off_or_damaged_is_replayed_as_far_as_it_can_be(tmp_path: Path, bench: Bench) -> None:
    log = DecisionLog(tmp_path, bench.controller.recorder())
    busy_hour(log, bench, 12)
    lines = list(lines_of(tmp_path / FILE))
    assert replay([*lines[:50], lines[50][:40]]).skipped == 1
    assert len(lines) > 60
    damaged = replay([*lines[:50], b"{", *lines[51:]])
    assert damaged.same
    assert 0 < damaged.skipped < FULL_EVERY
    for wrong in ([], [b"{}"], [b'{"layout":1}'], lines[1:]):
        with pytest.raises(LogError):
            replay(wrong)


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[site]")
    for name in ("site.toml", "missing"):
        result = CliRunner().invoke(app, ["controller", "replay", str(tmp_path / name)])
        assert result.exit_code == 2
        assert name in result.output


def test_a_folder_that_can_t_be_written_stops_nothing(
    tmp_path: Path, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    busy_hour(DecisionLog(tmp_path / "file", bench.controller.recorder()), bench, 5)
    assert 1 <= len([record for record in caplog.records if "can't be logged" in record.message]) <= 3
