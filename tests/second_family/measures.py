"""What is measured on a model, and what the page shows."""

import numpy as np

MEASURES = {"largest": ((), "largest |x_i|")}
NEEDS = ("final",)
COORDINATES = {}
HEADLINES = ("size", "largest")
RANK = "size"
PICTURES = ("final",)


def measure(ds):
    largest = np.abs(ds["final"]).max("coordinate")
    return {"largest": (ds["status"].dims, largest.values)}
