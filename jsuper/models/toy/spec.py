"""`jsuper.Sweep`: a grid of toy models, and the rules between its fields.

With `jsuper.models.toy.results`, this is what the family "toy" provides as its `Spec`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import cast

from jsuper.core.errors import SpecError
from jsuper.core.fields import Omitted
from jsuper.core.json_data import label
from jsuper.models.toy import limits
from jsuper.models.toy.fields import IMPORTANCE_DECAYS, SPARSITIES, Fields
from jsuper.models.toy.inputs.features import check_power_law, densities
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of
from jsuper.models.toy.labelled import (
    NO_LIST,
    label_of,
    labels_of,
    lists_in,
    numbers_of,
    spread,
)
from jsuper.models.toy.results import ATTRIBUTES as ATTRIBUTES
from jsuper.models.toy.results import FINITE as FINITE
from jsuper.models.toy.results import KEPT as KEPT
from jsuper.models.toy.results import SUMMARY as SUMMARY
from jsuper.models.toy.results import coordinates as coordinates
from jsuper.models.toy.results import dataset_numbers as dataset_numbers
from jsuper.models.toy.results import layout as layout
from jsuper.models.toy.results import work as work
from jsuper.training.optimizers import default_decay

LABELS = {"importances": labels_of, "feature_sparsities": labels_of}
"""Field -> the function from its values to the labels that the results have."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Fields):
    """A grid of toy models x̂ = act(Wᵀ W x + b), one for each combination of values and each seed.

    The model compresses n sparse features into m < n hidden units, h = W x, and reconstructs them.
    It is trained to minimize L = mean over samples and features of I_i (x_i - x̂_i)², where feature
    i has importance I_i = importance_decay^i and is 0 with probability `sparsity`, else uniform on
    [0, 1].

    All fields are keyword arguments. Those marked "axis" accept one value or several, and several
    values become a dimension of the results. The defaults are the preset `activations`: the
    training of the notebook of [1]_ on the paper's basic model, n = 20 and m = 5.

    Parameters
    ----------
    seeds
        Number of random seeds, or a list of seeds in [0, 2^32). Models of a seed share its draws.
    unpaired
        Give every model its own random draws instead.
    zipped
        Groups of axes that vary together, each one dimension of the results: `{"size": {"n_hidden":
        (5, 10), "learning_rate": (1e-3, 5e-4)}}` has two rows. Not activation and sparsity.
    activation
        Axis. Output activation: a name, a name with a parameter such as `elu(0.25)`, or a function
        of z (n_features, samples) that JAX can trace and differentiate. Gates such as `geglu` have
        a second matrix, x̂ = gate(Wᵀ h + b) ⊙ (Vᵀ h + c).
    sparsity
        Axis. Probability that a feature is zero, in [0, 1 - 2^-23).
    dropout
        Axis. Probability that a hidden unit is dropped in training, in [0, 1); inverted dropout.
    learning_rate
        Axis, > 0.
    weight_decay
        Axis, >= 0; of W and b. If omitted, the run folder's value, else 0.01 for adamw and 0 for
        other optimizers.
    importance_decay
        Axis, > 0.
    n_features, n_hidden
        Axes. Numbers of features n and of hidden units m.
    batch_size, steps
        Axes. Samples per step, and optimizer steps.
    optimizer
        Axis. adamw, adam, sgd, sgdw or rmsprop; `sgd(0.5)` sets its own learning rate.
    dtype
        Axis. float32 or float64.
    schedule
        Learning rate over the steps: constant, linear or cosine.
    momentum
        Of sgd and sgdw, in [0, 1).
    init, init_scale, init_instances, init_bias_scale
        Distribution of the initial W (xavier, notebook or normal) and b; see
        `jsuper.models.toy.model.init_std`.
    tied
        Axis. Whether the decoder is Wᵀ; if False it is a separate matrix, x̂ = act(W_decᵀ W x + b).
    reduction
        Whether the mean or the sum of the errors is minimized; stored losses are means.
    support
        Axis. Which features are active together:

        - `independent`: each by itself.
        - `shared`: all samples of a batch share their active features. The final loss is measured
          on independent samples.
        - `sets(k, c)`: with probability c, independent of all else, the features of a set of k
          consecutive ones are active together; `pairs(c)` is sets(2, c). The correlation of two
          activities of a set is c if their densities are equal.
        - `exclusive(k)`: at most one feature of a set of k consecutive ones is active.
        - `exactly(k)`: k features are active, chosen uniformly; sparsity is 1 - k/n.
        - `hierarchy(b, q)`: features form a tree with b children each; the root has the density
          1 - sparsity, a child is active with probability q if its parent is, else never.
    values
        Axis. Values of active features: `uniform` on [0, 1], `uniform(a, b)`, `signed` (uniform on
        [-1, 1]), `binary` (1), `normal`, `half_normal` or `exponential` (mean 1).
    density_power
        Axis, >= 0. Densities of features fall as (i + 1)^-density_power, with the mean
        1 - sparsity; each must be at most 1.
    activity
        Mean number of active features, one or several, instead of sparsity = 1 - activity/n; the
        results have the sparsity.
    inputs
        A function (key, batch) -> samples, (batch, n_features), as the law of the data instead of
        sparsity, support and values; of JAX, with a typed key, and in Python only. An omitted
        sparsity is 0, a single cell. The batch of a step is one call.
    dataset_size
        Axis. Number of fixed samples to train on, T; 0 draws new samples in every step. The samples
        are the first T of every larger dataset of the seed. Each epoch goes through them in
        a new order, in batches of batch_size; samples that do not fill a batch are left out. The
        results have `train_loss`, on the dataset, beside `loss`, on new samples.
    full_batch
        Whether every step trains on the whole dataset; batch_size has no effect.
    normalize
        Whether only samples with an active feature are drawn, and scaled to length 1.
    hidden_vectors
        Whether to store h of every sample of the dataset.
    shared_mask
        The older name of support="shared".
    importance, feature_sparsity
        One value per feature, instead of importance_decay and sparsity. Several lists,
        {label: list}, become the axis `importances` or `feature_sparsities`.
    importances, feature_sparsities
        Axes. Lists with labels, as text: "flat(1, 1, 1)".
    push, push_step
        Axes. The bias of feature 0 is set to -push before step push_step; 0 leaves it alone.
    watch
        Record feature 0's error, bias, gradient of the bias, and largest pre-activation.
    check_fit
        Measure the loss after 90 % of the steps too, to find fits that still improve.
    records
        Points of the loss curve.
    snapshots
        Steps after which W is stored.

    Raises
    ------
    SpecError
        A value is not allowed, or fields contradict each other. The message has the field, its
        value, and what to do.

    References
    ----------
    .. [1] Elhage et al., "Toy Models of Superposition", 2022.

    Examples
    --------
    >>> import jsuper
    >>> sweep = jsuper.Sweep(activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=4)
    >>> sweep.axes
    {'activation': ('relu', 'gelu'), 'sparsity': (0.0, 0.9)}
    """

    def fill_in(self) -> None:
        """Set what other fields determine.

        An omitted weight decay becomes the optimizers' default, if they share one; several lists
        become the values of an axis.
        """
        spread(self, "importance", "importances", self._set)
        spread(self, "feature_sparsity", "feature_sparsities", self._set)
        decays = tuple({default_decay(text) for text in self.values_of("optimizer")})
        if isinstance(self.weight_decay, Omitted) and len(decays) == 1:
            self._set("weight_decay", Omitted(decays))

    def no_value(self, name: str) -> str:
        """Return the message for optimizers whose defaults of the weight decay differ."""
        optimizers = self.values_of("optimizer")
        defaults = ", ".join(f"{default_decay(text):g} for {text}" for text in optimizers)
        return (
            f"{name} is omitted, and optimizer={', '.join(optimizers)} have different defaults "
            f"({defaults}): give one value for all of them, for example {name}=0"
        )

    def check(self) -> None:
        """Raise SpecError if lists do not fit n_features, or steps do not fit the training."""
        self._use_activity()
        self._check_sampler()
        self._check_list("importance", "importance_decay", IMPORTANCE_DECAYS)
        decay = "importance_decay", IMPORTANCE_DECAYS, 1.0
        self._check_labelled("importances", "importance", *decay)
        sparsity = "sparsity", SPARSITIES, 0.0
        self._check_labelled("feature_sparsities", "feature_sparsity", *sparsity)
        self._check_list("feature_sparsity", "sparsity", SPARSITIES)
        self._check_laws()
        self._check_dataset()
        if self.importance is not None and not any(self.importance):
            raise SpecError(
                "importance is zero for every feature, so that there is nothing to learn; give at "
                "least one value above 0"
            )
        labels = [label(a) for a in self.values_of("activation")]
        for name, times in Counter(labels).items():
            if times > 1:
                raise SpecError(
                    f"activation contains {name!r} twice; give every function a different name"
                )
        if len(set(self.snapshots)) < len(self.snapshots):
            raise SpecError(
                f"snapshots={list(self.snapshots)} contains a step twice; give each step once"
            )
        self._check_steps()

    def _use_activity(self) -> None:
        """Set the sparsity from the mean number of active features."""
        if self.activity is None:
            return
        others = list(lists_in(self, "feature_sparsity", "feature_sparsities"))
        if self.sparsity != SPARSITIES or others:
            other = others[0] if others else "sparsity"
            raise SpecError(
                f"activity and {other} are both given; each sets the density: leave one out"
            )
        n, *others = sizes = self.values_of("n_features")
        if others:
            raise SpecError(
                f"activity is given, and n_features={', '.join(map(str, sizes))} would make a "
                "different sparsity of it for each: give one n_features, or sparsity instead"
            )
        given = cast(tuple[float, ...], self.activity)
        for active in given:
            if active > n:
                raise SpecError(f"activity={active:g} is above n_features={n}: give at most {n}")
        self._set("sparsity", tuple(1 - active / n for active in given))
        self._set("activity", None)

    def _check_laws(self) -> None:
        """Check that every support exists for every number of features and every density.

        A support that allows a single sparsity sets an omitted one.
        """
        supports, powers = self.values_of("support"), self.values_of("density_power")
        if self.normalize and (self.shared_mask or "shared" in supports):
            raise SpecError(
                "normalize draws samples with an active feature one by one, and support=shared "
                "whole batches: leave one of them out"
            )
        if supports == (DEFAULT_SUPPORT,) and powers == (0,):
            return
        lists = lists_in(self, "feature_sparsity", "feature_sparsities")
        if any(powers) and lists:
            raise SpecError(
                f"{next(iter(lists))} and density_power are both given; each sets the density of "
                "every feature: leave one out"
            )
        if self.shared_mask and supports != (DEFAULT_SUPPORT,):
            raise SpecError(
                f"shared_mask and support={', '.join(supports)} are both given; shared_mask is the "
                "older name of support=shared: leave it out"
            )
        sizes, listed = self.values_of("n_features"), [*lists.values()] or [None]
        for text, n, power, one in itertools.product(supports, sizes, powers, listed):
            law = support_of(text)
            if self.sparsity == SPARSITIES and (only := law.sparsity(n)) is not None:
                self._set("sparsity", (only,))
            values = {"feature_sparsity": one, "density_power": power}
            for sparsity in self.values_of("sparsity"):
                if power:
                    check_power_law(power, sparsity, n)
                density = densities(values | {"n_features": n}, sparsity)
                try:
                    law.check_densities(density, n)
                except SpecError as error:
                    of = f"support={text}, n_features={n}, sparsity={sparsity:g}"
                    raise SpecError(f"{of}: {error}") from None

    def _check_labelled(
        self, many: str, one: str, replaced: str, default: tuple, unused: float
    ) -> None:
        """Check lists of one value per feature, and set the axis that they replace.

        Parameters
        ----------
        many, one
            The axis of lists, and the field of a single one.
        replaced, default, unused
            The axis that has no effect then, its default, and the value that it gets.
        """
        texts: tuple[str, ...] = getattr(self, many)
        if texts == (NO_LIST,):
            return
        for name, times in Counter(map(label_of, texts)).items():
            if times > 1 or not name:
                raise SpecError(
                    f"{many} has the label {name!r} for {times} of its values; give each list a "
                    "different one"
                )
        lists, sizes = {t: numbers_of(t) or () for t in texts}, self.values_of("n_features")
        for text, numbers in lists.items():
            if any(len(numbers) != n for n in sizes):
                raise SpecError(
                    f"{many} {label_of(text)!r} has {len(numbers)} values but n_features is "
                    f"{', '.join(map(str, sizes))}; give one value per feature"
                )
            if many == "importances" and not any(numbers):
                raise SpecError(
                    f"{many} {label_of(text)!r} is zero for every feature, so that there is "
                    "nothing to learn; give at least one value above 0"
                )
        given = one if getattr(self, one) is not None else replaced
        if given == one or getattr(self, replaced) not in (default, (unused,)):
            raise SpecError(f"{many} and {given} are both given; leave {given} out")
        self._set(replaced, (unused,))

    def _check_sampler(self) -> None:
        """Check that a sampler is the only law of the data, and set an omitted sparsity to 0."""
        if self.inputs is None:
            return
        if self.sparsity == SPARSITIES:
            self._set("sparsity", (0.0,))
        others = {"sparsity": (0.0,), "feature_sparsity": None, "feature_sparsities": (NO_LIST,)}
        others |= {"support": (DEFAULT_SUPPORT,)}
        others |= {"values": (DEFAULT_VALUES,), "density_power": (0.0,), "normalize": False}
        others |= {"shared_mask": False}
        if given := [name for name, default in others.items() if getattr(self, name) != default]:
            raise SpecError(
                f"inputs and {', '.join(given)} are both given, and a sampler alone is the law of "
                f"the data: leave {', '.join(given)} out, or inputs"
            )
        if len(sizes := self.values_of("n_features")) > 1:
            raise SpecError(
                f"inputs is a sampler, whose samples have one size, and n_features is "
                f"{', '.join(map(str, sizes))}: give one n_features, and a sweep for each"
            )

    def _check_dataset(self) -> None:
        """Check that batches and laws fit the dataset."""
        sizes = self.values_of("dataset_size")
        if not any(sizes):
            for name in ("full_batch", "hidden_vectors"):
                if getattr(self, name):
                    raise SpecError(f"{name} needs a dataset: give dataset_size too")
            return
        if self.full_batch and not all(sizes):
            raise SpecError(
                "full_batch is given, but dataset_size contains 0, which draws new samples in "
                "every step: leave one of them out"
            )
        largest, fewest = max(self.values_of("batch_size")), min(filter(None, sizes))
        if not self.full_batch and largest > fewest:
            raise SpecError(
                f"batch_size={largest} is above dataset_size={fewest}: give a batch of at most so "
                "many samples, or full_batch, which trains on all of them"
            )
        if self.shared_mask or "shared" in self.values_of("support"):
            raise SpecError(
                "support=shared is a law of whole batches, which a dataset of single samples does "
                "not have: leave dataset_size or support=shared out"
            )

    def _check_steps(self) -> None:
        fewest = min(self.values_of("steps"))
        latest = max(self.values_of("push_step"))
        if latest >= fewest:
            raise SpecError(
                f"push_step={latest} is not below steps={fewest}: it would never be applied; give "
                "an earlier step"
            )
        for step in self.snapshots:
            if step > fewest:
                raise SpecError(
                    f"snapshots contains step {step}, which is after the last of steps={fewest}; "
                    "leave it out, or train longer"
                )

    def _check_list(self, name: str, replaced: str, default: tuple[float, ...]) -> None:
        """Check a list of one value per feature, and set the axis that it replaces to its mean."""
        values = getattr(self, name)
        if values is None:
            return
        sizes = self.values_of("n_features")
        if any(len(values) != n for n in sizes):
            raise SpecError(
                f"{name} has {len(values)} values but n_features is {', '.join(map(str, sizes))}; "
                "give one value per feature"
            )
        mean = (sum(values) / len(values),)
        given = getattr(self, replaced)
        if given == default and len(given) > 1:  # not given by the user
            self._set(replaced, mean)
        elif given != default and given != mean:
            raise SpecError(f"{name} and {replaced} are both given; leave {replaced} out")

    def check_new(self) -> None:
        """Raise SpecError for values that float32 cannot draw or the dtype cannot represent."""
        limits.check_new(self)

    def traced(self) -> Sweep:
        """Return the sweep with its functions traced for all of its shapes (imports jax)."""
        if not self.callables():
            return self
        from jsuper.models.toy.tracing import trace_sweep

        return trace_sweep(self)

    def notes(self) -> list[str]:
        """Return notes on n_hidden > n_features, coarse draws, and more."""
        hidden, features = self.values_of("n_hidden"), self.values_of("n_features")
        pairs = [(m, n) for m in hidden for n in features if m > n]
        notes = [f"n_hidden={m} > n_features={n}: no superposition is needed" for m, n in pairs]
        if max(self.values_of("push_step")) > 0 and not any(self.values_of("push")):
            notes.append("push_step is given but push is 0, so that it has no effect")
        if (
            self.full_batch
            and list(self.values_of("batch_size")) != self.single_defaults()["batch_size"]
        ):
            notes.append("batch_size has no effect with full_batch")
        return notes + limits.notes(self)
