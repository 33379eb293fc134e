"""Labels of images that are larger than memory, made where they are looked at."""
