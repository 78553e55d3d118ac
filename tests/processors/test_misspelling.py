"""A slip of the pen in Python is answered as one in YAML is."""

import numpy as np
import pytest

from etendue.processors import Processor
from etendue.processors.background import SubtractBackground


def test_a_misspelt_parameter_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"SubtractBackground has no parameter 'box_sise'; did you mean 'box_size'\?"):
        SubtractBackground(box_sise=32)


def test_without_a_near_name_all_are_listed():
    class Plain(Processor):
        """Nothing to set."""

    with pytest.raises(TypeError, match="Plain has no parameter 'sigma'; it has none"):
        Plain(sigma=3)


@pytest.mark.parametrize("given", [np.ones((4, 4)), None, "frame.fits"])
def test_something_else_than_an_image_is_told_so(run, given):
    with pytest.raises(TypeError, match=f"SubtractBackground takes an Image, not {type(given).__name__}"):
        run(SubtractBackground(), given)
