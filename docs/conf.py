"""Sphinx configuration; tables of settings and presets are made from the code at every build."""

from pathlib import Path

import napari_unsupseg
from napari_unsupseg.settings import PRESETS, setting_specs

project = "napari-unsupseg"
author = "napari-unsupseg developers"
copyright = "2026, napari-unsupseg developers"
version = release = napari_unsupseg.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.extlinks",
]
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "pydata_sphinx_theme"
html_title = "napari-unsupseg"
html_theme_options = {"header_links_before_dropdown": 12}  # all pages of the first level
SINGLE = (
    "first_steps",
    "how_it_works",
    "glossary",
    "comparison",
    "troubleshooting",
    "performance",
    "quality",
    "architecture",
    "api",
)
html_sidebars = {page: [] for page in (*SINGLE, "generated/settings")}  # no pages below these
html_show_sourcelink = False
smartquotes = False  # sentences of the tool stand as it says them
myst_heading_anchors = 2  # for links to a heading
nb_execution_mode = "off"  # docs/make_notebook.py has run it, in real windows
# where the README says that its pages and its pictures are
README_PLACES = (
    "https://github.com/napari-unsupseg/napari-unsupseg/blob/main",
    "https://raw.githubusercontent.com/napari-unsupseg/napari-unsupseg/main",
)
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL03", "GL08", "PR01", "PR02", "PR04", "RT01", "YD01"}
autodoc_typehints = "none"


def write_settings_table(_app: object) -> None:
    """Write a page with every setting and preset, as the code has them."""
    head = ["# Settings", "", "The same names in Python, on the command line and in the panel.", ""]
    table = ["| setting | paper | default | allowed | what it does |", "|---|---|---|---|---|"]
    for name, spec in setting_specs().items():
        symbol = f"*{spec.symbol}*" if spec.symbol else ""
        table.append(f"| `{name}` | {symbol} | {spec.default} | {spec.allowed} | {spec.sentence} |")
    presets = ["", "## Presets", "", "What each changes of these.", ""]
    presets += ["| preset | for | settings |", "|---|---|---|"]
    for name, preset in PRESETS.items():
        values = ", ".join(f"`{key}={value}`" for key, value in preset.values.items())
        presets.append(f"| `{name}` | {preset.sentence} | {values} |")
    folder = Path(__file__).parent / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "settings.md").write_text("\n".join([*head, *table, *presets, ""]), encoding="utf-8")


def link_to_pages(_app: object, path: Path, _page: str, content: list[str]) -> None:
    """Have the README's links, absolute as PyPI needs them, lead to this documentation's pages."""
    if path.name == "README.md":
        for place in README_PLACES:
            content[0] = content[0].replace(f"]({place}/docs/", "](docs/")


def setup(app: object) -> None:
    """Register what happens during a build with Sphinx."""
    app.connect("builder-inited", write_settings_table)
    app.connect("include-read", link_to_pages)
