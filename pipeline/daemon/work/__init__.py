"""The daemon's work: worker processes, and how what they make gets into its place exactly once."""
