"""Books and journals in SQL."""
