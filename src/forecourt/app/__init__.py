"""Composition roots and the command line: wiring only."""
