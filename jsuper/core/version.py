"""The version of jsuper."""

__version__ = "0.2.0"
