"""Typed OCPP messages: generated from the official schemas (`v16`, `v201`, `v21`), read and written by `codec`."""
