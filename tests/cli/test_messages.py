"""What is said of input that cannot be used: tables of input, outcome and words of the message.

A row of a table is one test: the input, and patterns that must all be found in the message.
"""

import dataclasses
import re
import shutil
import subprocess
import sys
import time

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from running import REPO, chunk_files

import jsuper
from jsuper.analysis import hypotheses, kurtosis, statistics, superposition
from jsuper.analysis.export import SUFFIXES
from jsuper.analysis.weight_names import NAMINGS
from jsuper.cli import main, process, summary
from jsuper.cli import options as flags
from jsuper.core import suggestions
from jsuper.core.errors import SpecError
from jsuper.core.family import FAMILIES, family_of, sweep_from_dict
from jsuper.engine import devices, estimates
from jsuper.factorization import Sweep as Factorization
from jsuper.jobs import room
from jsuper.jobs.job import prepare
from jsuper.jobs.ray_driver import ClusterPlan, RemoteDevice
from jsuper.models.toy.activations.names import KNOWN
from jsuper.training.schedules import SCHEDULES

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(arguments):
    """The exit code of `jsuper ARGUMENTS` in this process."""
    try:
        return main.main(arguments)
    except SystemExit as stop:
        return stop.code


def assert_says(message, *patterns):
    for pattern in patterns:
        assert re.search(pattern, message, re.DOTALL), f"{pattern!r} is not in {message!r}"


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


# -------------------------------------------------------------------------------- help and entries


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_list_of_commands_describes_each_without_jax(arguments):
    code = (
        "import runpy, sys; sys.argv[0] = 'jsuper'\n"
        "try: runpy.run_module('jsuper', run_name='__main__')\n"
        "finally: assert not {'jax', 'matplotlib', 'xarray'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == (0 if arguments else 2) and "Error" not in done.stderr
    text = done.stdout or done.stderr
    for name, (_, does) in main.COMMANDS.items():
        assert_says(text, rf"\n    {name} +{re.escape(does.split()[0])}")


def test_help_is_quick():
    began = time.process_time()
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert time.process_time() - began < 1


OLDER = {"study": "findings", "claims": "findings"}


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_has_a_help(command, capsys):
    assert call([command, "--help"]) == 0
    assert_says(
        capsys.readouterr().out, rf"usage: jsuper {OLDER.get(command, command)}\b", r"--help"
    )


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "jsuper", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=True)
    assert done.stdout == f"jsuper {jsuper.__version__}\n"


LAZY = "plots.weights analysis.superposition report.write factorization.Sweep mlp.Sweep"


