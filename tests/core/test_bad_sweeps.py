"""Sweeps that are refused: each field's bad values, keys, TOML, and what is said."""

import re

import pytest

from jsuper import Sweep
from jsuper.core.errors import SpecError
from jsuper.core.family import sweep_from_dict
from jsuper.core.toml import read_toml

NAN, INF = float("nan"), float("inf")
ONES = (1.0,) * 20


def twice_relu(z):
    """A function of z, for tests."""
    return 2 * z * (z > 0)


def with_name(name):
    """Another function of z, called `name`."""

    def function(z):
        return z

    function.__name__ = name
    return function


def sampler(key, batch):
    """A law of the data, which is not called here."""


def one_argument(key):
    """A sampler that does not take the batch size."""


BAD = [
    # a name that is not known: the value, the close match, what is known
    (dict(activation="gelo"), r"activation='gelo' is not known; did you mean 'gelu'\?.*relu"),
    (dict(activation=("relu", "qqqq")), r"activation='qqqq' is not known.*relu"),
    (dict(activation="elu(-1)"), r"activation='elu\(-1\)'.*alpha must be finite and >= 0"),
    (dict(activation="relu(2)"), r"activation='relu\(2\)'.*takes no parameter"),
    (dict(activation=3), r"activation=3 "),
    (dict(activation=None), r"activation=None "),
    (dict(activation=lambda z: z), r"activation=.*has no name; define it with def"),
    (
        dict(optimizer="adamx"),
        r"optimizer='adamx' is not known.*'adamax'.*adamw, adam, sgd, sgdw, rms",
    ),
    (dict(dtype="float16"), r"dtype='float16' is not known.*float32, float64"),
    (dict(schedule="cosin"), r"schedule='cosin' is not known; did you mean 'cosine'"),
    (dict(reduction="total"), r"reduction='total' is not known.*one of mean, sum"),
    (dict(tied="no"), r"tied='no' is not true or false"),
    (dict(tied=0), r"tied=0 is not true or false"),
    (dict(tied=(True, True)), r"tied contains True twice"),
    (dict(shared_mask="true"), r"shared_mask='true' is not true or false"),
    (dict(init_bias_scale=-1), r"init_bias_scale=-1 is not a finite number >= 0"),
    (dict(init="xavir"), r"init='xavir' is not known; did you mean 'xavier'"),
    # out of range
    (dict(sparsity=1), r"sparsity=1 is not in \[0, 1\).*try 0\.999"),
    (dict(sparsity=(0.5, 1.5)), r"sparsity=1\.5 is not in \[0, 1\)"),
    (dict(sparsity=-0.1), r"sparsity=-0\.1 is not in \[0, 1\)"),
    (dict(dropout=1), r"dropout=1 is not in \[0, 1\).*try 0\.5"),
    (dict(dropout=-0.5), r"dropout=-0\.5 is not in \[0, 1\)"),
    (dict(learning_rate=0), r"learning_rate=0 is not a finite number > 0"),
    (dict(importance_decay=-1), r"importance_decay=-1 is not a finite number > 0"),
    (dict(momentum=1), r"momentum=1 is not in \[0, 1\)"),
    (dict(steps=-5), r"steps=-5 is not >= 1"),
    (dict(steps=0), r"steps=0 is not >= 1"),
    (dict(n_features=0), r"n_features=0 is not >= 1"),
    (dict(n_hidden=-1), r"n_hidden=-1 is not >= 1"),
    (dict(batch_size=0), r"batch_size=0 is not >= 1"),
    (dict(records=0), r"records=0 is not in \[1, 100000\]"),
    (dict(snapshots=(20,), steps=10), r"snapshots.* 20.*steps=10"),
    (dict(snapshots=(-1,)), r"snapshots\[0\]=-1 is not >= 0"),
    # not finite, also where there is no other limit
    (dict(sparsity=NAN), r"sparsity=nan is not in \[0, 1\)"),
    (dict(learning_rate=INF), r"learning_rate=inf is not a finite number > 0"),
    (dict(weight_decay=NAN), r"weight_decay=nan is not a finite number"),
    (dict(weight_decay=-INF), r"weight_decay=-inf is not a finite number"),
    (dict(steps=INF), r"steps=inf is not a whole number"),
    (dict(learning_rate=10**400), r"learning_rate.* is not a finite number"),
    (dict(steps=10**400), r"steps.* is not "),
    # another type
    (dict(sparsity=True), r"sparsity=True is not a number"),
    (dict(sparsity="0.5"), r"sparsity='0\.5' is not a number"),
    (dict(sparsity=None), r"sparsity=None is not a number"),
    (dict(sparsity=((0.5,),)), r"sparsity=\(0\.5,\) is not a number"),
    (dict(steps=True), r"steps=True is not a whole number"),
    (dict(steps="100"), r"steps='100' is not a whole number"),
    (dict(steps=2.5), r"steps=2\.5 is not a whole number"),
    (dict(unpaired=1), r"unpaired=1 is not true or false"),
    # empty, or the same value twice (also when it is written in two ways)
    (dict(sparsity=()), r"sparsity=\[\] is empty; give at least one value"),
    (dict(activation=[]), r"activation=\[\] is empty"),
    (dict(sparsity=(0.5, 0.9, 0.5)), r"sparsity contains 0\.5 twice"),
    (dict(steps=(10, 10.0)), r"steps contains 10 twice"),
    (dict(activation=("relu", "gelu", "relu")), r"activation contains 'relu' twice"),
    (dict(activation=("elu(0.25)", "elu( .250 )")), r"activation contains 'elu\(0\.25\)' twice"),
    (
        dict(activation=(twice_relu, with_name("twice_relu"))),
        r"activation contains 'twice_relu' twice",
    ),
    (dict(activation=("relu", with_name("relu"))), r"activation contains 'relu' twice"),
    # seeds
    (dict(seeds=0), r"seeds=0 is not >= 1.*at least one seed"),
    (dict(seeds=-3), r"seeds=-3 is not >= 1"),
    (dict(seeds=[]), r"seeds=\[\] is empty.*at least one seed"),
    (dict(seeds=[4, 4]), r"seeds contains 4 twice"),
    (dict(seeds=[-1]), r"seeds\[0\]=-1 is not in \[0, 4294967295\]"),
    (dict(seeds=[2**32]), r"seeds\[0\]=4294967296 is not in \[0, 4294967295\]"),
    (dict(seeds=1.5), r"seeds=1\.5 is not a whole number"),
    (dict(seeds=True), r"seeds=True is not a whole number"),
    (dict(seeds="3"), r"seeds='3' is not"),
    # one value per feature
    (dict(importance=(1, 0.5)), r"importance has 2 values but n_features is 20; give one"),
    (dict(importance=ONES, n_features=(20, 30)), r"importance has 20 values.*20, 30"),
    (dict(importance=ONES, importance_decay=0.5), r"importance and importance_decay are both"),
    (dict(importance=(-1.0, *ONES[1:])), r"importance\[0\]=-1 is not a finite number >= 0"),
    (dict(importance=(1.0, NAN, *ONES[2:])), r"importance\[1\]=nan is not a finite number"),
    (dict(importance=(0.0,) * 20), r"importance is zero for every feature"),
    (dict(importance=0.5), r"importance=0\.5 is not a list"),
    (dict(feature_sparsity=(0.5,) * 3), r"feature_sparsity has 3 values but n_features is 20"),
    (dict(feature_sparsity=ONES), r"feature_sparsity\[0\]=1 is not in \[0, 1\)"),
    (
        dict(feature_sparsity=(0.5,) * 20, sparsity=0.9),
        r"feature_sparsity and sparsity are both given",
    ),
    # laws of the data
    (dict(support="pair(0.5)"), r"support='pair\(0.5\)' is not known; did you mean 'pairs'"),
    (dict(support="pairs"), r"support='pairs' has 0 numbers; write pairs\(c\)"),
    (dict(support="sets(0.5)"), r"support='sets\(0.5\)' has 1 number; write sets\(k, c\)"),
    (dict(support="independent(1)"), r"has 1 number; write independent$"),
    (dict(support="pairs(x)"), r"support='pairs\(x\)': 'x' has to be numbers"),
    (dict(support="pairs(0.5"), r"support='pairs\(0.5' is not the name of a law"),
    (dict(support=0.5), r"support=0.5 is not the name of a law"),
    (dict(support="pairs(1.5)"), r"support='pairs\(1.5\)': c=1.5 is not in \[0, 1\]"),
    (dict(support="pairs(nan)"), r"c=nan is not in \[0, 1\]"),
    (dict(support="sets(1, 0.5)"), r"k=1 is not >= 2"),
    (dict(support="sets(2.5, 0.5)"), r"k=2.5 is not a whole number"),
    (
        dict(support="sets(3, 1)"),
        r"sets\(3, 1\), n_features=20.*do not divide into sets of 3.*with k of 2, 4, 5, 10, 20",
    ),
    (
        dict(support="exclusive(3)"),
        r"20 features do not divide into sets of 3: give n_features a multiple of 3, or",
    ),
    (dict(support="exclusive(2)"), r"sparsity=0: .*sum to 2.*give sparsity in \[0.5, 1\)"),
    (dict(support="exclusive(4)", sparsity=(0.8, 0.7)), r"sparsity=0.7: .*in \[0.75, 1\)"),
    (dict(support="exactly(21)"), r"20 features cannot have 21 active ones"),
    (dict(support="exactly(2)", sparsity=0.8), r"the only sparsity is 1 - 2/20 = 0.9"),
    (dict(support=("exactly(1)", "exactly(2)")), r"exactly\(2\).*only sparsity is 1 - 2/20"),
    (dict(support="hierarchy(2, 0)"), r"q=0 is not in \(0, 1\]"),
    (
        dict(support="hierarchy(2, 0.5)", feature_sparsity=(0.5,) * 20),
        r"a tree sets the densities",
    ),
    (dict(support="pairs(1)", shared_mask=True), r"shared_mask and support=pairs\(1\) are both"),
    (dict(values="sined"), r"values='sined' is not known; did you mean 'signed'"),
    (
        dict(values="uniform(1)"),
        r"values='uniform\(1\)': one end of the interval is missing; write uniform\(a, b\)",
    ),
    (dict(values="uniform(2, 1)"), r"a=2 is not below b=1; give the lower end first"),
    (dict(values="uniform(inf, 1)"), r"a=inf is not a finite number"),
    (dict(values="normal(2)"), r"values='normal\(2\)' has 1 number; write normal"),
    (dict(density_power=-1), r"density_power=-1 is not a finite number >= 0"),
    (dict(density_power=1), r"density of the first feature is 5.559, above 1; give sparsity in"),
    (dict(importance={}), r"importance is an empty table"),
    (dict(importance={"a": [1, 1]}), r"importances 'a' has 2 values but n_features is 20"),
    (dict(importance={"a": ONES, "b": [0] * 20}), r"importances 'b' is zero for every feature"),
    (dict(importance={"a(": ONES}), r"label 'a\('.*without brackets and commas"),
    (dict(importance=[ONES, ONES]), r"importance has a list twice; give each once, or labels"),
    (dict(importance={"a": (-1, *ONES[1:])}), r"importance a\[0\]=-1 is not a finite number >= 0"),
    (
        dict(importance={"a": ONES}, importance_decay=0.9),
        r"importances and importance_decay are both",
    ),
    (dict(importances="flat"), r"importances='flat' is not a label and a list; write.*flat\(1, 1"),
    (dict(importances="flat(1, x)"), r"'1, x' has to be numbers, separated by commas"),
    (
        dict(n_features=2, importances=("a(1, 1)", "a(1, 2)")),
        r"the label 'a' for 2 of its values; give each list a different one",
    ),
    (dict(feature_sparsity={"a": (2, *[0.5] * 19)}), r"feature_sparsity a\[0\]=2 is not in \[0, 1"),
    (dict(feature_sparsity={"a": [0.5]}), r"feature_sparsities 'a' has 1 values but n_features is"),
    (
        dict(feature_sparsity={"a": [0.5] * 20}, sparsity=0.9),
        r"feature_sparsities and sparsity are",
    ),
    (
        dict(feature_sparsity={"a": [0.5] * 20}, activity=1),
        r"activity and feature_sparsities a",
    ),
    (
        dict(feature_sparsity={"a": [0.5] * 20}, density_power=1),
        r"feature_sparsities a and density_power are both given",
    ),
    (
        dict(feature_sparsity={"a": [0.4] * 20}, support="exclusive(2)"),
        r"support=exclusive\(2\).*the densities of a set",
    ),
    (dict(activity=0), r"activity=0 is not a finite number > 0"),
    (dict(activity=(1, 21)), r"activity=21 is above n_features=20: give at most 20"),
    (dict(activity=(1, 1)), r"activity contains 1.0 twice"),
    (dict(activity=()), r"activity=\[\] is empty"),
    (dict(activity=1, sparsity=0.5), r"activity and sparsity are both given"),
    (dict(activity=1, feature_sparsity=(0.5,) * 20), r"activity and feature_sparsity are both"),
    (dict(activity=1, n_features=(5, 10)), r"n_features=5, 10 would make a different sparsity"),
    (dict(activity=1, support="exactly(2)"), r"sparsity=0.95: the only sparsity is"),
    (dict(dataset_size=-1), r"dataset_size=-1 is not >= 0: 0 draws new samples in every step"),
    (dict(dataset_size=100), r"batch_size=1024 is above dataset_size=100: give a batch of at most"),
    (
        dict(dataset_size=2**30, n_features=4, n_hidden=1),
        r"n_features=4 times dataset_size=1073741824 is 2\^32 or more.*reduce one of them",
    ),
    (dict(full_batch=True), r"full_batch needs a dataset: give dataset_size"),
    (dict(hidden_vectors=True), r"hidden_vectors needs a dataset"),
    (dict(dataset_size=(0, 100), full_batch=True), r"dataset_size contains 0, which draws new"),
    (dict(dataset_size=2000, support="shared"), r"shared is a law of whole batches.*leave"),
    (dict(normalize=True, support="shared"), r"normalize draws samples.*leave one of them out"),
    # a sampler of the data
    (
        dict(inputs="pairs(1)"),
        r"inputs='pairs\(1\)' is not a function.*in Python only: support and",
    ),
    (dict(inputs=f"sampler@{'0' * 12}"), r"inputs='sampler@0+' is the label of a Python function"),
    (dict(inputs=3), r"inputs=3 is not a function.*given in Python only$"),
    (dict(inputs=(sampler, sampler)), r"inputs=.* is not a function"),
    (dict(inputs=lambda key, batch: 0), r"inputs=.* has no name; define it with def"),
    (
        dict(inputs=one_argument),
        r"inputs=one_argument cannot be called.*def one_argument\(key",
    ),
    (dict(inputs=sampler, sparsity=0.9), r"inputs and sparsity are both given.*leave sparsity out"),
    (dict(inputs=sampler, support="pairs(1)", values="signed"), r"inputs and support, values are"),
    (dict(inputs=sampler, density_power=0.5), r"inputs and density_power are both given"),
    (dict(inputs=sampler, normalize=True), r"inputs and normalize are both given"),
    (dict(inputs=sampler, shared_mask=True), r"inputs and shared_mask are both given"),
    (
        dict(inputs=sampler, feature_sparsity=(0.5,) * 20),
        r"inputs and feature_sparsity are both given",
    ),
    (dict(inputs=sampler, n_features=(5, 20)), r"n_features is 5, 20: give one n_features"),
    (
        dict(density_power=1, feature_sparsity=(0.5,) * 20),
        r"feature_sparsity and density_power are both given",
    ),
]


