"""The web console: pages for a browser, served beside the API."""
