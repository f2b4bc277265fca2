"""What is said of input that cannot be used: tables of input, outcome and words of the message.

A row of a table is one test: the input, and patterns that must all be found in the message.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from messages import assert_says, call

import jsuper
from jsuper.analysis import hypotheses, kurtosis, statistics, superposition
from jsuper.cli import options as flags
from jsuper.cli import process
from jsuper.core.errors import SpecError
from jsuper.engine import devices
from jsuper.factorization import Sweep as Factorization

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------- the command line

REFUSED = [
    # numbers
    ("sweep --steps 10.5", r"steps=10\.5 is not a whole number"),
    ("sweep --steps 1e-3", r"steps=0\.001 is not a whole number"),
    ("sweep --steps many", r"steps='many' is not a whole number"),
    ("sweep --steps 1e400", r"steps=inf is not a whole number"),
    ("sweep --batch-size 2.5e0", r"batch_size=2\.5 is not a whole number"),
    ("sweep --seeds 1.5", r"seeds=1\.5 is not a whole number"),
    ("sweep --snapshots 1 2.5", r"snapshots\[1\]=2\.5 is not a whole number"),
    ("sweep --learning-rate fast", r"learning_rate='fast' is not a number"),
    ("sweep --momentum 0,5", r"momentum='0,5' is not a number"),
    ("sweep --workers 1.5", r"workers=1\.5 is not a whole number"),
    ("sweep --workers two", r"workers='two' is not a whole number"),
    ("sweep --grace soon", r"grace='soon' is not a number"),
    ("sweep --grace -1", r"grace=-1 is not a finite number >= 0", r"seconds; try 30"),
    ("sweep --importance", r"importance has 0 values but n_features is 20"),
    ("findings --seeds 1", r"seeds=1 is not >= 2: a verdict needs a spread"),
    ("findings --seeds 2.5", r"seeds=2\.5 is not a whole number"),
    ("study gelu --seeds few", r"seeds='few' is not a whole number"),
    ("scrub run --overlap 0", r"overlap=0 is not in \(0, 1\]: try 0\.1"),
    ("scrub run --overlap much", r"overlap='much' is not a number"),
    # true and false
    ("sweep --tied 0", r"tied='0' is not true or false"),
    ("sweep --tied true maybe", r"tied='maybe' is not true or false"),
    ("sweep --watch no", r"watch='no' is not true or false"),
    ("sweep --watch true false", r"watch takes one value, true or false, and not 2"),
    ("sweep --dry-run true", r"'true' is not expected here", r"jsuper sweep --help"),
    # commas
    ("sweep --sparsity 0.9,0.99", r"separate values with spaces: --sparsity 0\.9 0\.99$"),
    ("sweep --sparsity=0.9,0.99", r"separate values with spaces: --sparsity 0\.9 0\.99$"),
    ("sweep --sparsity 0.9, 0.99", r"separate values with spaces: --sparsity 0\.9 0\.99$"),
    ("sweep --sparsity [0.9,0.99]", r"separate values with spaces: --sparsity 0\.9 0\.99$"),
    ("sweep --sparsity (0.9,0.99)", r"separate values with spaces: --sparsity 0\.9 0\.99$"),
    ("sweep --activation relu,gelu", r"separate values with spaces: --activation relu gelu$"),
    ("sweep --activation relu,elu(1)", r"spaces: --activation relu 'elu\(1\)'$"),
    ("sweep --optimizer sgd,adam", r"spaces: --optimizer sgd adam$"),
    ("sweep --seeds 4,9", r"spaces: --seeds 4 9$"),
    ("sweep --tied true,false", r"spaces: --tied true false$"),
    ("sweep --dtype float32,float64", r"spaces: --dtype float32 float64$"),
    ("sweep --importance 1,0.5", r"spaces: --importance 1 0\.5$"),
    ("sweep --n-hidden 2,5", r"spaces: --n-hidden 2 5$"),
    # names
    ("sweep --preset activation", r"preset='activation' is not known; did you mean 'activations'"),
    (
        "sweep --preset nothing",
        r"preset='nothing' is not known; the presets are abs_value, .*activations",
    ),
    ("sweep --model tms", r"model='tms' is not known; did you mean 'toy'\? It is one of"),
    ("sweep --model factorisation", r"did you mean 'factorization'"),
    ("sweep --optimizer Adam", r"optimizer='Adam' is not known; did you mean 'adam'\?"),
    ("sweep --optimizer AdamW", r"did you mean 'adamw'\? It is one of adamw, adam"),
    ("sweep --platform cuda", r"platform='cuda' is not one of .*; did you mean 'gpu'\?"),
    ("sweep --plan fastest", r"plan='fastest' is not known; it is one of auto, reference"),
    ("sweep --plan sequental", r"did you mean 'sequential'"),
    ("sweep --engine Ray", r"engine='Ray' is not known; did you mean 'ray'"),
    ("sweep --dtype double", r"did you mean 'float64'"),
    ("sweep --schedule lin", r"did you mean 'linear'"),
    ("sweep --activation linear", r"activation='linear' is not known; did you mean 'identity'"),
    ("findings gelu-numbrs", r"finding 'gelu-numbrs' is not known; did you mean 'gelu-numbers'"),
    ("study gelu --platform cuda", r"did you mean 'gpu'"),
    ("claims --platform quantum", r"platform='quantum' is not one of auto, cpu, gpu, tpu"),
    ("export run --format nc", r"format='nc' is not one of .*; did you mean 'netcdf'"),
    # flags and commands
    ("sweep --sparsities 0.9", r"--sparsities is not a flag of jsuper sweep", r"--sparsity\?"),
    ("sweep --lr 0.1", r"did you mean --learning-rate\? jsuper sweep --help lists"),
    ("sweep --lr=0.1", r"--lr is not a flag of jsuper sweep; did you mean --learning-rate"),
    ("sweep --n-instances 3", r"did you mean --sparsity\? Every value of an axis is an instance"),
    ("sweep --feature-probability 0.1", r"--feature-sparsity\? feature_sparsity is 1 - prob"),
    ("sweep --no-tied", r"did you mean --tied\?"),
    ("sweep --output here", r"did you mean --out\?"),
    ("sweep --zzzzz", r"--zzzzz is not a flag of jsuper sweep; jsuper sweep --help lists"),
    ("sweep -sparsity 0.9", r"-sparsity is not a flag of jsuper sweep; did you mean --sparsity"),
    ("sweep activations", r"'activations' is not expected here", r"jsuper sweep --help"),
    ("sweep --init-scale 1 2", r"'2' is not expected here: it is one value too many"),
    ("sweep --rank=2", r"^error: --rank is a field of the model 'factorization'.*--model fact"),
    ("sweep --model factorization --lr 1", r"did you mean --learning-rate"),
    ("sweep --model factorization --n-pairs 4", r"did you mean --pairs"),
    ("sweep --config c.toml --out", r"Missing value for argument '--out'", r"jsuper sweep --help"),
    ("report run --no-report", r"--no-report is not a flag of jsuper report; .*--help"),
    ("export run --fromat csv", r"did you mean --format\?"),
    ("status run extra", r"'extra' is not expected here"),
    ("status", r"required", r"RUN", r"jsuper status --help"),
    ("export --fromat csv run", r"--fromat is not a flag of jsuper export; did you mean --format"),
    ("report --run run", r"--run is not a flag of jsuper report; jsuper report --help"),
    ("verify --json run", r"--json is not a flag of jsuper verify"),
    ("swep", r"command 'swep' is not known; did you mean 'sweep'\? The commands are sweep, status"),
    ("train", r"command 'train' is not known; the commands are sweep"),
    ("--sparsity 0.9", r"unrecognized arguments: --sparsity"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_a_command_that_cannot_be_run_says_why_and_writes_nothing(empty, capsys, row):
    command, *patterns = row
    (empty / "c.toml").write_text("steps = 5\n")
    assert call(command.split()) == process.BAD_INPUT == 2
    out, error = capsys.readouterr()
    assert_says(error.strip(), *patterns)
    assert "Traceback" not in error and out == ""
    assert [p.name for p in empty.iterdir()] == ["c.toml"]


BAD_FILES = [
    ("feature_probability = 0.1", r"did you mean 'feature_sparsity'\? .*1 - probability"),
    ("n_instances = 8", r"did you mean 'sparsity'\? Every value of an axis is an instance"),
    ("epochs = 10", r"'epochs' is not a field of the model 'toy'; did you mean 'steps'"),
    ("n_hid = 5", r"did you mean 'n_hidden'"),
    ("rank = 2", r"'rank' is a field of the model 'factorization'.*add model = 'factorization'"),
    ("out = 'runs/x'", r"'out' in c\.toml says how to run, not what.*the flag --out"),
    ("activation = 'relu,gelu'", r"is a single string; give a list of values: \['relu', 'gelu'\]"),
    ("sparsity = '0.9,0.99'", r"is a single string; give a list of values: \[0\.9, 0\.99\]"),
    ("steps = 2.5", r"steps=2\.5 is not a whole number"),
    ("model = 'low_rank'", r"did you mean 'factorization'"),
    ("model = 'factorization'\nd = 50", r"did you mean 'size'"),
]


@pytest.mark.parametrize("row", BAD_FILES, ids=[row[0] for row in BAD_FILES])
def test_a_file_that_cannot_be_run_says_why(empty, capsys, row):
    text, *patterns = row
    (empty / "c.toml").write_text(text)
    assert call(["sweep", "--config", "c.toml"]) == 2
    assert_says(capsys.readouterr().err, *patterns)
    assert [p.name for p in empty.iterdir()] == ["c.toml"]


ACCEPTED = [
    ("--steps 1e3 --batch-size 1e2", dict(steps=1000, batch_size=100)),
    ("--seeds 1e1", dict(seeds=10)),
    ("--seeds 1e1 2", dict(seeds=(10, 2))),
    ("--seeds=4", dict(seeds=4)),
    ("--n_features 1e1 20.0", dict(n_features=(10, 20))),
    ("--snapshots 1e1 --records 2e1", dict(snapshots=(10,), records=20)),
    ("--tied False", dict(tied=False)),
    ("--tied TRUE false", dict(tied=(True, False))),
    ("--watch", dict(watch=True)),
    ("--watch True --unpaired --shared-mask TRUE", dict(watch=True, unpaired=True)),
    ("--watch=false --unpaired false", {}),
    ("--sparsity -0 1e-1", dict(sparsity=(0, 0.1))),
    ("--weight-decay 1e-2 0", dict(weight_decay=(0.01, 0))),
    ("--learning-rate 1", dict(learning_rate=1)),
    ("--activation elu(0.5) relu", dict(activation=("elu(0.5)", "relu"))),
]


@pytest.mark.parametrize("flags_, fields", ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_flags_are_read_as_python_reads_them(flags_, fields):
    if "shared-mask" in flags_:
        fields = fields | dict(shared_mask=True)
    assert flags.parse(flags_.split())[0] == jsuper.Sweep(**fields)


def test_a_flag_may_turn_off_what_a_file_turns_on(empty):
    (empty / "c.toml").write_text("watch = true\nshared_mask = true\ntied = false\n")
    given = ["--config", "c.toml", "--watch", "false", "--tied", "true"]
    assert flags.parse(given)[0] == jsuper.Sweep(shared_mask=True)


def test_the_options_know_the_platforms_and_batchings_of_the_plan():
    assert (flags.PLATFORMS, flags.BATCHINGS) == (devices.PLATFORMS, devices.BATCHINGS)


# ------------------------------------------------------------------------------------------ Python

MODEL = xr.Dataset(
    {"loss": (("activation", "sparsity", "seed"), np.ones((1, 1, 2))), "status": 1},
    coords={"activation": ["relu"], "sparsity": [0.9], "seed": [0, 1]},
)
MODEL["status"] = xr.ones_like(MODEL.loss, dtype=np.int8)
W, B, X = np.eye(2, 4), np.zeros(4), np.ones((4, 3))
SWEEP = jsuper.Sweep(activation="relu", sparsity=0.9, seeds=1, steps=2)
KEY = jsuper.seed_key(1)

CALLS = [
    # run
    (lambda: jsuper.run("relu"), TypeError, r"sweep is 'relu', not a Sweep", r"jsuper\.Sweep\("),
    (lambda: jsuper.run({"activation": "relu"}), TypeError, r"sweep is a dict", r"jsuper\.Sweep\("),
    (lambda: jsuper.run(jsuper.Sweep), TypeError, r"sweep is the class Sweep"),
    (lambda: jsuper.run(MODEL), TypeError, r"sweep is a Dataset"),
    (lambda: jsuper.run([SWEEP]), TypeError, r"sweep is a list"),
    (lambda: jsuper.run(SWEEP, 3), TypeError, r"out is 3, not the path of a run folder"),
    (lambda: jsuper.run(SWEEP, MODEL), TypeError, r"out is a Dataset", r"out='runs/mine'"),
    (lambda: jsuper.run(SWEEP, workers="2"), SpecError, r"workers='2' is not a whole number"),
    (lambda: jsuper.run(SWEEP, workers=0), SpecError, r"workers=0 is not >= 1"),
    (lambda: jsuper.run(SWEEP, platform="cuda"), SpecError, r"did you mean 'gpu'"),
    (lambda: jsuper.run(SWEEP, platform=3), SpecError, r"platform=3 is not one of auto"),
    (lambda: jsuper.run(SWEEP, plan="row"), SpecError, r"plan='row'.*did you mean 'rows'"),
    (lambda: jsuper.run(SWEEP, plan=3), TypeError, r"plan is 3", r"plan='reference'"),
    # sweeps
    (lambda: jsuper.Sweep("relu"), TypeError, r"keyword arguments", r"Sweep\(activation='relu'"),
    (lambda: Factorization(3), TypeError, r"are keyword arguments, but 3 is positional"),
    (lambda: Factorization(activation="relu"), SpecError, r"'activation' is not a field of the"),
    (lambda: jsuper.Sweep(sparsity="0.9,0.99"), SpecError, r"give a list of values: \[0\.9, 0\.99"),
    (lambda: jsuper.Sweep(activation="relu,gelu"), SpecError, r"list of values: \['relu', 'gelu'"),
    # folders and Datasets
    (lambda: jsuper.load(MODEL), TypeError, r"path is a Dataset", r"jsuper\.load\('runs/act"),
    (lambda: jsuper.load(3), TypeError, r"path is 3, not the path of a run folder"),
    (lambda: jsuper.load("nowhere", 3), TypeError, r"variables is 3", r"variables=\['loss', 'W'\]"),
    (lambda: jsuper.load("nowhere"), FileNotFoundError, r"nowhere does not exist", r"jsuper list"),
    (lambda: jsuper.load("."), FileNotFoundError, r"\. is not a run folder: it has no manifest"),
    (lambda: jsuper.export(MODEL), TypeError, r"run is a Dataset", r"jsuper\.export\('runs/act"),
    (lambda: jsuper.export("x", "xls"), SpecError, r"did you mean 'csv'"),
    (lambda: jsuper.report.write(MODEL), TypeError, r"run is a Dataset", r"jsuper\.report\.write"),
    (lambda: jsuper.analyze("runs/x"), TypeError, r"ds is 'runs/x'", r"jsuper\.load\('runs/act"),
    (lambda: jsuper.analyze(MODEL), ValueError, r"ds has no attrs\['sweep'\]"),
    (lambda: jsuper.scrub_all(None), TypeError, r"ds is None", r"jsuper\.scrub_all\(jsuper\.load"),
    (lambda: jsuper.best("x"), TypeError, r"ds is 'x'", r"jsuper\.best\(jsuper\.load"),
    (lambda: jsuper.best(MODEL.loss), TypeError, r"ds is a DataArray"),
    (lambda: jsuper.best(MODEL, by="los"), ValueError, r"by='los'.*did you mean 'loss'"),
    # models
    (lambda: jsuper.forward("x", B, "relu", X), TypeError, r"W is 'x', not an array of numbers"),
    (lambda: jsuper.forward(MODEL, B, "relu", X), TypeError, r"W is a Dataset", r"one\.W\.values"),
    (lambda: jsuper.forward(W, None, "relu", X), TypeError, r"b is None"),
    (lambda: jsuper.forward(W, B, "relu", "x"), TypeError, r"x is 'x'"),
    (lambda: jsuper.forward(W, B, "relu", np.array(["a"])), TypeError, r"x is an array of <U1"),
    (lambda: jsuper.forward(W, B, "relu", X.T), ValueError, r"do not fit", r"give x\.T$"),
    (lambda: jsuper.forward(W, B, 3, X), ValueError, r"activation=3 is neither", r"try 'relu'"),
    (lambda: jsuper.forward(W, B, "ReLU", X), ValueError, r"did you mean 'relu'"),
    (lambda: jsuper.sample(7, 0.9, 20, 5), TypeError, r"key is 7", r"jsuper\.seed_key\(7\)"),
    (lambda: jsuper.sample(KEY, "a", 20, 5), TypeError, r"sparsity is 'a'"),
    (lambda: jsuper.sample(KEY, 1, 20, 5), SpecError, r"sparsity=1 is not in \[0, 1\)"),
    (lambda: jsuper.sample(KEY, [0.5, 2], 2, 5), SpecError, r"sparsity=2 is not in \[0, 1\)"),
    (lambda: jsuper.sample(KEY, [0.5] * 3, 2, 5), SpecError, r"shape \(3,\) but n_features is 2"),
    (lambda: jsuper.sample(KEY, 0.5, 2.5, 5), SpecError, r"n_features=2\.5 is not a whole"),
    (lambda: jsuper.sample(KEY, 0.5, 2, -1), SpecError, r"batch=-1 is not >= 1"),
    (lambda: jsuper.seed_key(1.5), SpecError, r"seed=1\.5 is not a whole number"),
    (lambda: jsuper.seed_key("a"), SpecError, r"seed='a' is not a whole number"),
    (lambda: jsuper.seed_key(-1), SpecError, r"seed=-1 is not in \[0, 4294967295\]"),
    (lambda: jsuper.seed_key(np.array([0.5])), TypeError, r"seed is an array of float64"),
    (lambda: jsuper.make_train("relu"), TypeError, r"sweep is 'relu', not a Sweep", r"Sweep\(act"),
    # figures
    (lambda: jsuper.plots.weights(MODEL), TypeError, r"W is a Dataset", r"ds\.W\.sel"),
    (lambda: jsuper.plots.weights("x"), TypeError, r"W is 'x'"),
    (lambda: jsuper.plots.weights(W, MODEL), TypeError, r"b is a Dataset", r"ds\.b\.sel"),
    (lambda: jsuper.plots.weights(W[None]), ValueError, r"shape \(1, 2, 4\).*select one model"),
    (lambda: jsuper.plots.weights(W, ax=np.array([0])), TypeError, r"ax is an array, not an Axes"),
    (lambda: jsuper.plots.features(MODEL), TypeError, r"W is a Dataset"),
    (lambda: jsuper.plots.arrows(None), TypeError, r"W is None"),
    (lambda: jsuper.plots.dimensionality("x"), TypeError, r"data is 'x'"),
    (lambda: jsuper.plots.heatmap("x", "loss"), TypeError, r"ds is 'x'", r"jsuper\.load"),
    (lambda: jsuper.plots.heatmap(MODEL, ["loss"]), TypeError, r"variable is a list"),
    (lambda: jsuper.plots.heatmap(MODEL, "los"), ValueError, r"did you mean 'loss'"),
    (lambda: jsuper.plots.curve(MODEL, "loss", across="sparsty"), ValueError, r"mean 'sparsity'"),
    (lambda: jsuper.plots.loss_curves(3), TypeError, r"ds is 3"),
    # measures
    (lambda: superposition.dimensionality(MODEL), TypeError, r"is a Dataset", r"ds\.W\.values"),
    (lambda: superposition.dimensionality("x"), TypeError, r"is 'x', not an array of numbers"),
    (lambda: superposition.features_represented(W, "a"), TypeError, r"threshold is 'a'"),
    (lambda: hypotheses.standard_hypotheses(None), TypeError, r"is None, not an array of numbers"),
    (lambda: kurtosis.against_rotations(W, W), TypeError, r"statistic is an array", r"alignment"),
    (lambda: statistics.compare(MODEL, MODEL), TypeError, r"a is a Dataset", r"ds\.loss\.sel"),
    (lambda: statistics.compare([1.0, 2], "b"), TypeError, r"b is 'b'"),
]


@pytest.mark.parametrize("row", CALLS, ids=[f"{i}-{row[2][:40]}" for i, row in enumerate(CALLS)])
def test_a_call_that_cannot_work_says_what_is_expected(empty, row):
    function, kind, *patterns = row
    with pytest.raises(kind) as error:
        function()
    assert type(error.value) is kind
    assert_says(str(error.value), *patterns)
    assert list(empty.iterdir()) == []


def test_what_was_accepted_still_is():
    assert jsuper.sample(KEY, [0.9, 0.5], 2, 5).shape == (2, 5)
    assert jsuper.sample(KEY, jnp.float32(0.9), 2.0, np.int64(5)).shape == (2, 5)
    assert (jsuper.seed_key(np.uint32(7)) == jsuper.seed_key(7)).all()
    one = xr.DataArray(W, dims=("hidden", "feature"))
    assert jsuper.forward(one, B.tolist(), "relu", X).shape == X.shape
    ax = plt.subplots()[1]
    assert jsuper.plots.weights(W.tolist(), ax=ax) is ax
    assert superposition.feature_norms(W.tolist()).shape == (4,)
