"""What stands behind a station's core: simulated EVSEs and the cars at them."""
