"""How Sphinx makes the web site from the pages that `tools/website.py` lays out for it."""

import os

from docutils.utils.math.latex2mathml import tex2mathml

import swinlib

project = "Swin Transformer, piece by piece"
author = "the swinlib authors"
version = release = swinlib.__version__
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
root_doc = "index"
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_js_files = [("steps.js", {"type": "module"})]

# The stored outputs are shown; nothing is run.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # of a cell with IPython's marks

# Docstrings: Google's style; a name in single backquotes is code, and a link where it is ours.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False

# Known on a public host; elsewhere the site links to no repository.
repository = os.environ.get("GITHUB_REPOSITORY", "")
server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
html_theme = "sphinx_book_theme"
html_title = project
html_copy_source = False  # the notebooks themselves are linked, see _templates/notebook-file.html
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_theme_options = {
    "repository_url": f"{server}/{repository}" if repository else "",
    "use_repository_button": bool(repository),
    "use_download_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "article_header_end": ["notebook-file", "article-header-buttons"],
}
# What a lesson prints is for looking at.
copybutton_selector = "div.highlight:not(.cell_output *) pre"
copybutton_exclude = ".linenos, .gp"

html_math_renderer = "mathml"


def inline_mathematics(writer, node):
    writer.body.append(tex2mathml(node.astext()))
    raise_skip()


def displayed_mathematics(writer, node):
    writer.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise_skip()


def raise_skip():
    from docutils.nodes import SkipNode

    raise SkipNode


def setup(app):
    """Mathematics as MathML, which browsers set themselves: no script, no request."""
    app.add_html_math_renderer("mathml", (inline_mathematics, None), (displayed_mathematics, None))
