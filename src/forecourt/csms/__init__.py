"""The CSMS: one module per capability, async functions over ports."""
