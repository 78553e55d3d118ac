"""What an Image can do by itself: planes, sharing, arithmetic, geometry, pictures.

python examples/look_at_an_image.py [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np

from etendue.images import Image, PixelFlag
from etendue.processors.simulation import simulate_field


def main(picture: Path) -> None:
    """Walk through the planes of a simulated frame."""
    frame = simulate_field((256, 384), seed=3, star_magnitudes=(11, 21))
    print(frame)
    print(f"{frame.object_name}, {frame.exposure_time:g} s, filter {frame.filter}, {frame.pixel_scale:.2f} arcsec/px")

    # Copies share their pixels until somebody writes to them.
    flagged = frame.replace(mask=np.zeros(frame.shape, dtype=np.uint8))
    with flagged.edit("mask") as mask:
        mask[frame.data >= (frame.saturation or 65535)] = PixelFlag.SATURATED
    print(f"{np.count_nonzero(flagged.mask)} saturated pixels are flagged; the frame still has no mask")
    assert frame.safe_mask is None

    # Errors and masks follow arithmetic: photon noise in, error per second out.
    electrons = flagged * (frame.gain or 1.0)
    electrons.uncertainty = np.sqrt(np.maximum(electrons.data, 0))
    rate = electrons / (frame.exposure_time or 1.0)
    y, x = 100, 200
    print(f"pixel ({x}, {y}): {rate.data[y, x]:.2f} ± {rate.uncertainty[y, x]:.2f} electron/s")

    # Everything moves together: the brightest star keeps its sky position through binning and mirroring.
    star = int(np.argmax(frame.catalog["flux"]))
    for image in (frame, frame.bin(2), frame.bin(2).flip(x=True)):
        x, y = image.catalog["x"][star], image.catalog["y"][star]
        assert image.wcs is not None
        position = image.wcs.pixel_to_world(x, y)
        print(f"{image.shape}: brightest source at ({x:.1f}, {y:.1f}) = {position.to_string('hmsdms', precision=2)}")

    picture.write_bytes(frame.to_png(stretch="asinh"))
    again = Image.from_file(picture)
    print(f"{picture}: {again.shape[1]} x {again.shape[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "field.png"))
