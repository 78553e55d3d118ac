"""The daemon: sources, a queue that loses nothing, workers, and nights."""
