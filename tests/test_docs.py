"""The docs: their code imports, their links and paths exist, their numbers are the stored ones."""

import ast
import importlib.util
import json
import math
import re
import statistics
import subprocess
import sys

import pytest
from running import REPO

import jsuper
from jsuper import presets
from jsuper.analysis.checked import Checked
from jsuper.analysis.decomposition import TORCH
from jsuper.cli import main
from jsuper.core.grid import expand
from jsuper.models.toy import train as toy
from jsuper.models.toy.kernels.source import WARPS
from jsuper.presets import gallery
from jsuper.training import keys

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += [f"docs/{name}.md" for name in ("index", "quickstart", "gallery", "benchmarks", "design")]
GUIDE = sorted(str(p.relative_to(REPO)) for p in (REPO / "docs" / "guide").glob("*.md"))
PAGES += GUIDE
TEXT = {page: (REPO / page).read_text(encoding="utf-8") for page in PAGES}
CODE = [
    pytest.param(code, id=f"{page}-{i}")
    for page in ("README.md", "docs/quickstart.md", *GUIDE)
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", TEXT[page], re.DOTALL))
]
RESULTS = REPO / "benchmarks" / "results"
BENCHMARKS = "docs/benchmarks.md"


OTHERS = ("wandb", "torch", "safetensors.torch")  # of the recipes; jsuper does not need them


