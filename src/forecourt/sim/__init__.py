"""Worlds to run the roles in: virtual time, links that fail, recorded sessions, and a site's true currents."""
