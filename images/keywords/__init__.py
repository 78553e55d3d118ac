"""What headers call things: one table of synonyms, and properties that read through it."""

from .lookup import extra_keywords, header_value, keyword_for, keyword_named
from .properties import KeywordProperties
from .table import BINNING_CARDS, IN_ELECTRONS, KEYWORDS, Keyword
from .times import parse_time
from .values import normal_image_type, number

__all__ = [
    "BINNING_CARDS",
    "IN_ELECTRONS",
    "KEYWORDS",
    "Keyword",
    "KeywordProperties",
    "extra_keywords",
    "header_value",
    "keyword_for",
    "keyword_named",
    "normal_image_type",
    "number",
    "parse_time",
]
