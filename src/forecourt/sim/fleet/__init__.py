"""Thousands of stations in one process: the very stations that production runs, with drivers, faults and a report."""
