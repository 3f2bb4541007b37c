"""Who gets how much: pure, and the same for a site and for a load group."""
