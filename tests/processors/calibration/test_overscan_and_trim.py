"""The bias level of an exposure from the pixels that saw no light."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.processors.calibration import Overscan, Trim
from etendue.processors.calibration.corrections.overscan import amplifier_level, overscan_level, smooth_level


def test_level_is_taken_row_by_row(run):
    frame = Image(data=[[10.0, 11.0, 4.0, 4.0], [10.0, 11.0, 6.0, 6.0]], header={"BIASSEC": "[3:4,1:2]"})

    corrected = run(Overscan(), frame)

    assert corrected.data[:, :2].tolist() == [[6.0, 7.0], [4.0, 5.0]]
    assert corrected.header["CALOSCAN"] == 5.0


def test_the_strip_is_kept_and_the_data_section_is_corrected(run):
    header = {"BIASSEC": "[3:4,1:1]", "DATASEC": "[1:2,1:1]"}
    corrected = run(Overscan(), Image(data=np.array([[10, 11, 4, 4]], dtype=np.uint16), header=header))
    assert corrected.data.tolist() == [[6.0, 7.0, 4.0, 4.0]]
    assert corrected.data.dtype == np.float32


def test_each_amplifier_has_its_own_level(run):
    amplifiers = [{"data": "[1:2,1:1]", "overscan": "[5:5,1:1]"}, {"data": "[3:4,1:1]", "overscan": "[6:6,1:1]"}]
    corrected = run(Overscan(amplifiers=amplifiers), Image(data=[[10.0, 10.0, 20.0, 20.0, 1.0, 2.0]]))
    assert corrected.data[0, :4].tolist() == [9.0, 9.0, 18.0, 18.0]


def test_one_hit_in_the_strip_does_not_move_the_level():
    strip = np.full((3, 9), 100.0)
    strip[1, 4] = 60000
    assert overscan_level(strip).ravel().tolist() == [100, 100, 100]


def test_nan_is_left_out_and_a_row_of_nan_is_an_error():
    assert overscan_level(np.array([[1.0, np.nan, 3.0]]), "mean").item() == 2.0
    with pytest.raises(ImageError, match="no usable pixel"):
        overscan_level(np.array([[np.nan, np.nan], [1.0, 1.0]]))


def test_a_strip_above_the_data_gives_a_level_for_each_column(run):
    frame = Image(data=[[10.0, 20.0], [1.0, 2.0]], header={"BIASSEC": "[1:2,2:2]", "DATASEC": "[1:2,1:1]"})
    assert run(Overscan(), frame).data[0].tolist() == [9.0, 18.0]


def test_a_polynomial_follows_a_drift_and_leaves_out_a_bleeding_star(rng):
    rows = np.linspace(-1, 1, 200)[:, None]
    level = 500 + 3 * rows + 0.5 * rows**2 + rng.normal(0, 0.3, rows.shape)
    level[90:95] += 400
    smooth = smooth_level(level, 2)
    np.testing.assert_allclose(smooth, 500 + 3 * rows + 0.5 * rows**2, atol=0.2)


def test_the_error_of_the_level_is_read_noise_over_the_root_of_the_width(run, rng):
    data = rng.normal(100, 5, (400, 164)).astype(np.float32)
    header = {"BIASSEC": "[101:164,1:400]", "DATASEC": "[1:100,1:400]"}
    frame = Image(data=data, header=header, uncertainty=np.full(data.shape, 5.0, np.float32))
    corrected = run(Overscan(method="mean"), frame)
    assert corrected.uncertainty[0, 0] == pytest.approx(np.hypot(5, 5 / 8), rel=0.01)
    assert corrected.uncertainty[0, 163] == 5
    from etendue.images.sections import overscan_sections

    (amplifier,) = overscan_sections(frame.header)
    level, variance = amplifier_level(data, amplifier)
    assert np.std(level) == pytest.approx(np.sqrt(variance), rel=0.15)


def test_without_a_strip_it_is_an_error(run):
    with pytest.raises(ImageError, match="BIASSEC"):
        run(Overscan(), Image(data=np.ones((4, 4))))


def test_electrons_are_refused(run):
    with pytest.raises(ImageError, match="before Gain"):
        run(Overscan(), Image(data=np.ones((4, 4)), header={"BIASSEC": "[3:4,1:4]", "BUNIT": "electron"}))


@pytest.mark.parametrize("cards", [{"TRIMSEC": "[2:3,1:2]"}, {"DATASEC": "[2:3,1:2]", "BIASSEC": "[4:4,1:2]"}])
def test_trim_cuts_everything_once(run, cards):
    data = np.arange(12.0).reshape(3, 4)
    frame = Image(data=data, mask=data > 5, uncertainty=data + 1, header=cards)
    trimmed = run(Trim(), frame)
    assert trimmed.data.tolist() == [[1.0, 2.0], [5.0, 6.0]]
    assert trimmed.mask.tolist() == [[False, False], [False, True]]
    assert trimmed.uncertainty.tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert not {"TRIMSEC", "DATASEC", "BIASSEC"} & set(trimmed.header)
    assert run(Trim(), trimmed).shape == (2, 2)


def test_a_section_outside_the_frame_is_an_error(run):
    with pytest.raises(ImageError, match="outside"):
        run(Trim(section="[1:9,1:2]"), Image(data=np.ones((4, 4))))
