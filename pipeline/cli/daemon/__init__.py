"""Commands of the daemon: `serve`, `reload`, `token` and `queue`; :mod:`.plan` is what `serve --check` says."""
