"""The control API of a simulated station: what a hand would do to its hardware, and what an eye would see."""
