"""Write the image, with all its planes."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from ...images import Image
from ...images.io import formats
from ..context import stamped
from ..processor import Processor
from .product import FilenamePattern, literal_suffixes, new_product, product_name


class Save(Processor):
    """Write the image to a file below the output folder (or elsewhere, if the filename itself is absolute).

    The format follows the suffix: ``.fits`` holds everything (mask, uncertainty, catalogue, raw pixels, provenance),
    ``.fits.gz`` and ``.fits.fz`` hold it compressed, without loss; ``.tif``, ``.npy``, ``.png`` and ``.jpg`` hold
    pixels. The name of the file goes into the card FNAME. The file is complete under its name, or it is not there; raw
    input is never overwritten.

    Placeholders are ``{stem}`` (the input file's name without its suffix) and header cards: ``{OBJECT}``,
    ``{DATE-OBS|date}``, ``{EXPTIME|string:05.1f}``; a slash makes a folder.
    """

    reads = {"data"}
    writes = {"header.FNAME"}

    filename: FilenamePattern = Field(
        "{stem}_reduced.fits",
        description="name of the file, with placeholders; of several, the first that can be filled",
    )
    overwrite: bool = Field(True, description="whether an earlier product of that name may be replaced")

    @model_validator(mode="after")
    def _suffix_is_known(self) -> Self:
        known = [suffix for form in formats() if form.write for suffix in (form.write_options or form.suffixes)]
        for suffix in literal_suffixes(self.filename):
            if not suffix.lower().endswith(tuple(known)):
                raise ValueError(f"no image format has the suffix {suffix!r}; there are {' '.join(sorted(known))}")
        return self

    def process(self, image: Image) -> Image:
        name = product_name(image, self.filename)
        saved = image.copy()
        # A card holds ASCII only; a name may hold more.
        saved.header["FNAME"] = (Path(name).name.encode("ascii", "replace").decode(), "name of this file")
        with new_product(name, overwrite=self.overwrite) as path:
            stamped(saved).writeto(path, overwrite=self.overwrite)
        return saved
