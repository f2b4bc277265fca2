"""The fields of a toy model's sweep; `field_checks` has the checks of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jsuper.core.checks import MAX_RECORDS, choice, flag, integer, real
from jsuper.core.fields import Axis, Omitted, alias, setting, static
from jsuper.core.sweep import BaseSweep
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.architecture import (
    IDENTITY,
    MAPS,
    check_encoder,
    check_loss,
    check_noise,
)
from jsuper.models.toy.ending import STEPS, check_until
from jsuper.models.toy.field_checks import (
    check_activation,
    check_hidden,
    check_sampler,
    check_snapshots,
    check_sparsity,
    check_target,
)
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, VALUES, check_law
from jsuper.models.toy.labelled import NO_LIST, labelled, one_or_several
from jsuper.models.toy.starts import RANDOM, check_start
from jsuper.training.optimizer_texts import check_optimizer_or_function
from jsuper.training.optimizers import DECAY_HELP, DEFAULT_DECAYS, NAMES, WITH_MOMENTUM
from jsuper.training.schedules import check_schedule

SPARSITIES = (0.0, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
IMPORTANCE_DECAYS = (0.7,)


@dataclass(frozen=True, kw_only=True)
class Fields(BaseSweep):
    """The declarations; `jsuper.Sweep` adds the rules between them."""

    model: ClassVar[str] = "toy"
    main_axes: ClassVar[tuple[str, ...]] = ("activation", "sparsity")
    branch: ClassVar[str] = "activation"

    activation: Axis[str] | tuple[str | Callable, ...] | Callable = setting(
        ACTIVATIONS, "output activation, by name; elu(0.25) sets a parameter", check_activation
    )
    sparsity: Axis[float] = setting(
        SPARSITIES, "probability that a feature is zero", check_sparsity
    )
    dropout: Axis[float] = setting(
        0.0,
        "probability that a hidden unit is dropped in training (inverted dropout on h)",
        real(0, 1, closed="left", hint="every hidden unit would be dropped; try 0.5"),
    )
    learning_rate: Axis[float] = setting(1e-3, "learning rate", real(0, closed="neither"))
    weight_decay: Axis[float] | None = setting(
        Omitted(),
        f"weight decay on W and b, {DECAY_HELP}; if omitted: that of the run folder, else "
        f"{DEFAULT_DECAYS}",
        real(),
    )
    norm_pull: Axis[float] = setting(
        0.0,
        "pull γ of the norms of W's columns towards 1, W_i - η γ W_i (1 - 1/|W_i|), instead of a "
        "weight decay; 0: none",
        real(0),
        later=True,
        since=2,
    )
    importance_decay: Axis[float] = setting(
        IMPORTANCE_DECAYS,
        "feature i has importance decay^i, i = 0, 1, ...",
        real(0, closed="neither"),
    )
    n_features: Axis[int] = static(20, "number of features n", integer(1), axis=True)
    n_hidden: Axis[int] = static(5, "number of hidden units m", integer(1), axis=True)
    batch_size: Axis[int] = static(1024, "samples per step", integer(1), axis=True)
    steps: Axis[int] = static(10_000, "optimizer steps", integer(1), axis=True)
    until: Axis[str] = static(
        STEPS,
        "when the training of a model ends: after all steps; or converged, when the loss has not "
        "fallen by more than 10 % over the last tenth of its steps, at most after `steps`; "
        "converged(20000) sets the least number of steps, 10,000 by default",
        check_until,
        axis=True,
        later=True,
        since=2,
    )
    optimizer: Axis[str] | tuple[str | Callable, ...] | Callable = static(
        "adamw",
        f"optimizer: {NAMES}, or another one of optax, such as lion or muon ({WITH_MOMENTUM} have "
        "--momentum); sgd(0.5) sets its own learning rate, adamw(b2=0.95) another number",
        check_optimizer_or_function,
        axis=True,
    )
    dtype: Axis[str] = static(
        "float32", "precision of weights and arithmetic", choice("float32", "float64"), axis=True
    )
    schedule: str | Callable = static(
        "constant",
        "schedule of the learning rate: constant, linear, cosine (a quarter of a wave, as in the "
        "notebook), warmup(n), half_cosine(final=0), warmup_half_cosine(n, final=0), or one of "
        "optax, such as exponential_decay(transition_steps=1000, decay_rate=0.5)",
        check_schedule,
    )
    decay_on: str = static(
        "all",
        "what the weight decay applies to: all parameters, or W: matrices, without biases",
        choice("all", "W"),
        later=True,
        since=2,
    )
    momentum: float = static(0.9, f"momentum of {WITH_MOMENTUM}", real(0, 1, closed="left"))
    init: str = static(
        "xavier",
        "initial W: xavier per model, the notebook's stacked tensor, unit with columns of length "
        "about 1, or normal with init_scale",
        choice("xavier", "notebook", "normal", "unit"),
    )
    init_scale: float = static(1.0, "standard deviation of init=normal", real(0, closed="neither"))
    init_instances: int = static(
        10, "number of stacked models whose scale init=notebook copies", integer(1)
    )
    init_bias_scale: float = static(
        0.0, "standard deviation of the initial b; 0: b starts at 0", real(0), later=True
    )
    start: Axis[str] | Any = static(
        RANDOM,
        "initial weights: random, kgon(k, r, noise), pca, identity, zeros, or a run folder; in "
        "Python also a Dataset or arrays",
        check_start,
        axis=True,
        later=True,
        since=2,
    )
    first_step: int = static(
        0,
        "steps that the start has been trained for; jsuper.continue_run sets it",
        integer(0),
        later=True,
        since=2,
    )
    tied: Axis[bool] = static(
        True,
        "whether the decoder is W transposed; false: it is a separate matrix W_dec",
        flag,
        axis=True,
        later=True,
    )
    bias: Axis[bool] = static(
        True,
        "whether there is an output bias b; false: b stays 0",
        flag,
        axis=True,
        later=True,
        since=2,
    )
    hidden_activation: Axis[str] | tuple[str | Callable, ...] | Callable = static(
        IDENTITY,
        "activation f of the hidden layer, h = f(W x); any but the gates",
        check_hidden,
        axis=True,
        later=True,
        since=2,
    )
    hidden_bias: Axis[bool] = static(
        False,
        "whether the hidden layer has a bias, h = f(W x + b_hidden)",
        flag,
        axis=True,
        later=True,
        since=2,
    )
    hidden_map: Axis[str] = static(
        "none",
        "matrix M after the hidden layer, h = M f(W x): none, identity and orthogonal (random), "
        "which stay as they are, or trained, from the identity",
        choice(*MAPS),
        axis=True,
        later=True,
        since=2,
    )
    hidden_noise: Axis[str] = static(
        "none",
        "noise on h in training: none, normal(scale), uniform(scale) on [-scale, scale], or "
        "sign(scale)",
        check_noise,
        axis=True,
        later=True,
        since=2,
    )
    hidden_l1: Axis[float] = setting(
        0.0,
        "factor of the mean over samples of sum |h_k|, which training adds to the loss",
        real(0),
        later=True,
        since=2,
    )
    encoder: Axis[str] = static(
        "trained",
        "W: trained; fixed, or fixed(orthogonal), with random orthonormal rows; or "
        "fixed(gaussian), as init says; the decoder is a separate matrix then",
        check_encoder,
        axis=True,
        later=True,
        since=2,
    )
    normalize_columns: Axis[bool] = static(
        False,
        "whether every W_i is scaled to length 1 after each step",
        flag,
        axis=True,
        later=True,
        since=2,
    )
    target: Axis[str] | tuple[str | Callable, ...] | Callable = static(
        IDENTITY,
        "what the output is compared with: identity (x), abs, relu, square, or and_pairs (x_i x_j "
        "of features 2k and 2k+1)",
        check_target,
        axis=True,
        later=True,
        since=2,
    )
    loss_function: Axis[str] = static(
        "squared",
        "loss of a feature: squared, lp(p) for |error|^p, active_only (squared where x_i is not "
        "0), or cross_entropy of distributions, with activation=softmax",
        check_loss,
        axis=True,
        later=True,
        since=2,
    )
    loss: Axis[str] | None = alias("loss_function", "short for loss_function", check_loss)
    reduction: str = static(
        "mean",
        "training loss: the mean over batch and features, or the sum; stored losses are means",
        choice("mean", "sum"),
        later=True,
    )
    support: Axis[str] = static(
        DEFAULT_SUPPORT,
        "which features are active together: independent, shared (by the whole batch), pairs(c), "
        "sets(k, c), exclusive(k), exactly(k), in_turn or hierarchy(b, q)",
        check_law,
        axis=True,
        later=True,
        since=2,
    )
    values: Axis[str] = static(
        DEFAULT_VALUES,
        f"values of active features: {', '.join(VALUES)}; uniform(a, b) sets the interval",
        check_law,
        axis=True,
        later=True,
        since=2,
    )
    density_power: Axis[float] = static(
        0.0,
        "densities of features fall as (i+1)^-density_power, with the mean 1 - sparsity",
        real(0),
        axis=True,
        later=True,
        since=2,
    )
    activity: Axis[float] | None = alias(
        "sparsity",
        "mean number of active features, instead of sparsity = 1 - activity/n_features",
        real(0, closed="neither"),
    )
    inputs: Callable | None = static(
        None,
        "sampler of the data, fn(key, batch) -> (batch, n_features), instead of sparsity, support "
        "and values; in Python only",
        check_sampler,
        later=True,
        since=2,
    )
    dataset_size: Axis[int] = static(
        0,
        "number of fixed samples to train on; 0: every step draws new ones",
        integer(0, hint="0 draws new samples in every step"),
        axis=True,
        later=True,
        since=2,
    )
    full_batch: bool = static(
        False, "train on all samples of dataset_size in every step", flag, later=True, since=2
    )
    normalize: bool = static(
        False,
        "scale every sample to length 1, and draw only samples with an active feature",
        flag,
        later=True,
        since=2,
    )
    hidden_vectors: bool = static(
        False, "store h of every sample of dataset_size", flag, measured=True, since=2
    )
    shared_mask: bool = static(False, "the older name of support=shared", flag, later=True)
    importance: tuple[float, ...] | Mapping[str, tuple[float, ...]] | None = static(
        None, "importance of every feature, instead of a decay", one_or_several(real(0))
    )
    importances: Axis[str] = setting(
        NO_LIST,
        "lists of the importance of every feature with labels: 'flat(1, 1)' 'steep(1, 0.5)'",
        labelled(real(0)),
        later=True,
        since=2,
    )
    feature_sparsity: tuple[float, ...] | Mapping[str, tuple[float, ...]] | None = static(
        None, "sparsity of every feature, instead of one", one_or_several(check_sparsity)
    )
    feature_sparsities: Axis[str] = static(
        NO_LIST,
        "lists of the sparsity of every feature with labels: 'a(0.9, 0.9)' 'b(0.9, 0.99)'",
        labelled(check_sparsity),
        axis=True,
        later=True,
        since=2,
    )
    push: Axis[float] = setting(
        0.0, "set the bias of feature 0 to -push before step push_step; 0: do not", real(0)
    )
    push_step: Axis[int] = static(
        0, "step before which push is applied; 0: to the initial model", integer(0), axis=True
    )
    watch: bool = static(
        False, "record feature 0's error, bias, its gradient and largest pre-activation", flag
    )
    check_fit: bool = static(
        True,
        "measure the loss after 90 % of the steps too, to find fits that still improve",
        flag,
        measured=True,
        since=2,
    )
    records: int = static(100, "points of the loss curve", integer(1, MAX_RECORDS))
    snapshots: tuple[int, ...] | str = static(
        (),
        "steps after which the parameters are stored; log(50): 0, and 50 steps from 1 to the last "
        "with even logarithms",
        check_snapshots,
    )
    snapshot_parameters: bool = static(
        True,
        "store every parameter at the snapshots; false: W alone",
        flag,
        measured=True,
        since=2,
    )
    keep_state: bool = static(
        False,
        "store the optimizer's state, from which jsuper.continue_run goes on",
        flag,
        measured=True,
        since=2,
    )
