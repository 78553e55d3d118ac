"""A simulated night: raw biases, darks, twilight flats and science frames, and the truth behind them."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from ....images import Header, Image
from ....images.io.atomic import atomic_path
from ..camera import cosmic_ray_hits
from ..exposure import Exposure, expose, pointing
from .ccd import CCDCamera, CCDMaps, make_maps, read_raw
from .cards import raw_header
from .conditions import BANDS, START, Conditions, Weather
from .light_curves import PulsatingStar, TransitingPlanet
from .plan import PlannedFrame, plan
from .sky import blank_field, target_field
