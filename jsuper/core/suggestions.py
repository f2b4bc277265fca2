"""Suggestions for unknown names: names from other code, other spellings, near misses.

One table serves Python, TOML files, flags and values. An unknown name is refused, never replaced.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 100  # characters of a name that are compared

# jsuper's name: names for the same thing in other code. A word may occur in several lines; the
# first line whose name is allowed counts. Case, hyphens and underscores are ignored.
_ELSEWHERE = {
    # fields
    "feature_sparsity": "feature_probability feature_prob feature_probs feature_probabilities",
    "sparsity": "feature_probability feature_prob density densities probability prob p s "
    "sparsity_level n_instances num_instances instances",
    "n_features": "n features n_feat n_feats num_features n_inputs n_input d_in input_dim "
    "in_features",
    "d_embed": "d_resid d_model d_embedding embed_dim width",
    "n_hidden": "m hidden n_hid hid hidden_dim hidden_size n_hidden_units n_units d_hidden "
    "num_hidden d_hid d_model d_mlp bottleneck",
    "batch_size": "batch bs batchsize n_batch n_samples samples",
    "steps": "epochs epoch n_epochs num_epochs n_steps num_steps iterations iters n_iter max_iter "
    "max_steps train_steps training_steps",
    "learning_rate": "lr lrs eta step_size",
    "weight_decay": "wd l2 l2_penalty",
    "importance_decay": "importance_rate importance_base importance_factor",
    "importance": "feature_importance weights",
    "activation": "act acts act_fn act_func activation_fn activation_function nonlinearity "
    "nonlin output_activation",
    "optimizer": "optim opt optimiser",
    "schedule": "scheduler lr_schedule lr_scheduler lr_decay",
    "dropout": "dropout_rate dropout_prob drop p_drop",
    "seeds": "seed n_seeds num_seeds random_seed random_state rng repeats n_repeats replicates "
    "n_runs trials n_trials n_instances num_instances instances",
    "tied": "untied tie tie_weights tied_weights weight_tying",
    "init": "initialization initializer weight_init init_method",
    "init_scale": "init_std std sigma",
    "dtype": "precision",
    "snapshots": "checkpoints save_steps",
    "records": "n_records log_points",
    "rank": "r target_rank n_components",
    "pairs": "k n_pairs num_pairs factors n_factors n_hidden hidden",
    "size": "d dim n n_features n_dim matrix_size",
    "objective": "loss loss_fn criterion",
    "out": "o output output_dir out_dir outdir folder save_dir run_dir",
    "platform": "device backend accelerator",
    "workers": "j jobs n_jobs threads num_workers n_workers",
    # values
    "identity": "linear none lin id no_activation",
    "gelu_tanh": "gelu_new gelu_approx gelu_approximate",
    "leaky_relu": "lrelu",
    "relu_squared": "relu2 squared_relu",
    "sigmoid": "logistic",
    "sgd": "gd gradient_descent momentum nesterov",
    "float32": "float single fp32 f32",
    "float64": "double fp64 f64",
    "constant": "none const fixed",
    "cosine": "cos quarter_cosine",
    "half_cosine": "cosine_decay cosine_annealing annealing",
    "warmup": "warm_up linear_warmup",
    "warmup_half_cosine": "warmup_cosine warmup_cosine_decay",
    "linear": "linear_decay",
    "xavier": "glorot xavier_normal glorot_normal",
    "normal": "gaussian randn",
    "mean": "average avg",
    "squared": "mse l2",
    "cross_entropy": "ce xent",
    "gpu": "cuda nvidia rocm",
    "netcdf": "nc nc4 netcdf4 hdf5 h5",
    "parquet": "pq feather",
    "csv": "tsv xls xlsx excel",
    "notebook": "elhage anthropic",
    "torch": "pytorch pt nn",
    "spd": "apd goodfire apollo tms",
    "safetensors": "safetensor hf huggingface pt pth",
    "toy": "tms toy_model toy_models superposition",
    "factorization": "low_rank matrix_factorization factorisation",
    "mlp": "resid_mlp residual_mlp compressed_computation",
    "n_layers": "layers depth num_layers n_layer",
    "target_noise": "label_noise noise noise_scale",
}
_PER_FEATURE = (
    "feature_sparsity is 1 - probability, one value per feature; sparsity is 1 - probability where "
    "all features share it."
)
# Name in other code: how its values become jsuper's.
_CONVERSIONS = dict.fromkeys(
    ("feature_probability", "feature_prob", "feature_probs", "feature_probabilities"), _PER_FEATURE
)
_CONVERSIONS |= dict.fromkeys(
    ("density", "densities", "probability", "prob", "p"), "sparsity is 1 - density."
)
_CONVERSIONS |= dict.fromkeys(
    ("n_instances", "num_instances", "instances"),
    "Every value of an axis is an instance; seeds repeat each of them.",
)
_CONVERSIONS |= {"untied": "untied is tied=false."}


def _key(name: object) -> str:
    return "".join(c for c in str(name)[:LONGEST].lower() if c.isalnum())


_OURS: dict[str, list[str]] = {}
for _name, _words in _ELSEWHERE.items():
    for _word in _words.split():
        _OURS.setdefault(_key(_word), []).append(_name)
_HOW = {_key(word): how for word, how in _CONVERSIONS.items()}


def suggestion(value: object, options: Iterable[str]) -> str | None:
    """Return the option that an unknown name most likely means, or None.

    Parameters
    ----------
    value
        The unknown name.
    options
        The allowed names.
    """
    names, key = list(options), _key(value)
    spelled = {_key(n): n for n in reversed(names)}
    candidates = [spelled[key]] if key in spelled else []
    candidates += [n for n in _OURS.get(key, ()) if n in names]
    candidates += difflib.get_close_matches(str(value)[:LONGEST].lower(), names, n=1)
    return candidates[0] if candidates else None


def conversion(value: object) -> str:
    """Return ' ' and a sentence on how values of a name in other code become jsuper's, or ''."""
    how = _HOW.get(_key(value))
    return f" {how}" if how else ""


def did_you_mean(value: object, options: Iterable[str]) -> str:
    """Return '; did you mean X?' and how to convert the value, or '' if no option is close."""
    found = suggestion(value, options)
    return f"; did you mean {found!r}?{conversion(value)}" if found else ""


def not_one_of(subject: str, value: object, options: Iterable[str], listed: str) -> str:
    """Return the message for an unknown name: subject, suggestion, and what is allowed.

    Parameters
    ----------
    subject
        What is wrong, such as "optimizer='adamx' is not known".
    value
        The unknown name.
    options
        The allowed names.
    listed
        Words before the list of options, such as "it is one of".
    """
    names = list(options)
    hint, allowed = did_you_mean(value, names), f"{listed} {', '.join(names)}"
    return f"{subject}{hint} {allowed[0].upper()}{allowed[1:]}" if hint else f"{subject}; {allowed}"
