"""OCPP-J: knows frames, knows no action."""
