"""JAX on the CPU, figures off the screen, and no compiled programs in the user's home."""

import os
import sys

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JSUPER_CACHE"] = "off"
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(autouse=True)
def figures_are_closed():
    """No test sees the figures of one before it."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot:
        pyplot.close("all")
