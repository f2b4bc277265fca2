"""Names and shapes under which other code expects a model's weights, by family and convention.

A convention is a function: a model's arrays and its fields -> its tensors. Matrices of PyTorch's
`nn.Linear` are (outputs, inputs). A family without a convention has its variables' own names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Setting, Static
from jsuper.core.suggestions import not_one_of
from jsuper.models.toy.activations.names import GATED
from jsuper.models.toy.results import OPTIONAL

Arrays = dict[str, np.ndarray]
Fields = dict[str, Any]
"""Static values, setting and seed of one model."""
Naming = Callable[[Arrays, Fields], Arrays]

OWN = "jsuper"
STACKED = ("notebook",)  # conventions whose tensors always have a leading axis of models


def toy_linear(arrays: Arrays, fields: Fields) -> Arrays:
    """Return the layers of x̂ = act(decoder(encoder(x))), each as an `nn.Linear`.

    encoder.weight (m, n) is W, without a bias; decoder.weight (n, m) is Wᵀ, or W_decᵀ of untied
    models; decoder.bias (n,) is b. Gated models, x̂ = gate(decoder(h)) ⊙ value(h), have
    value.weight (n, m), Vᵀ, and value.bias (n,), c. A hidden layer, h = hidden(f(encoder(x))), has
    encoder.bias (m,), b_hidden, and hidden.weight (m, m), M; f is the hidden_activation.
    """
    found = {
        "encoder.weight": arrays["W"],
        "decoder.weight": arrays.get("W_dec", arrays["W"]).T,
        "decoder.bias": arrays["b"],
    }
    if fields["activation"] in GATED:
        found |= {"value.weight": arrays["V"].T, "value.bias": arrays["c"]}
    further = {"encoder.bias": "b_hidden", "hidden.weight": "M"}
    return found | {name: arrays[own] for name, own in further.items() if own in arrays}


def toy_notebook(arrays: Arrays, fields: Fields) -> Arrays:
    """Return W (n, m) and b_final (n,), which the notebook stacks over instances.

    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>: the class `Model` of its notebook.
    """
    _refuse_gated("notebook", fields)
    _refuse_hidden("notebook", arrays, fields, ("b_hidden", "M"))
    if "W_dec" in arrays:
        raise SpecError(
            "names='notebook' has no decoder matrix, and tied=false is selected; select "
            "tied=true, or give names='torch'"
        )
    return {"W": arrays["W"].T, "b_final": arrays["b"]}


def toy_spd(arrays: Arrays, fields: Fields) -> Arrays:
    """Return linear1.weight (m, n), linear2.weight (n, m) and linear2.bias (n,).

    With a map of the hidden layer also hidden_layers.0.weight (m, m). The state dict of the class
    `TMSModel` in the code of stochastic parameter decomposition,
    https://github.com/goodfire-ai/spd, spd/experiments/tms/models.py.
    """
    _refuse_gated("spd", fields)
    _refuse_hidden("spd", arrays, fields, ("b_hidden",))
    found = toy_linear(arrays, fields)
    layers = {"encoder": "linear1", "decoder": "linear2", "hidden": "hidden_layers.0"}
    return {
        f"{layers[layer]}.{kind}": array
        for (layer, kind), array in ((name.split("."), found[name]) for name in found)
    }


def _refuse_gated(names: str, fields: Fields) -> None:
    if fields["activation"] in GATED:
        raise SpecError(
            f"names={names!r} has no second decoder matrix, and activation="
            f"{fields['activation']} is selected; select other activations, or give names='torch'"
        )


def _refuse_hidden(names: str, arrays: Arrays, fields: Fields, unknown: tuple[str, ...]) -> None:
    activation = fields.get("hidden_activation", "identity")
    found = [name for name in unknown if name in arrays]
    if activation != "identity":
        found.append(f"hidden_activation={activation}")
    if found:
        raise SpecError(
            f"names={names!r} has no hidden layer with {', '.join(found)}; give names='torch'"
        )


def factorization_linear(arrays: Arrays, fields: Fields) -> Arrays:
    """Return encoder.weight (K, d), the b_k, and decoder.weight (d, K), the a_k: Z = their product.

    decoder(encoder(x)) = Z x = Σ_k a_k (b_k · x).
    """
    del fields
    return {"encoder.weight": arrays["B"], "decoder.weight": arrays["A"].T}


def mlp_layers(arrays: Arrays, fields: Fields) -> Arrays:
    """Return layers.i.mlp_in.weight (m/L, d), its bias, layers.i.mlp_out.weight (d, m/L), and W_E.

    W_E (n, d) is the embedding, which is fixed and made from the seed, and W_U (d, n) its
    transpose; they are left out if the stream is x. The state dict of the class `ResidualMLP` in
    the code of stochastic parameter decomposition, https://github.com/goodfire-ai/spd,
    spd/experiments/resid_mlp/models.py.
    """
    found = {}
    if d := fields["d_embed"]:
        E = mlp_embedding(fields, d)
        found |= {"W_E": E, "W_U": E.T}
    layers = [np.split(arrays[name], fields["n_layers"]) for name in ("W_in", "b", "W_out")]
    for i, (reads, bias, writes) in enumerate(zip(*layers, strict=True)):
        found |= {f"layers.{i}.mlp_in.weight": reads, f"layers.{i}.mlp_out.weight": writes.T}
        if fields["bias"]:
            found[f"layers.{i}.mlp_in.bias"] = bias
    return found


def mlp_embedding(fields: Fields, d: int) -> np.ndarray:
    """Return the embedding of a model, which is made from its key, (n, d)."""
    from jsuper.models.mlp.model import embedding
    from jsuper.models.mlp.spec import Sweep
    from jsuper.training.keys import seed_key, unpaired_key

    key = seed_key(fields["seed"])
    if fields["unpaired"]:
        point = {k: v for k, v in fields.items() if k != "seed"}
        key = unpaired_key(fields["seed"], Sweep.identity(point))
    return np.asarray(embedding(key, fields["n_features"], d, fields["dtype"]))


def mlp_spd(arrays: Arrays, fields: Fields) -> Arrays:
    """Return the same of models that `ResidualMLP` can be."""
    if not fields["residual"] or not fields["d_embed"]:
        raise SpecError(
            "names='spd' has an embedding and a residual stream; give names='torch' for models "
            "with residual=false or d_embed=0"
        )
    return mlp_layers(arrays, fields)


NAMINGS: dict[str, dict[str, Naming]] = {  # family -> convention -> function, the default first
    "toy": {"torch": toy_linear, "notebook": toy_notebook, "spd": toy_spd},
    "factorization": {"torch": factorization_linear},
    "mlp": {"torch": mlp_layers, "spd": mlp_spd},
}
PARAMETERS = {
    "toy": ("W", "b", *OPTIONAL),
    "factorization": ("A", "B"),
    "mlp": ("W_in", "W_out", "b"),
}


def naming_of(model: str, names: str | None) -> tuple[str, Naming]:
    """Return a convention of a family, and its name; None: the family's first.

    Raises
    ------
    SpecError
        The family has no such convention.
    """
    known = NAMINGS.get(model, {}) | {OWN: own_names}
    names = next(iter(known)) if names is None else names
    if names not in known:
        subject = f"names={names!r} is not known for models of the family {model!r}"
        raise SpecError(not_one_of(subject, names, known, "the names are"))
    return names, known[names]


def own_names(arrays: Arrays, fields: Fields) -> Arrays:
    """Return the variables under their own names; V and c of gated models alone."""
    gated = fields.get("activation") in GATED
    return {k: v for k, v in arrays.items() if gated or k not in ("V", "c")}


def parameters_of(model: str, static: Static, settings: tuple[Setting, ...]) -> list[str]:
    """Return the variables of a chunk that are weights.

    A family of another package may name them in `PARAMETERS` of its `spec`; by default they are its
    arrays without a dimension of steps.
    """
    spec = family_of(model).spec
    layout = spec.layout(static, settings)
    stated = PARAMETERS.get(model, getattr(spec, "PARAMETERS", None))
    if stated is not None:
        return [name for name in stated if name in layout]
    return [
        name
        for name, (dims, _) in layout.items()
        if dims and not any(dim.endswith("step") for dim in dims)
    ]
