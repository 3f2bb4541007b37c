"""What the writer keeps in mind: what somebody owes is there for whoever looks, whatever is undone."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from forecourt.store.kept import Kept

KEYS = st.integers(0, 3)


class Debt:
    """Knows a number better than the books do."""

    def __init__(self, number: int) -> None:
        self.number = number

    def newest(self) -> int:
        return self.number


class Keeping(RuleBasedStateMachine):
    """Against a plain dict."""

    @initialize()
    def begin(self) -> None:
        self.kept: Kept[int, int] = Kept()
        self.truth: dict[int, int] = {}
        self.database: dict[int, int] = {}
        for key in range(4):
            self.database[key] = self.truth[key] = key
            self.kept.learn(key, key)
        self.kept.committed(keep=True)

    @rule(key=KEYS, number=st.integers(10, 99))
    def a_unit_changes(self, key: int, number: int) -> None:
        self.kept.change(key, number)
        self.truth[key] = number

    @rule(key=KEYS, number=st.integers(10, 99))
    def a_unit_fails_after_it_has_changed(self, key: int, number: int) -> None:
        steps = self.kept.steps
        self.kept.change(key, number)
        self.kept.back_to(steps)

    @rule(key=KEYS, other=KEYS, number=st.integers(10, 99))
    def a_unit_looks_changes_and_fails(self, key: int, other: int, number: int) -> None:
        steps = self.kept.steps
        assert self.kept[key] == self.truth[key]
        self.kept.change(other, number, soon=True)
        self.kept.back_to(steps)

    @rule(key=KEYS, number=st.integers(100, 999))
    def a_reading_comes(self, key: int, number: int) -> None:
        self.kept.owe(key, Debt(number))
        self.truth[key] = number

    @rule(whole=st.booleans())
    def a_batch_ends(self, whole: bool) -> None:
        for key, before, after in self.kept.take_changed(whole=whole):
            assert before == self.database[key]
            self.database[key] = after
        if whole:
            assert self.database == self.truth
            assert not self.kept.is_behind
        self.kept.committed(keep=True)

    @invariant()
    def whoever_looks_sees_the_newest(self) -> None:
        behind = [key for key in self.truth if self.database[key] != self.truth[key]]
        assert all(self.kept.get(key) == self.truth[key] for key in behind if key % 2)


TestKeeping = Keeping.TestCase
