"""`jsuper.sample`: samples of a law of the data.

By default each feature is 0 with probability S, else uniform on [0, 1]. One uniform draw u decides
both: a feature of density p = 1 - S is active if u < p, and then has the value u/p. This is the
notebook's distribution with half as many draws. Batches are (n_features, batch), with the long axis
last.
"""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.core.expecting import expect, expect_array
from jsuper.models.toy.field_checks import check_sparsity
from jsuper.models.toy.inputs.law import Inputs, Numbers
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of, values_of
from jsuper.models.toy.limits import check_drawable
from jsuper.training.jax_config import shielded


@shielded()
def sample(
    key: Array,
    sparsity: ArrayLike,
    n_features: int,
    batch: int,
    *,
    support: str = DEFAULT_SUPPORT,
    values: str = DEFAULT_VALUES,
) -> Array:
    """Return independent samples of a law of the data.

    By default each feature is 0 with probability S, else uniform on [0, 1]: with uniform draws u
    and p = 1 - S, x = u/p where u < p, else 0. The same key gives nested batches: features that are
    active at one sparsity are active at every lower one.

    Parameters
    ----------
    key
        A random key, such as `jsuper.seed_key(7)`.
    sparsity
        Probability S that a feature is zero, in [0, 1 - 2^-23): a number, or one per feature,
        (n_features,). With `support="hierarchy(b, q)"` it is that of the root.
    n_features
        Number of features, the rows of the batch.
    batch
        Number of samples, the columns of the batch.
    support
        Which features are active together, as in `jsuper.Sweep`, for example "pairs(0.5)".
    values
        Values of active features, as in `jsuper.Sweep`, for example "signed".

    Returns
    -------
    Array
        The samples, (n_features, batch), float32.

    Raises
    ------
    TypeError
        The key is not a random key, or the sparsity is not numeric.
    SpecError
        A number is out of range, the sparsities are not one per feature, or the law is not known
        or does not exist for them.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.

    Examples
    --------
    >>> import jsuper
    >>> jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=20, batch=5).shape
    (20, 5)
    >>> x = jsuper.sample(jsuper.seed_key(7), 0.5, 4, 1000, support="pairs(1)", values="binary")
    >>> bool((x[0] == x[1]).all())
    True
    """
    example = "jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=20, batch=5)"
    expect("key", key, (jax.Array, np.ndarray), "a random key", example)
    expect_array("sparsity", sparsity, example)
    n_features, batch = integer(1)("n_features", n_features), integer(1)("batch", batch)
    if np.shape(sparsity) not in ((), (1,), (n_features,)):
        raise SpecError(
            f"sparsity has shape {np.shape(sparsity)} but n_features is {n_features}; give one "
            "number, or one per feature"
        )
    inputs = Inputs(support_of(support), values_of(values))
    if isinstance(sparsity, (list, tuple)):
        sparsity = np.array(sparsity)
    density = inputs.support.densities(cast(Any, 1 - sparsity), n_features)
    if not isinstance(sparsity, Tracer):
        for value in np.ravel(sparsity).tolist():
            check_drawable("sparsity", check_sparsity("sparsity", value))
        inputs.support.check_densities(1 - np.asarray(sparsity), n_features)
    numbers = (density, inputs.support.numbers, inputs.values.numbers)
    law = Numbers(*(jnp.asarray(a, jnp.float32) for a in numbers))
    return inputs.sample(inputs.independent_draws(key, n_features, batch), law)
