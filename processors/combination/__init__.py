"""Several frames into one, and the master frames that come of it."""

from .bad_pixels import Defect, bad_pixel_map, warm_pixels
from .combine import Combined, combine_files, combine_images
from .combine_frames import CombineFrames, FrameCount
from .comparison import Comparison, Limits, compare_masters, judged
from .masters import dark_current, master_bias, master_dark, master_flat
from .photon_transfer import PhotonTransfer, photon_transfer
from .preparation import Preparation
from .rule import Rule

__all__ = [
    "CombineFrames",
    "Combined",
    "Comparison",
    "Defect",
    "FrameCount",
    "Limits",
    "PhotonTransfer",
    "Preparation",
    "Rule",
    "bad_pixel_map",
    "combine_files",
    "combine_images",
    "compare_masters",
    "dark_current",
    "judged",
    "master_bias",
    "master_dark",
    "master_flat",
    "photon_transfer",
    "warm_pixels",
]
