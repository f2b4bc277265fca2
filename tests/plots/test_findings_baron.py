"""The main picture of activations: its numbers, and text that can be read."""

import matplotlib.pyplot as plt
import numpy as np
from made_up_baron import NAMES, made

from jsuper.analysis import counts
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.plots import findings_baron


def data():
    found = made([3.0 if n == "relu" else 0.0 for n in NAMES], lambda x: -0.1 * x, noise=0)
    failed = found["fitted"]["failed_fit"] + (found["fitted"]["activation"] == "log_sigmoid")
    return {"fitted": found["fitted"].assign(failed_fit=failed)}


def test_numbers_are_means_of_fits_by_the_counts_of_the_findings():
    ds = data()["fitted"]
    x, _, failed = findings_baron.numbers(ds)
    assert tuple(counts.COUNTS) == findings_baron.COUNTS
    for k, count in enumerate(counts.COUNTS):
        expected = counts.excess(ds, count).mean("seed").values
        np.testing.assert_allclose(x[..., k], np.where(failed, 0, expected))
    assert failed.all(axis=1).tolist() == [name == "log_sigmoid" for name in NAMES]


def test_titles_say_what_was_found_and_everything_can_be_read():
    figure = findings_baron.main(data())
    first, _, losses = figure.axes
    assert "of 26 that fit, 1 superpose by all" in first.get_title()
    assert "counts, 1 by any; the counts agree for 26" in first.get_title()
    assert 10**0.3 < float(losses.get_title().split(" is ")[1].split()[0]) < 10**0.41
    labels = [text.get_text() for text in first.get_yticklabels()]
    assert set(labels) == set(ACTIVATIONS) and labels[0] == "log_sigmoid" and labels[-1] == "relu"
    assert len(figure.axes) <= 6 and tuple(figure.get_size_inches() * 100) == (1000, 650)
    texts = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, *ax.get_yticklabels())]
    assert min(text.get_fontsize() for text in texts) >= 8
    plt.close(figure)
