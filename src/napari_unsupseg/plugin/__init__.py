"""The rooms that know napari and Qt."""
