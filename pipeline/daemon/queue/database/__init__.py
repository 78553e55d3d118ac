"""Where the queue is kept: tables, connections, transactions."""

from .transactions import Database

__all__ = ["Database"]
