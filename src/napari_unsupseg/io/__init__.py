"""Files to arrays with axes and pixel size, and back."""
