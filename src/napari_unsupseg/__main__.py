"""``python -m napari_unsupseg`` is the command ``napari-unsupseg``."""

from napari_unsupseg.cli import app

app(prog_name="napari-unsupseg")
