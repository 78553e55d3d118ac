"""Steps that write products: images, catalogues, pictures."""

from .catalog import SaveCatalog
from .picture import SavePicture
from .save import Save

__all__ = ["Save", "SaveCatalog", "SavePicture"]
