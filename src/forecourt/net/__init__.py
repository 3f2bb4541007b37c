"""Sockets, and the loops that drive the pure cores."""
