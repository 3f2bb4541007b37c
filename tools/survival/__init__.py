"""Breaking a CSMS of several processes on this machine, and finding out what became of what it had promised."""
