"""Several frames into one, and the master frames that come of it."""
