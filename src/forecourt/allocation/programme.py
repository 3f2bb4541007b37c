"""A linear programme as arrays, and HiGHS, which solves it.

Guarantees
* Arrays go to the solver as they are: nothing is built term by term.
* `Solver.solve` gives an optimal solution or None; it stops after its time limit. It keeps one thread, says nothing,
  and starts from the last basis if the programme has the same shape.

This is the only place that knows the solver.
"""

from collections.abc import Sequence
from typing import NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Entries = tuple[Indices, Indices, Numbers]
"""Rows (from 0 in their block), variables, coefficients."""


class Programme:
    """Minimise the cost of variables of at least 0, under rows. Grows block by block."""

    def __init__(self) -> None:
        self.number_variables = 0
        self.number_rows = 0
        self._uppers: list[Numbers] = []
        self._costs: list[Numbers] = []
        self._row_lowers: list[Numbers] = []
        self._row_uppers: list[Numbers] = []
        self._entries: list[Entries] = []

    def variables(self, *, upper: Numbers, cost: Numbers) -> Indices:
        """More variables; their positions."""
        first = self.number_variables
        self.number_variables += len(upper)
        self._uppers.append(upper)
        self._costs.append(cost)
        return np.arange(first, self.number_variables)

    def rows(self, count: int, *, lower: Numbers, upper: Numbers, entries: Sequence[Entries]) -> Indices:
        """More rows; their positions."""
        first = self.number_rows
        self.number_rows += count
        self._row_lowers.append(lower)
        self._row_uppers.append(upper)
        self._entries += [(rows + first, variables, numbers) for rows, variables, numbers in entries]
        return np.arange(first, self.number_rows)

    def model(self) -> highspy.HighsLp:
        """For the solver."""
        rows = np.concatenate([rows for rows, _, _ in self._entries])
        variables = np.concatenate([variables for _, variables, _ in self._entries])
        numbers = np.concatenate([numbers for _, _, numbers in self._entries])
        order = np.argsort(rows, kind="stable")
        lp = highspy.HighsLp()
        lp.num_col_ = self.number_variables
        lp.num_row_ = self.number_rows
        lp.col_cost_ = np.concatenate(self._costs)
        lp.col_lower_ = np.zeros(self.number_variables)
        lp.col_upper_ = np.concatenate(self._uppers)
        lp.row_lower_ = np.concatenate(self._row_lowers)
        lp.row_upper_ = np.concatenate(self._row_uppers)
        matrix = lp.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.start_ = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.number_rows))])
        matrix.index_ = variables[order]
        matrix.value_ = numbers[order]
        return lp


class Solution(NamedTuple):
    """What the solver found."""

    values: Numbers
    duals: Numbers
    """Per row: what one more unit of it would save."""
    objective: float


class Solver:
    """HiGHS with a memory for its last basis."""

    def __init__(self, time_limit_s: float) -> None:
        self._time_limit_s = time_limit_s
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.silent()
        self._highs.setOptionValue("threads", 1)
        self._shape = (-1, -1)
        self._basis: highspy.HighsBasis | None = None

    def solve(self, programme: Programme) -> Solution | None:
        """The optimum; None if there is none, or it took too long."""
        highs = self._highs
        highs.setOptionValue("time_limit", highs.getRunTime() + self._time_limit_s)  # its clock runs on from run to run
        highs.passModel(programme.model())
        shape = (programme.number_variables, programme.number_rows)
        if self._basis is not None and shape == self._shape:
            highs.setBasis(self._basis)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            self._basis = None
            return None
        self._shape, self._basis = shape, highs.getBasis()
        solution = highs.getSolution()
        return Solution(np.array(solution.col_value), np.array(solution.row_dual), highs.getObjectiveValue())
