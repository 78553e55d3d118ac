"""What can be wrong with a configuration."""

from ..images import EtendueError


class ConfigError(EtendueError, ValueError):
    """A chain, its variables or the arguments of a command are wrong: nothing has been run.

    The message has one line for each problem, like a compiler's.
    """
