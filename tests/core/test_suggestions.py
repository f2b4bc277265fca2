"""Names from elsewhere are refused with the name that is meant."""

import dataclasses

import pytest
from messages import assert_says

import jsuper
from jsuper.analysis.export import SUFFIXES
from jsuper.analysis.weight_names import NAMINGS
from jsuper.cli import options as flags
from jsuper.core import suggestions
from jsuper.core.errors import SpecError
from jsuper.core.family import FAMILIES, family_of, sweep_from_dict
from jsuper.models.toy.activations.names import KNOWN
from jsuper.training.schedules import SCHEDULES

SUGGESTED = [
    ("n_instances", "sparsity"),
    ("n_hid", "n_hidden"),
    ("hidden", "n_hidden"),
    ("d_in", "n_features"),
    ("n", "n_features"),
    ("m", "n_hidden"),
    ("lr", "learning_rate"),
    ("wd", "weight_decay"),
    ("batch", "batch_size"),
    ("epochs", "steps"),
    ("n_steps", "steps"),
    ("seed", "seeds"),
    ("n_seeds", "seeds"),
    ("density", "sparsity"),
    ("S", "sparsity"),
    ("p", "sparsity"),
    ("feature_prob", "feature_sparsity"),
    ("feature_probability", "feature_sparsity"),
    ("importance_rate", "importance_decay"),
    ("act", "activation"),
    ("activation_function", "activation"),
    ("nonlinearity", "activation"),
    ("optim", "optimizer"),
    ("lr_schedule", "schedule"),
    ("tie-weights", "tied"),
    ("precision", "dtype"),
    ("learningRate", "learning_rate"),
    ("batchSize", "batch_size"),
    ("sparsty", "sparsity"),
]
TOY = [f.name for f in dataclasses.fields(jsuper.Sweep)]


@pytest.mark.parametrize("word, name", SUGGESTED, ids=[row[0] for row in SUGGESTED])
def test_a_field_from_elsewhere_is_refused_with_ours_named(word, name):
    for make in (lambda: jsuper.Sweep(**{word: 1}), lambda: sweep_from_dict({word: 1})):
        with pytest.raises(SpecError) as error:
            make()
        assert_says(str(error.value), f"'{word}' is not a field", f"did you mean '{name}'")


VALUES = [
    ("linear", KNOWN, "identity"),
    ("none", KNOWN, "identity"),
    ("ReLU", KNOWN, "relu"),
    ("GELU", KNOWN, "gelu"),
    ("Swish", KNOWN, "swish"),
    ("SiLU", KNOWN, "silu"),
    ("leakyrelu", KNOWN, "leaky_relu"),
    ("leaky-relu", KNOWN, "leaky_relu"),
    ("LeakyReLU", KNOWN, "leaky_relu"),
    ("LogSoftmax", KNOWN, "log_softmax"),
    ("hard_sigmoid", KNOWN, "hardsigmoid"),
    ("gelu_new", KNOWN, "gelu_tanh"),
    ("none", ["constant", "linear"], "constant"),
    ("mse", ["squared", "cross_entropy"], "squared"),
    ("RMSProp", ["sgd", "rmsprop"], "rmsprop"),
    ("zzz", KNOWN, None),
    ("", KNOWN, None),
    (3, KNOWN, None),
    ("x" * 10**6, KNOWN, None),
]


@pytest.mark.parametrize("value, options, name", VALUES)
def test_a_value_from_elsewhere_has_a_suggestion(value, options, name):
    assert suggestions.suggestion(value, options) == name


def test_the_table_of_names_suggests_only_what_there_is():
    """Every name that is suggested is a field, an option or a value of some family."""
    names = {*TOY, *(f.name for f in dataclasses.fields(flags.RunOptions)), *KNOWN, *FAMILIES}
    names |= {f.name for m in FAMILIES for f in dataclasses.fields(family_of(m).spec.Sweep)}
    names |= {*flags.PLATFORMS, *SUFFIXES, *NAMINGS["toy"], "sgd", *SCHEDULES}
    for model in FAMILIES:
        for f in dataclasses.fields(family_of(model).spec.Sweep):
            names |= set(getattr(f.metadata["check"], "metavar", "").strip("{}").split(","))
    assert suggestions._ELSEWHERE.keys() <= names
    for word in suggestions._ELSEWHERE["n_hidden"].split():
        assert word not in TOY
