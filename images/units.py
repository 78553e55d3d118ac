"""Units of pixels as headers write them, and as astropy spells them."""

import re

COUNTS = ("adu", "count", "counts", "ct", "dn")
"""Units of pixels, in lower case, that are steps of the converter."""

ELECTRONS = ("electron", "electrons", "e-", "e", "photon", "photons", "ph")
"""Units of pixels, in lower case, of which each is one detected photon."""

SPELLED = {
    "adu": "adu",
    "count": "count",
    "counts": "count",
    "dn": "adu",
    "e": "electron",
    "e-": "electron",
    "electron": "electron",
    "electrons": "electron",
    "photons": "photon",
    "sec": "s",
    "second": "s",
    "seconds": "s",
}
"""Words, in lower case, that astropy knows in one spelling only, or as something else."""

WORD = re.compile(r"[A-Za-z]+(-(?!\d))?")


def unit_name(text: str) -> str:
    """The unit that a BUNIT card means, spelled in astropy's way as far as the words are known.

    >>> unit_name("e-/sec")
    'electron/s'
    """
    return WORD.sub(lambda word: SPELLED.get(word[0].lower(), word[0]), text.strip())
