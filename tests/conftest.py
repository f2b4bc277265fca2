"""JAX on the CPU, figures off the screen, and no compiled programs in the user's home."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JSUPER_CACHE"] = "off"
os.environ["MPLBACKEND"] = "Agg"
