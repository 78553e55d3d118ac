"""Master frames: made of raw ones, with what is known of them."""

from .making import dark_current, master_bias, master_dark, master_flat

__all__ = ["dark_current", "master_bias", "master_dark", "master_flat"]
