"""Measurements of speed and quality; each module runs as ``python -m benchmarks.NAME``."""
