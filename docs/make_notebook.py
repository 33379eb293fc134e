"""Run the notebook of the tutorials, and keep what it prints and shows.

    python docs/make_notebook.py

It opens real napari windows; without a display:
``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_notebook.py``.
"""

import base64
import io
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from pictures.window import COLOURS, quantised
from PIL import Image

NOTEBOOK = Path(__file__).parent / "tutorials" / "notebook.ipynb"
TIMEOUT = 600  # seconds, of a cell
# nobody touches the window meanwhile, and with Qt's event loop between cells some never begin
os.environ["NAPARI_APPLICATION_IPY_INTERACTIVE"] = "0"
os.environ["NAPARI_CONFIG"] = ""  # the window is as a new user's


def main() -> None:
    """Run the notebook in place; the files that it writes go to a folder that is then removed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_palette(output.data["image/png"])
    notebook.metadata.language_info = {"name": "python"}  # no version: another would be a change
    nbformat.write(notebook, NOTEBOOK)


def with_palette(png: str) -> str:
    """Return a PNG with a palette of its own, a third of the size, both in base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    smaller = io.BytesIO()
    quantised(picture, COLOURS).save(smaller, "png", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


if __name__ == "__main__":
    main()