@pytest.mark.parametrize(
    "fields, said", BAD, ids=[re.sub(" at 0x[0-9a-f]+", "", str(fields))[1:40] for fields, _ in BAD]
)
def test_bad_input_is_refused_and_named(fields, said):
    with pytest.raises(SpecError, match=said) as caught:
        Sweep(**fields)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    "data, said",
    [
        ({"sparsty": 0.5}, r"'sparsty' is not a field of the model 'toy'; did you mean 'sparsity'"),
        ({"n_feature": 3}, r"did you mean 'n_features'.*fields are .*n_hidden"),
        ({"zzz": 1}, r"'zzz' is not a field.*fields are "),
        ({"model": "toi"}, r"model='toi' is not known; did you mean 'toy'"),
        ({"model": 3}, r"model=3 is not known.*one of toy"),
        ({"model": ["toy"]}, r"model=\['toy'\] is not known"),
        ({"sparsity": {"low": 0}}, r"sparsity="),
    ],
)
def test_bad_keys_and_models_are_refused(data, said):
    with pytest.raises(SpecError, match=said):
        sweep_from_dict(data)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"steps = = 3\n", r"config '.*bad\.toml' is not valid TOML.*line 1"),
        (b"steps = 3\nsteps = 4\n", r"is not valid TOML"),
        (b"steps = 3 \xff\n", r"is not valid TOML"),
        (None, r"config '.*bad\.toml' cannot be read: No such file"),
    ],
)
def test_toml_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=said):
        read_toml(path)
