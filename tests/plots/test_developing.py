"""What one model does during training: the drawn numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from k_gons import k_gon, trained

from jsuper import analysis
from jsuper.analysis.shapes import shape_names
from jsuper.plots.developing import development

STEPS = tuple(range(0, 400, 10))
JUMP = 20  # the snapshot at which the square becomes a pentagon


def developing():
    """A square whose fifth feature appears within one interval of the snapshots."""
    ds = trained(1, snapshots=STEPS, steps=400)
    square, pentagon = k_gon(4)[0], k_gon(5)[0]
    drift = 1 + 0.05 * np.exp(-np.arange(len(STEPS)) / 10)
    W = np.stack([s * (square if i < JUMP else pentagon) for i, s in enumerate(drift)])
    ds["W_snapshots"] = (ds.W_snapshots.dims, W.astype(np.float32)[None, None, None])
    curve = np.where(ds.step.values < 200, 0.1, 0.05) * np.exp(-ds.step.values / 4000)
    return ds.assign(loss_curve=(ds.loss_curve.dims, curve[None, None, None]))


@pytest.mark.slow
def test_it_draws_every_feature_the_shapes_and_the_jumps():
    ds = developing()
    figure = development(ds)
    loss, norms, shares = figure.axes
    W = ds.W_snapshots.values[0, 0, 0]
    lines = [line for line in norms.lines if line.get_label().startswith("feature")]
    assert len(lines) == 6
    for i, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_xdata(), STEPS)
        np.testing.assert_allclose(line.get_ydata(), np.linalg.norm(W[:, :, i], axis=1), atol=1e-6)
    assert loss.get_title() == "4-gon → 5-gon"
    middle = (STEPS[JUMP - 1] + STEPS[JUMP]) / 2
    (size,) = [t.get_text().strip() for t in norms.texts]
    assert size == "+1.2 (5 features)"
    assert [line.get_xdata()[0] for line in norms.lines[6:]] == [middle]
    assert [t.get_text().strip() for t in loss.texts] == ["x 0.5"]
    assert "(5 features)" in shares.texts[0].get_text()
    plt.close(figure)


@pytest.mark.slow
def test_increasing_intervals_have_a_logarithmic_axis():
    steps = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 399)
    figure = development(trained(1, snapshots=steps, steps=400))
    assert figure.axes[2].get_xscale() == "log"
    assert figure.axes[2].get_xlim() == (1, 399)
    plt.close(figure)


@pytest.mark.slow
def test_one_model_with_snapshots_is_needed():
    with pytest.raises(ValueError, match="no W_snapshots"):
        development(trained(1))
    with pytest.raises(ValueError, match="2 seeds; select one model"):
        development(trained(2, snapshots=(0, 1)))
    lost = trained(1, snapshots=(0, 1))
    lost["status"].values[:] = 2
    with pytest.raises(ValueError, match="missing or diverged"):
        development(lost)


def test_the_names_of_shapes():
    W = [k_gon(k)[0] for k in (2, 3, 4, 5, 6)]
    assert shape_names(np.stack(W)).tolist() == ["1 digon", "3-gon", "4-gon", "5-gon", "6-gon"]
    bent = k_gon(5)[0].copy()
    bent[:, 0] = [0.6, 0.6]
    assert shape_names(bent) == "1 other"
    assert shape_names(np.zeros((2, 6))) == "none"
    assert shape_names(np.full((2, 6), np.nan)) == ""
    two = np.zeros((3, 5))
    two[0, :2], two[1, 2:4], two[2, 4] = (1, -1), (1, -1), 1
    assert shape_names(two) == "1 alone, 2 digons"
    assert analysis.shape_names(two) == "1 alone, 2 digons"
