"""The contract of processors, as a machine checks it: one line in a plugin's tests.

>>> from etendue.processors.testing import check_processor
>>> def test_contract():
...     check_processor(MyProcessor(strength=3))
"""

from .check import ContractBroken, check_processor, checks
from .examples import edge_images, example_images

__all__ = ["ContractBroken", "check_processor", "checks", "edge_images", "example_images"]
