"""Files in, files out: one image's work, and many of them side by side."""
