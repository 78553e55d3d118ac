"""Write the catalogue alone."""

from typing import Self

from pydantic import Field, model_validator

from ...images import Image, ImageError
from ...images.catalog.files import table_suffixes, write_table
from ..context import stamped
from ..processor import Processor
from .product import FilenamePattern, literal_suffixes, new_product, product_name


class SaveCatalog(Processor):
    """Write the catalogue of sources to a file below the output folder.

    The format follows the suffix: ``.ecsv``, ``.fits``, ``.vot`` or ``.xml`` (VOTable) and ``.parquet`` keep units and
    descriptions, ``.csv`` keeps names and values. Some header cards and the history of the image go with it,
    as the table's meta data. A catalogue without sources is written too: it says that there were none.

    Placeholders of the name are those of :class:`Save`.
    """

    reads = {"catalog"}
    writes = frozenset()

    filename: FilenamePattern = Field(
        "{stem}_cat.ecsv",
        description="name of the file, with placeholders; of several, the first that can be filled",
    )
    overwrite: bool = Field(True, description="whether an earlier product of that name may be replaced")
    cards: tuple[str, ...] = Field(
        ("OBJECT", "DATE-OBS", "EXPTIME", "FILTER", "AIRMASS", "INSTRUME"),
        description="header cards that go with the catalogue, if they exist",
    )

    @model_validator(mode="after")
    def _suffix_is_known(self) -> Self:
        for suffix in literal_suffixes(self.filename):
            if not suffix.lower().endswith(table_suffixes()):
                raise ValueError(f"no table format has the suffix {suffix!r}; there are {' '.join(table_suffixes())}")
        return self

    def process(self, image: Image) -> Image:
        table = image.catalog.copy(copy_data=False)
        table.meta |= {card: image.header[card] for card in self.cards if card in image.header}
        table.meta["HISTORY"] = [activity.summary() for activity in stamped(image).provenance]
        with new_product(product_name(image, self.filename), overwrite=self.overwrite) as path:
            try:
                write_table(table, path, overwrite=self.overwrite)
            except ValueError as error:
                raise ImageError(f"{image.label}: the catalogue cannot be written as {path.name}: {error}") from error
        return image.copy()
