"""Sphinx configuration of the user guide: ``make docs``."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Etendue"
author = "The Etendue developers"
copyright = "2026, The Etendue developers"
release = version = version_of("etendue")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "generated_pages",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
INCLUDED = (
    "catalog_columns", "keywords", "flags", "formats", "chains", "rules", "library_keys", "comparison_limits",
    "frame_rules", "night_settings", "observatory",
)  # fmt: skip
"""Generated pages that are parts of others."""
exclude_patterns = [
    "_build",
    *(f"generated/{name}.md" for name in INCLUDED),
]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"Etendue {release}"
html_static_path: list[str] = []
html_theme_options = {
    "show_prev_next": False,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "logo": {"text": "Etendue"},
}
html_sidebars = {"*": []}
html_show_sourcelink = False
pygments_style = "tango"
