"""What can be wrong with an image, and whether trying again may help."""


class EtendueError(Exception):
    """Root of every error that Etendue raises on purpose."""


class ImageError(EtendueError, ValueError):
    """This image cannot be processed: trying again will not help."""


class TransientError(EtendueError):
    """Something around the image failed (network, disk, service): it may work later."""
