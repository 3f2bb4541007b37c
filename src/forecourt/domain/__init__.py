"""The vocabulary that the three roles share, and the pure rules on it. Speaks the terms of OCPP 2.x.

Everything here is an immutable value. Datetimes are timezone-aware UTC. Names on the wire of any OCPP version are
none of this room's business: the dialect translates.
"""
