"""What is measured on its models, and the pictures of its page."""

import numpy as np

HEADLINES = ("size", "largest")
RANK = "size"
PICTURES = ("final",)
NEEDS = ("final",)
COORDINATES = {}
MEASURES = {"largest": ((), "largest |x_i|")}


def measure(ds):
    largest = np.abs(ds["final"]).max("coordinate")
    return {"largest": (ds["status"].dims, largest.values)}
