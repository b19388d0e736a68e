"""Networks as data: the description of a network and its reader (no torch here)."""
