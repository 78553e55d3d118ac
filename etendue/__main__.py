"""``python -m etendue`` is the command ``etendue``."""

from .pipeline.cli import main

if __name__ == "__main__":
    main()
