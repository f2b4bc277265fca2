"""What neurons carry, on weights with known answers."""

import numpy as np
import pytest

from jsuper.analysis import neuron_features

THREE_IN_TWO = np.array([[1, 0, 0, 0], [0.05, 0.9, 0.9, -0.7], [0.05, 0.9, -0.7, 0.9]])
MOTIF = (  # neuron 0 reads (2, -1/2) and writes (1/2, 2); neuron 1 inhibits output 1
    np.array([[2, -0.5], [1, 0.0], [-1, 0.0], [0, 1.0]]),
    np.array([[0.5, 2], [0.5, -4.0], [1, 0.0], [0, 1.0]]),
)


def test_a_neuron_carries_features_by_its_share_of_the_largest_weight():
    carried = neuron_features.carries(THREE_IN_TWO, positive=True)
    assert carried.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    assert neuron_features.features_per_neuron(carried).tolist() == [1, 2, 2]
    assert neuron_features.monosemantic_share(carried) == pytest.approx(1 / 3)
    assert neuron_features.in_polysemantic(carried).tolist() == [False, True, True, True]
    both = neuron_features.carries(THREE_IN_TWO)
    assert neuron_features.features_per_neuron(both).tolist() == [1, 3, 3]
    low = neuron_features.carries(THREE_IN_TWO, threshold=0.05)
    assert neuron_features.features_per_neuron(low).tolist() == [1, 4, 4]


def test_scaling_a_neuron_does_not_change_what_it_carries():
    rng = np.random.default_rng(0)
    W, W_dec = rng.normal(size=(2, 3, 4, 6))
    scale = rng.uniform(0.1, 10, size=(3, 4, 1))
    expected = neuron_features.carries(W, W_dec)
    assert (neuron_features.carries(W * scale, W_dec / scale) == expected).all()
    one, read = neuron_features.rescaled(W * scale, W_dec / scale)
    assert np.abs(one).max(axis=-1) == pytest.approx(1)
    assert one[..., None, :] * read[..., None, :] == pytest.approx((W * W_dec)[..., None, :])
    assert neuron_features.rescaled(np.zeros((2, 3)))[0].tolist() == np.zeros((2, 3)).tolist()


def test_idle_neurons_and_padding_carry_nothing():
    W = np.array([[1.0, 0.0, np.nan], [1e-4, 1e-4, np.nan], [np.nan] * 3, [-1.0, -1.0, np.nan]])
    carried = neuron_features.carries(W, positive=True)
    assert neuron_features.features_per_neuron(carried).tolist() == [1, 0, 0, 0]
    assert neuron_features.monosemantic_share(carried) == 1
    assert np.isnan(neuron_features.monosemantic_share(np.zeros((2, 3), bool)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(threshold=0.0), r"threshold=0\.0 is not in \(0, 1\]"),
        (dict(W_dec=np.ones((2, 2))), r"W_dec has shape \(2, 2\) and W \(3, 4\)"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        neuron_features.carries(THREE_IN_TWO, **arguments)
    with pytest.raises(ValueError, match="give two matrices"):
        neuron_features.asymmetric_motifs(np.ones((2, 3, 3)), np.ones((2, 3, 3)))


def test_an_asymmetric_motif_is_found_with_its_inhibition():
    (found,) = neuron_features.asymmetric_motifs(*MOTIF)
    assert (found.neuron, found.strong, found.weak) == (0, 0, 1)
    assert (found.input_ratio, found.output_ratio) == pytest.approx((4, 4))
    assert found.inhibition == pytest.approx(1)  # 1 (-4) over 2 x 2
    assert found.inhibition_of_other_sign == 0
    scale = np.array([[3.0], [0.2], [5.0], [1.0]])
    (again,) = neuron_features.asymmetric_motifs(MOTIF[0] * scale, MOTIF[1] / scale)
    assert again == pytest.approx(found)


def test_equal_weights_are_no_asymmetric_motif():
    W = np.array([[1.0, -1.0], [1.0, 1.0]])
    assert neuron_features.asymmetric_motifs(W, np.abs(W)) == []
