"""Files made to do harm, and sizes that no machine holds: one clear line, and little memory."""

import copy
import json
import resource
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from one_chunk import ARRAYS, CHUNK, SWEEP
from running import REPO, slow, state

import jsuper
from jsuper import RunError, SpecError, Sweep
from jsuper.analysis.export import _escaped
from jsuper.cli import main, sweeping
from jsuper.core import grid
from jsuper.core.json_data import digest
from jsuper.core.reading import DEEPEST, check_depth, parse_json
from jsuper.core.text import printable, shown
from jsuper.core.toml import parse_toml, read_toml
from jsuper.models.toy.results import HYPOTHESES
from jsuper.report.page import write
from jsuper.store import chunk_files, derived
from jsuper.store.manifest import manifest_of, write_manifest
from jsuper.store.npz import UNREADABLE, read_arrays
from jsuper.store.status import problems, status_of

DEEP = "[" * 10_000 + "]" * 10_000
NASTY = {  # a name -> JSON; what Python cannot write stands as text
    "null": "null",
    "empty list": "[]",
    "empty table": "{}",
    "empty text": '""',
    "long text": json.dumps("x" * 10**5),
    "minus one": "-1",
    "infinite": "1e400",
    "too large": str(10**30),
    "too many digits": "1" * 5000,
    "not a number": "NaN",
    "true": "true",
    "half a pair": '"\\ud800"',
    "escapes": '"\\u001b[2J\\u0007\\u202e"',
    "deep": DEEP,
    "function": '"relu@0123456789ab"',
    "mathematics": '"$\\\\frac{$$x^{$"',
}
QUICK = ("null", "infinite", "deep", "function")
KINDS = [kind if kind in QUICK else slow(kind) for kind in NASTY]
MARK = '"the leaf that is replaced"'


def leaves(data, path=()):
    """Paths to all values of JSON data, also those that hold others."""
    children = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in children:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


