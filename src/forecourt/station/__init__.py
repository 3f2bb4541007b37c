"""The charging station's brain: pure, one turn at a time.

`station.Station` is the whole; `inputs` is what it can be told, `effects` what it asks for, `ports` what it needs.
"""
