# SPDX-License-Identifier: BSD-3-Clause
"""How Sphinx makes the documentation: `make docs`."""

from __future__ import annotations

import re
from typing import Any

import edl

project = "edl"
copyright = "the edl authors, BSD-3-Clause"  # noqa: A001  # Sphinx calls it so
version = release = edl.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"edl {release}"
html_copy_source = False

# headings can be linked to as they are on any forge
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("ChooseLoader", "Emit", "Loader")}
python_use_unqualified_type_names = True
# names in docstrings stand in single backticks
default_role = "code"


_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")


def _name_files(_app: Any, _name: str, source: list[str]) -> None:  # noqa: ANN401
    """Name files of the repository that are no pages: links to them lead nowhere here."""
    source[0] = _OUTSIDE.sub(r"\1 (`\2` in the repository)", source[0])


def setup(app: Any) -> None:  # noqa: ANN401
    """Hear of each page before it is read."""
    app.connect("source-read", _name_files)
