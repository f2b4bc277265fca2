"""The groups in which `jsuper sweep --help` shows the fields of every model family.

A new field is added here, to the group where a user would look for it. A field that no group names,
of a family in another package, is shown with the model.
"""

from __future__ import annotations

from collections.abc import Iterable

GROUPS: dict[str, tuple[str, str]] = {  # group -> what it is, and its fields in the order shown
    "model": (
        "What is trained.",
        "activation n_features n_hidden tied bias d_embed n_layers residual hidden_activation "
        "hidden_bias hidden_map encoder normalize_columns dropout pairs",
    ),
    "data": (
        "What it is trained on, and how much each feature counts.",
        "sparsity activity support values density_power feature_sparsity feature_sparsities "
        "importance_decay importance importances dataset_size full_batch normalize inputs "
        "shared_mask rank size strength strength_ratio target target_residual target_noise "
        "probabilities",
    ),
    "training": (
        "How it is trained, from which start, and how often.",
        "seeds unpaired steps until batch_size objective reduction optimizer learning_rate "
        "weight_decay decay_on norm_pull momentum schedule loss loss_function hidden_l1 "
        "hidden_noise start first_step init init_scale init_instances init_bias_scale push "
        "push_step dtype",
    ),
    "recording": (
        "What is stored besides the final weights and losses.",
        "records spacing snapshots snapshot_parameters watch check_fit hidden_vectors keep_state",
    ),
}
REST = "model"


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Return group -> those of some fields that it shows, in its order; each field once."""
    left, found = list(names), {}
    for group, (_, listed) in GROUPS.items():
        found[group] = [name for name in listed.split() if name in left]
        left = [name for name in left if name not in found[group]]
    found[REST] += left
    return {group: some for group, some in found.items() if some}