@pytest.mark.parametrize("code", CODE)
def test_code_uses_names_that_exist(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            if str(node.module).startswith(OTHERS):
                continue
            for alias in node.names:
                module = importlib.import_module(str(node.module))
                assert hasattr(module, alias.name) or importlib.import_module(
                    f"{node.module}.{alias.name}"
                )
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "jsuper" or hasattr(jsuper, node.attr), node.attr


def test_the_reference_has_every_exported_name():
    pages = (REPO / "docs" / "api").glob("*.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    documented = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    modules = (
        jsuper,
        jsuper.analysis,
        jsuper.plots,
        jsuper.factorization,
        jsuper.mlp,
        jsuper.report,
    )
    exported = {f"{m.__name__}.{name}": name for m in modules for name in m.__all__}
    lacking = [k for k, name in exported.items() if not {k, f"jsuper.{name}"} & documented]
    assert lacking == ["jsuper.plots.paper"] or not lacking  # a module, whose functions are listed
    assert "jsuper.plots.paper" in documented


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)\s]+)\)", TEXT[page])
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not ((REPO / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", [p for p in PAGES if p != "CHANGELOG.md"])
def test_paths_exist(page):
    paths = re.findall(r"`((?:jsuper|tests|benchmarks|docs|scripts)/[\w./-]*)`", TEXT[page])
    new = re.findall(r"New file `([^`]+)`", TEXT[page])
    assert [path for path in paths if path not in new and not (REPO / path).exists()] == []


STEPS = re.findall(r"`(jsuper/[\w/]+\.py):(\w+)`", TEXT["docs/design.md"])


# Runs in a new process: in this one, programs may be compiled already, or be compiled by threads
# that started before the profiler.
NOTE_CALLS = """
import sys, threading
import jsuper

called = set()

def note(frame, event, argument):
    if event == "call":
        called.add((frame.f_code.co_filename, frame.f_code.co_name))

sweep = jsuper.Sweep(activation="relu", sparsity=0.9, steps=7, seeds=1)
threading.setprofile(note)
sys.setprofile(note)
ds = jsuper.run(sweep, sys.argv[1], progress=False)
jsuper.plots.heatmap(jsuper.analyze(ds), "loss_over_constant")
sys.setprofile(None)
print(*("\\t".join(call) for call in called), sep="\\n")
"""


@pytest.mark.slow
def test_a_number_takes_the_path_that_the_page_describes(tmp_path):
    command = [sys.executable, "-c", NOTE_CALLS, str(tmp_path / "run")]
    ran = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    called = {tuple(line.split("\t")) for line in ran.stdout.splitlines()}
    functions = [(str(REPO / file), name) for file, name in STEPS if name != "Sweep"]
    assert [step for step in functions if step not in called] == []


def test_the_path_of_a_number_names_functions_that_exist():
    assert len(STEPS) > 10
    for file, name in STEPS:
        assert re.search(rf"^(?:def|class) {name}\b", (REPO / file).read_text(), re.MULTILINE), file


def test_the_readme_names_every_command():
    named = re.findall(r"`jsuper (\w+)", TEXT["README.md"])
    assert main.COMMANDS.keys() - {"study", "claims"} == set(named)


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_the_throughput_is_the_measured_one(page):
    grid = json.loads((RESULTS / "throughput-cpu.json").read_text())["grid"]
    rows = dict(re.findall(r"^\| ([\w`].*?) \| ([\d,]+ \|.*?) \|$", TEXT[page], re.MULTILINE))
    ways = {"jsuper": "jsuper", "`jit": "plain", "PyTorch eager": "torch", "a Python": "loop"}
    for start, way in ways.items():
        row = next(row for name, row in rows.items() if name.startswith(start))
        speed, ratio, compiling = (cell.strip() for cell in row.split("|"))
        best = grid["best"][way]
        case = [c for c in grid["cases"] if (c["way"], c["size"]) == (way, best["size"])]
        assert rounded(best["median"], 3) == float(speed.replace(",", "")), way
        assert round(case[0]["compile_s"]) == int(compiling), way
        if way != "jsuper":
            stated = [float(number) for number in re.findall(r"\d+", ratio)]
            found = grid["ratios"][f"jsuper/{way}"]
            ends = [found["median"], min(found["rounds"]), max(found["rounds"])]
            assert [round(number) for number in ends][: len(stated)] == stated, way


ZEN4 = ("zen4", "zen4-again", "zen4-quiet", "zen4-quiet-again", "zen4-teams")


@pytest.mark.parametrize("name", [*ZEN4, "intel"])
def test_the_throughput_of_other_processors_is_the_measured_one(name):
    grid = json.loads((RESULTS / f"throughput-cpu-{name}.json").read_text())["grid"]
    ratio = grid["ratios"]["jsuper/torch"]
    ends = [ratio["median"], min(ratio["rounds"]), max(ratio["rounds"])]
    middle, low, high = (round(number) for number in ends)
    speed = rounded(grid["best"]["jsuper"]["median"], 3)
    row = f"| {speed:,.0f} | {middle} x (rounds {low} to {high}) | `throughput-cpu-{name}.json` |"
    assert row in section(BENCHMARKS, "Throughput")
    assert f"{middle} x" in section("README.md", "Throughput")


def test_times_and_checks_of_presets_are_the_measured_ones():
    text, found = section(BENCHMARKS, "Presets"), json.loads((RESULTS / "presets.json").read_text())
    for name, one in found.items():
        assert f"| `{name}` | {one['models']:,} | {one['seconds'] / 60:.1f} |" in text
        assert not one["resumed"], name
        for check in one["checked"]:
            ends = check["interval"] or (math.nan, math.nan)
            checked = Checked(check["quantity"], check["found"], check["expected"], *ends)
            assert f" - {checked}" in text


def test_the_gallery_is_what_its_script_writes_from_the_measured_numbers():
    spec = importlib.util.spec_from_file_location("pages", REPO / "scripts" / "gallery.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    page = pages.page(json.loads((RESULTS / "presets.json").read_text(encoding="utf-8")))
    assert TEXT["docs/gallery.md"] == page, "run python scripts/gallery.py"
    pictures = list((REPO / "docs" / "gallery").iterdir())
    assert {p.stem for p in pictures} == set(gallery.entries())
    assert sum(p.stat().st_size for p in pictures) < 3e6
    assert page.count("    jsuper gallery ") == len(pictures) + 2  # two of the introduction


def test_the_speed_of_the_laws_is_the_measured_one():
    laws = json.loads((RESULTS / "laws-cpu.json").read_text())["laws"]
    text = section(BENCHMARKS, "Laws of the data")
    for name, found in laws.items():
        rounds = found["ratio"]["rounds"]
        ends = f"{min(rounds):.2f} to {max(rounds):.2f}"
        row = f"| `{name}` | {found['ratio']['median']:.2f} (rounds {ends}) |"
        assert row in text or name.startswith("independent")
    assert min(laws[f"{law}"]["ratio"]["median"] for law in ("pairs(1)", "exclusive(2)")) > 0.6


def test_the_speed_on_a_gpu_is_the_measured_one():
    found = json.loads((RESULTS / "throughput-gpu.json").read_text())
    best, shares = found["grid"]["best"], found["ceilings"]["shares"]["jsuper"]
    times = f"{found['grid']['ratios']['jsuper/torch']['median']:.1f} x PyTorch"
    speeds = [f"{rounded(best[way]['median'], 3):,.0f}" for way in ("jsuper", "torch")]
    peaks = [f"{shares['hbm']:.0%}".replace("%", " %"), f"{shares['fp32']:.0%}".replace("%", " %")]
    section = TEXT["docs/benchmarks.md"].partition("## On a GPU")[2].partition("\n## ")[0]
    for number in (times, *speeds, *peaks, found["device_kind"]):
        assert number in " ".join(section.split()), number
    assert times in " ".join(TEXT["README.md"].split())


def test_what_plans_compile_to_is_what_the_compiler_said():
    found = json.loads((RESULTS / "deviceless.json").read_text())
    h100 = [p for p in found["programs"] if p["device"] == "h100" and "relu" in p["activations"]]
    steps, kernel = h100
    text = section("docs/benchmarks.md", "For GPUs that are not there")
    one = 20 * steps["launches_per_step"] / len(steps["activations"])
    launches = one, kernel["launches_per_20_steps_and_activation"]
    moved = [p["bytes_per_model_step"] / 1e3 for p in h100]
    rate = f"{found['predicted_harmonic_mean']:,.0f}"
    numbers = [
        f"| {launches[0]:.1f} | {launches[1]} |",
        f"| {moved[0]:.0f} kB | {moved[1]:.1f} kB |",
        f"| {steps['predicted_model_steps_per_s']:,.0f} | {rate} |",
        f"{found['issue_bound_harmonic_mean']:,.0f}, its bytes",
        f"bytes {rounded(kernel['bytes_bound_model_steps_per_s'], 3):,.0f}.",
        *(
            f"{found['kernels'][k]['predicted_model_steps_per_s']:,.0f}"
            for k in ("relu", "softmax")
        ),
    ]
    for row in h100:
        assert f"allow {row['ceiling_model_steps_per_s']:,.0f} dense" in text
    assert f"| {rate} |" in TEXT["README.md"]
    for number in numbers:
        assert number in text, number
    assert not any(kernel["spilled_bytes"] for kernel in found["kernels"].values())
    tpus = [
        p for p in found["programs"] if p["device"].startswith("v") and "relu" in p["activations"]
    ]
    for row in tpus:
        for key in ("kernel_model_steps_per_s", "predicted_model_steps_per_s"):
            assert f"{row.get(key, 0):,.0f}" in text


def test_the_profile_of_the_kernel_is_what_was_measured():
    found = json.loads((RESULTS / "kernel_profile.json").read_text())
    text, rate = section("docs/benchmarks.md", "The kernel on a GPU"), "kernel_model_steps_per_s"
    numbers = (
        f"{found[rate]:,.0f} model-steps/s",
        f"{found['draws_and_record_ns_per_seed_and_step']:.0f} ns",
    )
    numbers += (f"{found['model_steps_per_s']:,.0f} model-steps/s", f"jax {found['jax']}")
    numbers += (f"{found['warps']} warps", f"({WARPS} now)")
    for number in (*numbers, found["device"], f"{found['seeds']} seeds"):
        assert number in text, number
    assert f"| {rounded(found[rate], 3):,.0f} |" in TEXT["README.md"]


def test_the_times_of_the_page_are_those_that_were_measured():
    found = json.loads((RESULTS / "report_page.json").read_text())
    text, pages = section("docs/benchmarks.md", "The report page"), 0
    for name, one in found.items():
        if isinstance(one, dict) and "bytes" in one:
            numbers = (one["written_s"], one["first_paint_s"], one["drawn_s"])
            cells = [name, f"{one['models']:,}", f"{one['bytes'] / 1e6:.2f}"]
            assert f"| {' | '.join(cells + [f'{n:.2f}' for n in numbers])} |" in text
            assert one["first_paint_s"] < 1 and not one["without_weights"]
            pages += 1
    assert pages == 3 and found["default"]["bytes"] < 1e6


def kernel_reasons(sweep):
    """Why the programs of a toy sweep have no kernels; "" for those that have."""
    found = set()
    for part in sweep.parts():
        for group in expand(part):
            branches = {}
            for setting in group.settings:
                branches.setdefault(toy.branch_of(setting, True), []).append(setting)
            made = (toy.make_static(group.static, [some], "kernel") for some in branches.values())
            found |= set(map(toy.kernel_reason, made))
    return found


def test_the_presets_with_kernels_are_those_that_the_page_names(monkeypatch):
    monkeypatch.setattr(keys, "platform", lambda: "gpu")
    sweeps = {name: presets.load(name).sweep for name in presets.names()}
    sweeps = {
        k: jsuper.Sweep.from_dict(v) for k, v in sweeps.items() if v.get("model", "toy") == "toy"
    }
    kernels = [name for name, sweep in sweeps.items() if kernel_reasons(sweep) == {""}]
    text = " ".join(TEXT["docs/design.md"].split())
    named = re.search(r"The presets ([^.]*?) train by kernels, `gated` in part", text)[1]
    assert re.findall(r"`(\w+)`", named) == kernels


def section(page, name):
    """A section's text on one line."""
    return " ".join(TEXT[page].partition(f"\n## {name}\n")[2].partition("\n## ")[0].split())


def percent(share):
    return f"{100 * share:.0f}"


def test_the_speed_by_seeds_and_workers_is_the_measured_one():
    found, text = json.loads((RESULTS / "seeds.json").read_text()), section(BENCHMARKS, "Seeds")
    for workers, shares in found["share"].items():
        row = " | ".join(percent(shares[seeds]) for seeds in map(str, range(1, 9)))
        assert f"| {workers} | {row} |" in text
    assert set(found["share"]) == {"1", "2", "3", "4"}
    for workers in ("1", "2"):
        assert all(share > 0.95 for share in found["share"][workers].values())


def test_the_parts_of_the_whole_command_are_the_measured_ones():
    cpu, gpu = (
        json.loads((RESULTS / f"whole_command{end}.json").read_text())["rounds"]
        for end in ("", "-gpu")
    )
    text = section(BENCHMARKS, "The whole command")
    for part in cpu[0]["cold"]["parts"]:
        cells = [
            f"{statistics.median(r[command]['parts'][part][kind] for r in cpu):.1f}"
            for command in ("cold", "warm")
            for kind in ("wall_s", "cpu_s")
        ]
        assert f"| {part} | {' | '.join(cells)} |" in text, part
    for command in ("cold", "warm"):
        times = [r[command]["times_training"] for r in cpu]
        assert f"{statistics.median(times):.2f} times" in text, command
        spread = " and ".join(f"{t:.2f}" for t in sorted(times))
        assert f"({'rounds ' * (command == 'cold')}{spread})" in " ".join(text.split()), command
        total, losses = (
            f"{statistics.median(values):.1f}"
            for values in (
                [r[command]["seconds"] for r in cpu],
                [r[command]["beside_training"]["evaluate_s"] for r in cpu],
            )
        )
        assert f" {total} |" in text and losses in text, command
        assert f"{gpu[0][command]['seconds']:.0f} s" in section(BENCHMARKS, "On a GPU"), command


def test_the_share_of_a_core_s_limit_is_the_measured_one():
    found = json.loads((RESULTS / "step_parts.json").read_text())
    text = section(BENCHMARKS, "A step's parts")
    parts, shares = found["us_per_model_step"], found["share_of_limit"]
    assert f"{percent(shares.pop('all'))} % of the limit" in text
    before = json.loads((RESULTS / "step_parts-before.json").read_text())["share_of_limit"]["all"]
    assert f"It was {percent(before)} % on 26 November" in text
    for width, share in shares.items():
        whole, rest = (
            parts[f"{name}, {width} columns"] for name in ("gradient", "gradient of the identity")
        )
        assert f"| {width} | {whole:.1f} | {whole - rest:.1f} | {percent(share)} |" in text, width
    for name, us in re.findall(r"`(\w+)` (\d+\.\d)", text):
        assert f"{found['us_of_derivative'][f'{name}, 1024 columns']:.1f}" == us, name


def test_the_time_of_learning_coefficients_is_the_measured_one():
    found = json.loads((RESULTS / "llc.json").read_text())
    text = section(BENCHMARKS, "Local learning coefficients")
    assert f"{found['cpu_s']:.0f} CPU seconds" in text and f"{found['models']:,} models" in text
    assert f"{found['wall_s']:.0f} s on two cores" in text and found["cores"] == 2
    assert found["wall_s"] < 120
    for k, one in found["k_gons"].items():
        assert f"| {k} | {one['half']} | {one['llc']:.2f} ± {one['stderr']:.2f} |" in text
        assert abs(one["llc"] - one["half"]) < 0.1 * one["half"]


def test_the_losses_of_pytorch_are_the_measured_ones():
    found = json.loads((RESULTS / "decomposition-torch.json").read_text())["models"]
    for (n, m), loss in TORCH.items():
        assert rounded(min(found[f"tms_{n}_{m}"]["loss"]), 4) == loss


def rounded(number, digits):
    return float(f"{number:.{digits}g}")
