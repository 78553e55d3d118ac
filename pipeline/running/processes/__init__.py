"""Worker processes: the parent's side (process) and their own (worker, streams), and what goes between them."""