def replaced(data, path, text):
    """The JSON of data with one value replaced by other JSON; a sweep's hash is made to agree."""
    data = copy.deepcopy(data)
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    try:
        holder[path[-1]] = parse_json(text)
        if path[0] == "sweep":
            data["hash"] = digest(data["sweep"])
    except (ValueError, TypeError, RecursionError):
        pass
    holder[path[-1]] = json.loads(MARK)
    return json.dumps(data).replace(MARK, text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of one chunk, with a session and scrubbing."""
    run = tmp_path_factory.mktemp("whole") / "run"
    write_manifest(run_of(run), SWEEP, [CHUNK], [])
    chunk_files.write_chunk(run, CHUNK, ARRAYS)
    (run / "sessions").mkdir()
    (run / "sessions" / "one.json").write_text(json.dumps(SESSION))
    keep(run)
    return run


def run_of(run):
    run.mkdir()
    return run


def keep(run, hypotheses=HYPOTHESES, dtype="f4", dims=("hypothesis",)):
    """Write a scrubbing.npz beside a run."""
    lead = tuple(jsuper.load(run, ["loss"])["status"].dims)
    shape = jsuper.load(run, ["loss"])["status"].shape
    values = np.zeros((*shape, *[len(hypotheses)] * len(dims)), dtype)
    ds = xr.Dataset({"scrub_recovered": ((*lead, *dims), values)})
    ds = ds.assign_coords({d: list(hypotheses) for d in dims})
    derived.write(run, "scrubbing", ds, derived.fingerprint(run, manifest_of(run)), {})


SESSION = {
    "versions": {"jsuper": "0.1", "jax": "0.10"},
    "devices": ["cpu:0 cpu"],
    "plan": "cpu",
    "git": None,
    "host": "here",
    "argv": ["jsuper"],
    "started": "2026-01-01T00:00:00+00:00",
    "ended": "2026-01-01T00:01:00+00:00",
    "id": "0",
}


def fits(ds):
    """Whether a Dataset has what was written of every model that it calls trained."""
    trained = ds["status"].values > 0
    expected = ARRAYS["W"][:, None]  # (activation, sparsity, seed, ...)
    assert ds["W"].shape == expected.shape
    np.testing.assert_array_equal(ds["W"].values[trained], expected[trained])


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_with_any_value_replaced_is_correct_data_or_a_clear_error(
    tmp_path, tried, how_often, whole, capsys, kind
):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "scrubbing.npz").unlink()
    data = json.loads((whole / "manifest.json").read_text())
    data["sessions"] = [SESSION]
    refused = read = 0
    every = how_often(4, 1)
    for number, path in enumerate(list(leaves(data))[list(NASTY).index(kind) % every :: every]):
        (run / "manifest.json").write_text(replaced(data, path, NASTY[kind]))
        try:
            fits(jsuper.load(run))
            read += 1
        except RunError as error:
            refused += 1
            assert "manifest.json" in str(error) and printable(error) == str(error)
        if number % 25 == 0:
            flags = ["--config", str(whole / "sweep.toml"), "--out", str(run), "--dry-run"]
            assert sweeping.sweep(flags) in (0, 1, 2)
        if number % 10 == 0:
            assert main.main(["status", str(run)]) in (0, 1)
            assert main.main(["verify", str(run)]) in (0, 1)
            said = capsys.readouterr()
            assert "Traceback" not in said.err and all(
                line.startswith("error: ") for line in said.err.splitlines()
            )
    assert refused > 50 / every
    tried("A crafted file", f"each value of a manifest replaced, by {kind}: refused", refused)
    tried("A crafted file", f"each value of a manifest replaced, by {kind}: to no effect", read)


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_may_say_anything(tmp_path, tried, whole, capsys, kind):
    run = shutil.copytree(whole, tmp_path / "run")
    for path in leaves(SESSION):
        (run / "sessions" / "one.json").write_text(replaced(SESSION, path, NASTY[kind]))
        ds = jsuper.load(run)
        fits(ds)
        ds.attrs["sessions"].encode()
        assert main.main(["status", str(run)]) == 0
        assert "\x1b" not in capsys.readouterr().out
    tried("A crafted file", f"each value of a session replaced, by {kind}", len([*leaves(SESSION)]))


@pytest.mark.slow
def test_a_report_of_crafted_files_is_written(tmp_path, tried, whole, capsys):
    """Half pairs on the page; one report, since each measures the models."""
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "sessions" / "one.json").write_text('{"plan": "\\ud800<script>\\u001b[2J"}')
    page = write(run).read_text()
    assert "\ufffd&lt;script&gt;" in page and "\x1b" not in page
    tried("A crafted file", "half a surrogate pair and escapes in a report: text")


# ------------------------------------------------------------------------------------------ arrays


TYPES = ("f8", ">f4", "f2", "longdouble", "c8", "i4", "?", "S4", "U4", "M8[s]")
ARRAY_FAULTS = {
    **{f"type {t}": (lambda a, t=t: a.astype(t)) for t in TYPES},
    "no models": lambda a: a[:0],
    "another shape": lambda a: a.reshape(-1),
    "one more axis": lambda a: a[..., None],
    "a number": lambda a: np.float32(0),
    "records": lambda a: np.zeros(a.shape, [("a", "f4")]),
}


@pytest.mark.parametrize("fault", ARRAY_FAULTS)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_another_type_or_shape_is_refused_by_its_name(tmp_path, tried, name, fault):
    if name in chunk_files.FOR_ALL and fault == "type i4":
        pytest.skip("older folders have statuses of other integer types")
    changed = ARRAY_FAULTS[fault](ARRAYS[name])
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS | {name: changed})
    with pytest.raises(RunError, match=rf"chunk {CHUNK.name}.npz .*\b{name}\b"):
        chunk_files.read_chunk(tmp_path, CHUNK)
    tried("A crafted file", "an array of a chunk of another type or shape: refused by its name")


def sparse(path, members):
    """An archive of arrays of zeros that takes almost no space on the disk."""
    with zipfile.ZipFile(path, "w") as file:
        for name, array in members:
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
    return path


def test_an_array_larger_than_expected_is_not_read(tmp_path):
    path = sparse(tmp_path / "a.npz", [("W", np.zeros(10**6)), ("b", np.zeros(3))])
    with pytest.raises(UNREADABLE, match="array W has 8,000,128 bytes, and 100 are expected"):
        read_arrays(path, most={"W": 100, "b": 24})
    assert list(read_arrays(path, most={"b": 24})) == ["b"]


@pytest.mark.parametrize("wide", [False, True], ids=["zip", "zip64"])
def test_a_list_of_members_larger_than_any_is_not_read(tmp_path, tried, wide):
    """zipfile would read all of it at once: here 3 GB of a file with a hole."""
    path = tmp_path / "a.npz"
    size = 3 * 10**9
    end = b"PK\5\6" + bytes(4) + b"\1\0\1\0" + size.to_bytes(4, "little") + bytes(6)
    if wide:
        record = b"PK\6\6" + (44).to_bytes(8, "little") + bytes(28) + size.to_bytes(8, "little")
        record += bytes(8)
        end = record + b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(18)
    with open(path, "wb") as file:
        file.write(b"PK\3\4")
        file.seek(size)
        file.write(end)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UNREADABLE, match="list of arrays is too large"):
        read_arrays(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    tried("A crafted file", "a sparse chunk of 3 GB: refused without reading it")


SCRUBBED = {
    "unknown hypotheses": dict(hypotheses=tuple("abcdefg")),
    "fewer": dict(hypotheses=HYPOTHESES[:3]),
    "long doubles": dict(dtype="longdouble"),
    "text": dict(dtype="U4"),
    "another dimension": dict(dims=("other",)),
}


@pytest.mark.parametrize("fault", SCRUBBED)
def test_scrubbing_that_is_not_of_the_run_is_left_out(tmp_path, tried, whole, fault):
    run = shutil.copytree(whole, tmp_path / "run")
    keep(run)
    assert "scrub_recovered" in jsuper.load(run)
    keep(run, **SCRUBBED[fault])
    with pytest.warns(UserWarning, match=r"scrubbing\.npz is damaged or was made from other"):
        ds = jsuper.load(run)
    assert "scrub_recovered" not in ds
    tried("A crafted file", f"scrubbing.npz with {fault}: left out with a warning")


# ------------------------------------------------------------------------------------------- sizes


LARGE = {
    "dotted key": ".".join(["a"] * 100_000) + " = 1",
    "quoted dotted key": '"a".' * 50_000 + "a = 1",
    "table name": f"[{'.'.join(['a'] * 100_000)}]",
    "after a string with a quote": 'activation = """a"""""\n' + "a." * 50_000 + "a = 1",
    "many tables": "[a]\n" * 50_000,
    "inline tables": "a = " + "{a = " * 5000,
    "deep lists": f"seeds = {'[' * 100_000}",
    "many lists": f"seeds = [{'[],' * 100_000}]",
    "decimal digits": f"seeds = 1{'0' * 5000}",
    "hexadecimal digits": f"seeds = 0x{'f' * 5000}",
    "not closed": '"\\"' * 100_000,
    "large file": "#" * 10_000_001,
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_config_that_would_take_more_than_its_size_is_refused(tmp_path, tried, capsys, kind):
    path = tmp_path / "a.toml"
    path.write_text(LARGE[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sweeping.sweep(["--config", str(path), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said) < 3000 and len(said.splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    tried("A crafted file", f"a sweep's TOML with {kind}: refused")


@pytest.mark.parametrize(
    "text, data",
    [
        ("a = [0.5, 1.5] # b.c = [d]\n", {"a": [0.5, 1.5]}),
        ('a = ["x.y=1", "#", \'[z]\']', {"a": ["x.y=1", "#", "[z]"]}),
        ('a = [\n 0.5, # .=\n "]"\n]\nb = 1e-3', {"a": [0.5, "]"], "b": 1e-3}),
        ('"a.b" = 1', {"a.b": 1}),
    ],
)
def test_a_plain_toml_is_read(text, data):
    assert parse_toml(text) == data


def test_the_presets_are_read():
    presets = sorted((REPO / "jsuper" / "presets").glob("*.toml"))
    assert len(presets) > 5 and all(read_toml(p) for p in presets)


# Arguments -> what the error says, before anything is expanded or compiled.
TOO_LARGE = {
    "--seeds 2000000000": "= 378,000,000,000 models, but at most 20,000,000 are allowed",
    "--seeds 200000": "= 37,800,000 models, but at most",
    "--n-features 2147483647": "n_features=2147483647 times batch_size=1024",
    "--n-hidden 2147483647 --n-features 20": "n_hidden=2147483647 times",
    "--n-hidden 4000000 --n-features 2000000": "take at least",
    "--batch-size 2147483647 --n-features 200": "batch_size=2147483647",
    "--model factorization --size 2147483647 --pairs 100": "size=2147483647",
}


@pytest.mark.parametrize("flags", TOO_LARGE)
def test_a_sweep_larger_than_any_machine_is_refused_first(tmp_path, tried, capsys, flags):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out = ["--out", str(tmp_path / "run"), "--platform", "cpu", "--dry-run"]
    assert sweeping.sweep([*flags.split(), *out]) == 2
    assert TOO_LARGE[flags] in capsys.readouterr().err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    tried("A sweep too large", "refused with its count or its memory, before lists are made")


def test_legitimate_sizes_are_not_refused():
    assert grid.n_models(Sweep(seeds=50_000)) == 27 * 7 * 50_000
    grid.check_size(Sweep(seeds=50_000))
    with pytest.raises(SpecError, match="models, but at most"):
        grid.expand(Sweep(seeds=2_000_000_000))


def test_a_folder_whose_sweep_is_lost_and_huge_is_not_expanded(tmp_path, tried, whole, capsys):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    text = (run / "sweep.toml").read_text()
    (run / "sweep.toml").write_text(text.replace("seeds = 3\n", "seeds = 2000000000\n"))
    assert status_of(run).models == 4_000_000_000
    before = state(run)
    flags = ["--config", str(whole / "sweep.toml"), "--out", str(run), "--dry-run"]
    assert sweeping.sweep(flags) == 2
    assert "seeds is 2000000000 there and 3 here" in capsys.readouterr().err
    assert state(run) == before
    tried("A sweep too large", "2,000,000,000 seeds in the sweep.toml of a lost manifest")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
from jsuper.cli import main, sweeping
sys.exit(main.main(sys.argv[1:]))
"""


def test_a_sparse_chunk_takes_no_memory(tmp_path, tried, whole):
    """A chunk with an array of 3 GB in a file of a few kB, in a process that has 2 GB."""
    run = shutil.copytree(whole, tmp_path / "run")
    path = chunk_files.chunk_path(run, CHUNK.name)
    content, size = bytearray(path.read_bytes()), 3 * 10**9
    start = content.index(b"PK\1\2")
    with open(path, "wb") as file:
        file.write(content[:start])
        file.seek(size)
        for at in [i for i in range(start, len(content)) if content[i : i + 4] == b"PK\1\2"][:1]:
            content[at + 20 : at + 28] = (size - 10**6).to_bytes(4, "little") * 2
        content[-6:-2] = size.to_bytes(4, "little")
        file.write(content[start:])
    assert path.stat().st_blocks * 512 < 10**6
    command = [sys.executable, "-c", LIMITED, "verify", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert f"chunk {path.name} cannot be read: its array" in done.stdout, done.stdout
    assert "are expected" in done.stdout
    tried("A crafted file", "a sparse chunk whose array has 3 GB: refused in little memory")


# -------------------------------------------------------------------------------------------- text


def test_json_is_bounded():
    assert parse_json('"\\ud83d\\ude00 \\ud800 \\\\ud800"') == "\U0001f600 \ufffd \\ud800"
    for text in (DEEP[:10_000], "1" * 5000):
        with pytest.raises(ValueError):
            parse_json(text)
    with pytest.raises(ValueError, match="too deeply"):
        check_depth(json.loads("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)))


def test_what_is_printed_has_no_control_characters():
    assert printable("a\x1b[2J\n\x07\udcff\u202eä") == "a\\x1b[2J\\n\\x07\\udcff\\u202eä"
    assert printable("x" * 10**6) == "x" * 2000 + "..."
    assert shown(16**5000) == "a number of 20001 bits"


def test_names_of_files_are_printed_as_text(tmp_path, tried, whole, capsys):
    run = shutil.copytree(whole, tmp_path / "run\x1b[31m")
    (run / "chunks" / "a\x1b[2J\udcff.npz").write_bytes(b"")
    assert main.main(["verify", str(run)]) == 1
    assert main.main(["status", str(run)]) == 0
    assert main.main(["status", str(run / "\x1b\udcff")]) == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "run\\x1b[31m" in said.out
    tried("A crafted file", "a name with escape sequences, or that is not text: printed escaped", 2)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_a_spreadsheet_computes_nothing(tried, text):
    table = pd.DataFrame({"activation": [text, "relu"], "loss": [-1.0, 2.0], "seed": [-1, 2]})
    found = _escaped(table)
    assert list(found["activation"]) == [f"'{text}", "relu"]
    assert found[["loss", "seed"]].equals(table[["loss", "seed"]])
    tried("A crafted file", "text that a spreadsheet would compute, in a CSV: begins with '")


@pytest.mark.parametrize("name", ["optimizer", "dtype", "schedule", "init"])
def test_no_field_but_the_activation_names_a_function(tmp_path, whole, name):
    run = shutil.copytree(whole, tmp_path / "run")
    data = json.loads((run / "manifest.json").read_text())
    old = data["sweep"][name]
    data["sweep"][name] = ["relu@0123456789ab"] if isinstance(old, list) else "relu@0123456789ab"
    data["hash"] = digest(data["sweep"])
    (run / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match=f"{name}="):
        jsuper.load(run)
    with pytest.raises(RunError, match=f"{name}="):
        list(problems(run))
