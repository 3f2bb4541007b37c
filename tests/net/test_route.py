"""Which address is tried next."""

from hypothesis import given
from hypothesis import strategies as st

from forecourt.net.route import Route


def test_b10_each_address_has_its_attempts_and_then_the_next_one_s_turn() -> None:
    route = Route(attempts=2)
    seen = []
    for _ in range(7):
        where = route.index(3)
        seen.append((where, *route.failed(3)))
    assert [where for where, _, _ in seen] == [0, 0, 1, 1, 2, 2, 0]
    assert [at_once for _, at_once, _ in seen] == [False, True, False, True, False, False, False]
    assert [all_failed for _, _, all_failed in seen] == [False] * 5 + [True, False]


def test_a_lost_connection_is_made_again_where_it_was() -> None:
    route = Route(attempts=1)
    route.failed(2)
    route.worked()
    assert route.index(2) == 1
    assert route.failed(2) == (True, False), "the other has not had its turn"
    assert route.index(2) == 0


def test_the_way_back_tries_what_is_preferred_once_and_returns() -> None:
    route = Route(attempts=1)
    assert not route.go_back(), "it is there"
    route.failed(3)
    route.failed(3)
    route.worked()
    assert route.index(3) == 2
    assert route.go_back()
    tried = []
    for _ in range(2):
        tried.append(route.index(3))
        assert route.failed(3) == (True, False)
    assert [*tried, route.index(3)] == [0, 1, 2]
    route.attempts = 3
    assert route.failed(3) == (False, False), "as ever from here on"


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 40))
def test_whatever_fails_every_address_gets_its_attempts_in_each_round(
    addresses: int, attempts: int, before: int
) -> None:
    route = Route(attempts)
    for _ in range(before):
        route.failed(addresses)
    while not route.failed(addresses)[1]:
        pass
    tried = []
    while True:
        tried.append(route.index(addresses))
        if route.failed(addresses)[1]:
            break
    assert sorted(tried) == sorted(list(range(addresses)) * attempts)
