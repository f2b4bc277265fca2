"""`jsuper.Sweep`: a grid of toy models, and the rules between its fields.

With `jsuper.models.toy.results`, this is what the family "toy" provides as its `Spec`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jsuper.core.errors import SpecError
from jsuper.core.fields import Omitted
from jsuper.core.json_data import label
from jsuper.models.toy import limits
from jsuper.models.toy.architecture_rules import check_architecture
from jsuper.models.toy.data_rules import check_data
from jsuper.models.toy.ending_rules import check_ending
from jsuper.models.toy.fields import Fields
from jsuper.models.toy.labelled import labels_of, spread
from jsuper.models.toy.results import ATTRIBUTES as ATTRIBUTES
from jsuper.models.toy.results import ENDS as ENDS
from jsuper.models.toy.results import FINITE as FINITE
from jsuper.models.toy.results import KEPT as KEPT
from jsuper.models.toy.results import MOMENTS, moments_of
from jsuper.models.toy.results import SUMMARY as SUMMARY
from jsuper.models.toy.results import coordinates as coordinates
from jsuper.models.toy.results import dataset_numbers as dataset_numbers
from jsuper.models.toy.results import layout as layout
from jsuper.models.toy.results import work as work
from jsuper.models.toy.start_rules import check_starts
from jsuper.training.optimizer_texts import default_decay, has_mask
from jsuper.training.schedules import warmup_steps

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
    training of the notebook of Elhage et al. (2022) on its basic model, n = 20 and m = 5.

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
        Axis, >= 0; of W and b. If omitted, the run folder's value, else 0.01 for adamw, optax's for
        other optimizers of optax that take it, and 0 where it is added to the gradient.
    norm_pull
        Axis, >= 0. Pull γ of the norms of W's columns towards 1, instead of a weight decay:
        W_i ← W_i - η γ W_i (1 - 1/|W_i|) in addition to the optimizer's step, as in Liu et
        al. (2025). An omitted weight decay is then 0.
    importance_decay
        Axis, > 0.
    n_features, n_hidden
        Axes. Numbers of features n and of hidden units m.
    batch_size, steps
        Axes. Samples per step, and optimizer steps.
    until
        Axis. When the training of a model ends: `steps`, after all of them; or `converged`, as soon
        as its loss has not fallen by more than 10 % and three standard errors over the last tenth
        of its steps, at most after `steps`. This is checked after 11,112, 12,347, ... steps, each
        1/0.9 of the one before; `converged(n)` begins at n/0.9 instead of 10,000/0.9. Earlier
        checks take plateaus for the end. The results have `steps_used`; curves and snapshots are
        NaN after that.
    optimizer
        Axis. adamw, adam, sgd, sgdw or rmsprop, with PyTorch's conventions, or another optimizer of
        optax and optax.contrib, such as lion or muon, with its defaults. `sgd(0.5)` sets its own
        learning rate, `adamw(b2=0.95)` or `sgd(0.5, momentum=0)` other numbers. A function
        (learning_rate, weight_decay) -> optax.GradientTransformation is identified by what JAX
        traces of it.
    dtype
        Axis. float32 or float64.
    schedule
        Learning rate over the steps: constant; linear to 0; cosine, a quarter of a wave to 0, as
        in the notebook; half_cosine, half a wave to 0, or to a share of the rate with
        `half_cosine(final=0.1)`; `warmup(100)`, which rises over 100 steps and then stays;
        `warmup_half_cosine(100)`; or one of optax with named arguments, whose value is a factor of
        the learning rate: `exponential_decay(transition_steps=1000, decay_rate=0.5)`. A function of
        the step that returns such a factor is accepted too.
    decay_on
        What the weight decay applies to: "all" parameters, or "W": W and other matrices, without
        biases.
    momentum
        Of sgd and sgdw, in [0, 1).
    init, init_scale, init_instances, init_bias_scale
        Distribution of the initial W (xavier, notebook, unit or normal) and b; see
        `jsuper.models.toy.model.init_std`.
    start
        Axis. Initial weights: `random`, by `init`; `kgon(k)`, the first k features at the corners
        of a polygon of radius 1, or `kgon(k, r)`; `kgon(k, r, s)` has normal noise of standard
        deviation s on W and b; `identity`, a hidden unit for each of the first features; `pca`, the
        best linear model; `zeros`; a run folder; in Python also a Dataset of trained models, or a
        dict of arrays, `{"W": (n_hidden, n_features), "b": (n_features,)}`, of one model or with a
        leading axis of seeds. The models of a Dataset start those with the same coordinates; a
        single one starts all. Run folders store the weights.
    tied
        Axis. Whether the decoder is Wᵀ; if False it is a separate matrix, x̂ = act(W_decᵀ W x + b).
    bias
        Axis. Whether there is a bias; if False b stays 0, and so does the second one of a gate.
    hidden_activation
        Axis. Activation f of the hidden layer, h = f(W x): a name of an activation other than the
        gates, or a function of z (n_hidden, samples). Random ones have their mean in evaluation.
    hidden_bias
        Axis. Whether the hidden layer has a bias, h = f(W x + b_hidden).
    hidden_map
        Axis. A matrix after the hidden layer, h = M f(W x + b_hidden): `none`; `identity` or
        `orthogonal` (random), which are not trained; or `trained`, from the identity.
    hidden_noise
        Axis. Noise on every h_k in training: `normal(s)` of standard deviation s, `uniform(s)` on
        [-s, s], or `sign(s)`, which is s or -s. Losses of results are without noise.
    hidden_l1
        Axis, >= 0. Training adds hidden_l1 E sum_k |h_k| to the loss; results are without it.
    encoder
        Axis. `trained`; or `fixed(orthogonal)`, in short `fixed`: W has random orthonormal rows and
        is not trained; `fixed(gaussian)` is as `init` says. Fixed ones need tied=False.
    normalize_columns
        Axis. Whether every W_i is scaled to length 1, at the start and after each step.
    target
        Axis. What the output is compared with, y: `identity` (x), `abs`, `relu`, `square`,
        `and_pairs` (y_i = x_i x_j for features 2k and 2k + 1), or a function of x (batch,
        n_features) of the same shape, in Python only.
    loss_function, loss
        Axis. The loss l of an output and its target, whose mean over samples and features, weighted
        by importance, is minimized, and stored as `loss`: `squared`; `lp(p)`, |y - x̂|^p with p >=
        1; `active_only`, squared where x_i is not 0, else 0; `cross_entropy`, -y log x̂, for
        activation="softmax" and a target that is a distribution. Other losses have
        `squared_error` beside them. `loss` is short for `loss_function`.
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
        - `in_turn`: sample j of a batch has feature j mod n alone, so that with values of 1 a batch
          of n samples is the identity matrix; sparsity is 1 - 1/n.
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
        Steps after which the parameters are stored; "log(50)" gives 50 steps from 1 to the last,
        evenly spaced in their logarithm, and 0.
    snapshot_parameters
        Whether snapshots hold every parameter; if False W alone.
    keep_state
        Whether to store the optimizer's state, so that `jsuper.continue_run` can train on.
    first_step
        Number of steps that the start has been trained for; set by `jsuper.continue_run`.

    Raises
    ------
    SpecError
        A value is not allowed, or fields contradict each other. The message has the field, its
        value, and what to do.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.

    Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>.

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
        decays = tuple(
            {
                0.0 if pull else default_decay(text)
                for text in self.values_of("optimizer")
                for pull in self.values_of("norm_pull")
            }
        )
        if isinstance(self.weight_decay, Omitted) and len(decays) == 1:
            self._set("weight_decay", Omitted(decays))

    def no_value(self, name: str) -> str:
        """Return the message for optimizers whose defaults of the weight decay differ."""
        optimizers = [label(o) for o in self.values_of("optimizer")]
        pulls = self.values_of("norm_pull")
        if any(pulls):
            return (
                f"{name} is omitted, and norm_pull={', '.join(f'{p:g}' for p in pulls)} has the "
                f"default 0 where it is above 0, and optimizer={', '.join(optimizers)} another one "
                f"at 0: give one value for all of them, {name}=0"
            )
        given = zip(self.values_of("optimizer"), optimizers, strict=True)
        defaults = ", ".join(f"{default_decay(value):g} for {text}" for value, text in given)
        return (
            f"{name} is omitted, and optimizer={', '.join(optimizers)} have different defaults "
            f"({defaults}): give one value for all of them, for example {name}=0"
        )

    def check(self) -> None:
        """Raise SpecError if lists do not fit n_features, or steps do not fit the training."""
        check_data(self, self._set)
        check_architecture(self, self._set)
        check_starts(self, self._set)
        for field in ("activation", "optimizer"):
            labels = [label(a) for a in self.values_of(field)]
            for name, times in Counter(labels).items():
                if times > 1:
                    raise SpecError(
                        f"{field} contains {name!r} twice; give every function a different name"
                    )
        if isinstance(self.snapshots, str):
            self._set("snapshots", self._log_steps())
        if len(set(self.snapshots)) < len(self.snapshots):
            raise SpecError(
                f"snapshots={list(self.snapshots)} contains a step twice; give each step once"
            )
        if not all(self.values_of("bias")):
            self._check_no_bias()
        self._check_decay()
        self._check_steps()
        check_ending(self)

    def _log_steps(self) -> tuple[int, ...]:
        """Return 0 and the steps of snapshots="log(n)", without those that round to the same."""
        steps, *others = self.values_of("steps")
        if others:
            raise SpecError(
                f"snapshots={self.snapshots} depends on the number of steps, and steps has "
                f"{len(others) + 1} values: give a list of steps, or one value of steps"
            )
        count = int(str(self.snapshots)[4:-1])
        spaced = {round(steps ** (i / (count - 1))) for i in range(count)}
        return (0, *sorted(spaced))

    def _check_decay(self) -> None:
        decays = self.weight_decay if isinstance(self.weight_decay, tuple) else ()
        decay, pull = max(decays, default=0), max(self.values_of("norm_pull"))
        if decay > 0 and pull > 0:
            raise SpecError(
                f"norm_pull={pull:g} pulls the norms of W's columns to 1, and weight_decay="
                f"{decay:g} to 0: leave one of them out, or set it to 0"
            )
        if self.decay_on == "all":
            return
        for text in self.values_of("optimizer"):
            if not has_mask(text):
                raise SpecError(
                    f"decay_on={self.decay_on!r}: optimizer={text!r} has no choice of the "
                    "parameters that decay; use decay_on=all, or adamw, for example"
                )

    def _check_no_bias(self) -> None:
        others = {"init_bias_scale": (self.init_bias_scale,), "push": self.values_of("push")}
        for name, values in others.items():
            if any(values):
                raise SpecError(
                    f"bias=false keeps b at 0, and {name}={max(values):g} would change it: leave "
                    "one of them out"
                )

    def _check_steps(self) -> None:
        fewest = min(self.values_of("steps"))
        for text in self.values_of("optimizer") if self.keep_state else ():
            if callable(text) or not moments_of(text):
                raise SpecError(
                    f"keep_state stores the states of {', '.join(MOMENTS)}, and optimizer="
                    f"{label(text)} is another one: leave keep_state out"
                )
        if self.first_step >= fewest:
            raise SpecError(
                f"first_step={self.first_step} is not below steps={fewest}: give the number of "
                "all steps, those of the start and further ones"
            )
        latest = max(self.values_of("push_step"))
        if latest >= fewest:
            raise SpecError(
                f"push_step={latest} is not below steps={fewest}: it would never be applied; give "
                "an earlier step"
            )
        if (rising := warmup_steps(self.schedule)) >= fewest:
            raise SpecError(
                f"schedule={self.schedule} rises for {rising} steps, and steps={fewest} are not "
                "more; train longer, or give fewer steps of warm-up"
            )
        for step in self.snapshots:
            if step > fewest:
                raise SpecError(
                    f"snapshots contains step {step}, which is after the last of steps={fewest}; "
                    "leave it out, or train longer"
                )

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
        sizes = (
            (m, n)
            for part in self.parts()  # zipped sizes are not all combined
            for m in part.values_of("n_hidden")
            for n in part.values_of("n_features")
        )
        pairs = dict.fromkeys((m, n) for m, n in sizes if m > n)
        notes = [f"n_hidden={m} > n_features={n}: no superposition is needed" for m, n in pairs]
        if max(self.values_of("push_step")) > 0 and not any(self.values_of("push")):
            notes.append("push_step is given but push is 0, so that it has no effect")
        if (
            self.full_batch
            and list(self.values_of("batch_size")) != self.single_defaults()["batch_size"]
        ):
            notes.append("batch_size has no effect with full_batch")
        return notes + limits.notes(self)
