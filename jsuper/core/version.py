"""The version of jsuper."""

__version__ = "0.1.0"