@pytest.mark.parametrize("path", LAZY.split())
def test_submodules_come_when_they_are_used(path):
    module, name = path.split(".")
    code = (
        "import sys, jsuper; assert not {'jax', 'matplotlib'} & sys.modules.keys()\n"
        f"assert '{module}' in dir(jsuper) and '{module}' not in vars(jsuper)\n"
        f"assert jsuper.{path} is not None"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_a_sweep_and_its_summary_need_no_slow_parts_of_libraries():
    code = (
        "import sys, jsuper.models.toy.train, jsuper.analysis.evaluation\n"
        "import jsuper.analysis.answering\n"
        "slow = {'scipy.stats', 'scipy.optimize', 'jax.experimental.pallas'}\n"
        "assert not slow & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_an_attribute_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'jsuper' has no attribute 'sweeps'"):
        _ = jsuper.sweeps


# ------------------------------------------------------------------------------------- suggestions

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


# ---------------------------------------------------------------------------------------- the plan

GRID = "--activation relu gelu --sparsity 0 0.9 --seeds 12 --steps 30 --batch-size 64"
GRID = f"{GRID} --n-features 6 --n-hidden 2 --platform cpu --workers 2 --no-report".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 4 chunks of 12 models, of which share 1/2 (chunks 0 and 2) is done."""
    folder = tmp_path_factory.mktemp("plan") / "run"
    assert main.main(["sweep", *GRID, "--out", str(folder), "--shard", "1/2"]) == 0
    assert len(chunk_files(folder)) == 2
    return folder


def planned(folder, shard=None, damage=0, delete=0, workers=2, kind=None):
    """The lines of the plan by their first word."""
    asked = flags.parse(GRID)[0]
    made = devices.make_plan("cpu", workers) if kind is None else kind
    job = prepare(asked, folder, made, shard)
    expected = estimates.estimate(made, job.todo)
    plan = summary.plan_text(job, made, expected)
    lines = [line.split(maxsplit=1) for line in plan.splitlines()]
    return dict(lines), job


ALL, TIME = r"= 48 models, 30 steps each", r"about \d s: compilation \d s"
PLANS = [
    # share, done before, damaged, lines of the plan
    (None, False, 0, dict(model=ALL + "$", chunks=r"^2 to do, of up to 24 models", time=TIME)),
    (
        (1, 2),
        False,
        0,
        dict(
            model=ALL + "$",
            share=r"^1/2: 24 models; the other shares: 24 models$",
            chunks=r"^2 to do, of up to 12 models",
        ),
    ),
    (
        (1, 2),
        True,
        0,
        dict(
            model=ALL + r", 24 done already$",
            share=r"^1/2: 24 models, 24 done; the other shares: 24 models$",
            chunks=r"^none to do$",
            time=r"^nothing to train$",
        ),
    ),
    (
        (2, 2),
        True,
        0,
        dict(
            share=r"^2/2: 24 models; the other shares: 24 models, 24 done$",
            chunks=r"^2 to do, of up to 12 models",
        ),
    ),
    ((1, 3), True, 0, dict(share=r"^1/3: 24 models, 12 done; .*: 24 models, 12 done$")),
    ((9, 9), True, 0, dict(share=r"^9/9: 0 models; .*: 48 models, 24 done$", chunks=r"^none to")),
    (None, True, 0, dict(model=ALL + r", 24 done already$", chunks=r"^2 to do, of up to 12")),
    (
        None,
        True,
        1,
        dict(
            model=ALL + r", 12 done already$",
            chunks=r"^3 to do \(1 of them damaged\), of up to 12 models",
        ),
    ),
    (
        (1, 2),
        True,
        2,
        dict(
            model=ALL + "$",
            share=r"^1/2: 24 models; the other shares: 24 models$",
            chunks=r"^2 to do \(2 of them damaged\)",
        ),
    ),
    ((2, 2), True, 1, dict(share=r"the other shares: 24 models, 12 done$", chunks=r"^2 to do, of")),
]


@pytest.mark.parametrize("shard, started, damaged, lines", PLANS)
def test_the_plan_counts_what_this_share_trains(
    run, tmp_path, monkeypatch, shard, started, damaged, lines
):
    folder = run if started else tmp_path / "run"
    if damaged:
        folder = shutil.copytree(run, tmp_path / "run")
        for path in chunk_files(folder)[:damaged]:
            path.write_bytes(b"damaged")
    found, _ = planned(folder, shard)
    assert ("share" in found) == (shard is not None)
    for name, pattern in lines.items():
        assert_says(found[name], pattern)


def test_memory_and_time_are_those_of_the_share(tmp_path):
    """Half of the chunks take half of the time; a cluster's task is a process with one worker."""
    whole, job = planned(tmp_path / "run", (1, 1))
    half, part = planned(tmp_path / "run", (1, 2))
    two, one = devices.make_plan("cpu", 2), devices.make_plan("cpu", 1)
    assert 2 * len(part.todo) == len(part.chunks)
    share, run = (estimates.estimate(two, chunks) for chunks in (part.todo, part.chunks))
    assert share.work == run.work / 2 and share.training == run.training / 2
    assert room.memory_bytes(job.todo, one) < room.memory_bytes(job.todo, two)
    ray = ClusterPlan("cpu", tuple(RemoteDevice("cpu", i) for i in range(8)), "auto", nodes=2)
    assert room.memory_bytes(job.todo, ray) == room.memory_bytes(job.todo, one)
    found, _ = planned(tmp_path / "run", kind=ray)
    assert_says(found["device"], r"Ray, 2 nodes, 8 tasks")
    assert_says(found["memory"], r"^about [0-9.]+ [GM]B a task, results")
    assert whole["memory"] == half["memory"]


def test_a_dry_run_of_a_share_of_an_empty_folder(empty, capsys):
    assert main.main(["sweep", *GRID, "--shard", "1/2", "--dry-run", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert_says(out, r"= 48 models", r"share    1/2: 24 models; the other shares: 24 models\n")
    assert "done" not in out and list(empty.iterdir()) == []


def test_a_damaged_chunk_of_another_share_is_left_to_it(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    chunk_files(folder)[0].write_bytes(b"damaged")
    assert main.main(["sweep", *GRID, "--shard", "2/2", "--out", str(folder)]) == 0
    out, error = capsys.readouterr()
    assert_says(error, r"chunk \w+ is damaged: set aside and left to another share")
    assert_says(out, r"share 2/2 is done; 1 chunks of others are left")
