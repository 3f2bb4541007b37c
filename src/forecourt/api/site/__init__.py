"""The administration of a running local controller: an API and a page."""
