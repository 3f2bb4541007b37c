"""The local controller's brain, pure: what to let through, who may draw what, and in which order to say so."""
