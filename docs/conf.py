"""Sphinx's settings of the documentation; `python -m tools.docs` builds it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import gdcore  # noqa: E402  (the installed one: the root holds no gdcore)

project = "gdcore"
author = "the gdcore authors"
version = release = gdcore.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "tools.docs.docstrings",
    "tools.docs.mathematics",
    "tools.docs.generated",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", ".*"),  # of annotations: NumPy's and private names
    (
        "py:obj",
        "EVENT|RANGE|after",
    ),  # no part of the public interface
]
show_warning_types = True

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

default_role = "py:obj"
add_module_names = False
maximum_signature_line_length = 72
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"gdcore {release}"
html_static_path = ["_static"]
html_css_files = ["gdcore.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": [], "navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
