"""What waits for the writer: who has asked goes first, each lane in its order, and nobody waits for ever."""

import threading
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from forecourt.store.lanes import MOST, Lanes
from forecourt.store.writer import Job

NEVER_S = 3600.0
"""Far beyond a test's time limit."""


def job(name: str) -> Job:
    return Job(lambda _books: name, nobody)


def nobody(_result: Any, _error: BaseException | None) -> None:
    """Who doesn't wait."""


def names(jobs: list[Job] | None) -> list[str]:
    assert jobs is not None
    return [each.unit(None) for each in jobs]  # type: ignore[arg-type] # what is asked for here needs no books


def test_who_asks_goes_before_a_storm_and_the_storm_goes_on() -> None:
    lanes = Lanes()
    for number in range(2000):
        lanes.tell(job(f"told {number}"))
    lanes.ask(job("asked"))
    assert names(lanes.take(None)) == ["asked"]
    assert names(lanes.take(None))[0] == "told 0"
    for turn in range(3):
        lanes.ask(job(f"again {turn}"))
        assert names(lanes.take(None)) == [f"again {turn}"]
        lanes.ask(job(f"more {turn}"))
        assert names(lanes.take(None))[0].startswith("told"), "stations have their turn too"
        assert names(lanes.take(None)) == [f"more {turn}"]
        assert names(lanes.take(None))[0].startswith("told")


def test_commits_are_small_while_somebody_asks_and_large_else() -> None:
    lanes = Lanes()
    for number in range(3 * MOST):
        lanes.tell(job(str(number)))
    assert len(names(lanes.take(None))) == MOST
    lanes.ask(job("asked"))
    lanes.take(None)
    assert 0 < len(names(lanes.take(None))) < MOST / 2


def test_few_of_stations_share_the_commit() -> None:
    lanes = Lanes()
    lanes.tell(job("told"))
    lanes.ask(job("asked"))
    assert sorted(names(lanes.take(None))) == ["asked", "told"]


def test_more_is_waited_for_unless_somebody_asks_or_there_is_enough() -> None:
    lanes = Lanes()
    lanes.tell(job("told"))
    began_s = time.monotonic()
    lanes.gather(0.05)
    assert time.monotonic() - began_s >= 0.05
    asking = threading.Timer(0.01, lanes.ask, [job("asked")])
    asking.start()
    lanes.gather(NEVER_S)  # until somebody asks
    lanes.gather(NEVER_S)  # while somebody waits
    asking.join()
    assert sorted(names(lanes.take(None))) == ["asked", "told"]
    for number in range(MOST):
        lanes.tell(job(str(number)))
    lanes.gather(NEVER_S)
    lanes.take(None)
    closing = threading.Timer(0.01, lanes.close)
    closing.start()
    lanes.gather(NEVER_S)
    closing.join()


def test_nothing_in_time_is_nothing() -> None:
    assert Lanes().take(0.001) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=30), st.integers(0, 20))
def test_all_of_it_comes_out_once_and_in_its_order(puts: list[tuple[bool, int]], first: int) -> None:
    lanes = Lanes()
    told, asked = [], []
    out: list[str] = []
    for turn, (is_asked, count) in enumerate(puts):
        for number in range(count):
            name = f"{turn} {number}"
            if is_asked:
                asked.append(name)
                lanes.ask(job(name))
            else:
                told.append(name)
                lanes.tell(job(name))
        if turn < first:
            out += names(lanes.take(None))
    lanes.close()
    while (jobs := lanes.take(None)) is not None:
        out += names(jobs)
    assert [name for name in out if name in set(told)] == told
    assert [name for name in out if name in set(asked)] == asked
    assert len(out) == len(told) + len(asked)
    assert lanes.take(None) is None
