"""The pages: index, sources, figures; the command that writes them; what a catalog must have."""

import json
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jsuper.analysis.counts import COUNTS
from jsuper.cli import findings as command
from jsuper.cli import several
from jsuper.core.errors import SpecError
from jsuper.findings import Finding, above, catalog, judge, page, placebo, results, sources
from jsuper.findings.sweeps import SWEEPS
from jsuper.plots.findings import evidence

RNG = np.random.default_rng(0)


def finding(name="more", mean=1.0, cases=3, parts=2, **changed):
    """A finding with values around a mean, one reading after another."""
    labels = [f"part {i}" for i in range(parts)]

    def effect(data, shift=0.0):
        return {label: mean + shift + RNG.normal(size=10) / 10 for label in labels}

    given = {
        "question": f"Is there {name}?",
        "source": "baron-2025",
        "sentence": f"There is {name} | a lot.",
        "effect": effect,
        "rules": dict.fromkeys(labels, above(0.5)),
        "readings": {f"S .{i}": {"shift": i / 100} for i in range(cases)},
        "unit": "features",
        "note": "It is {part 0:.1f}.",
    }
    return Finding(name, **(given | changed))


@pytest.fixture
def found():
    asked = [
        finding(),
        finding("less", mean=-1.0),
        finding("one", cases=1, parts=9),
        finding("own", source="", sentence=""),
        finding("never", effect=None, rules={}, cases=0, untestable="It is a forecast.", note=""),
    ]
    return catalog.with_placebos(map(results.as_data, judge(asked, {})), {"more": 1})


def test_pages_have_every_finding_with_verdict_numbers_and_figure(tmp_path, found, monkeypatch):
    pages = {p: catalog.Page(top=("less",)) for p in ("baron-2025", sources.OWN)}
    monkeypatch.setattr(catalog, "PAGES", pages)
    monkeypatch.setattr(catalog, "TOP", ("more", "own"))
    page.draw(found, tmp_path)
    index = page.write(found, {}, 10, tmp_path).read_text()
    assert "5 questions" in index and "10 seeds" in index
    text = (tmp_path / "baron-2025.md").read_text()
    first = text.split("## All findings")[0]
    assert re.search(r"\*\*Contradicted.\*\* There is less \| a lot. \*part [01]: -0.9", first)
    assert "Readings: 3 against it.*" in first
    rows = re.findall(r"^\| (.*) \|$", text.split("## All findings")[1], re.M)
    assert rows[1].startswith("There is more \\| a lot. | Supported | part 0: ")
    for name in ("more", "less", "one"):
        assert (tmp_path / "figures" / f"{name}.png").exists() and f'<a id="{name}">' in text
    assert not (tmp_path / "figures" / "never.png").exists()
    assert "It is a forecast." in text and "Not testable here" in text
    links = re.findall(r"\]\(([\w/.-]+\.(?:md|png|json))", index + text)
    assert links and all((tmp_path / link).exists() for link in set(links))
    own = (tmp_path / f"{sources.OWN}.md").read_text()
    assert "| Is there own? | Supported |" in own and "Is there more" not in own
    kept = json.loads((tmp_path / "findings.json").read_text())
    assert [f["name"] for f in kept["findings"]] == [f["name"] for f in found]


def test_a_figure_has_at_most_eight_panels_and_shows_the_values_as_they_are(found):
    by_name = {f["name"]: f for f in found}
    for name, panels in (("more", 2), ("one", 1)):
        figure = evidence(by_name[name])
        assert figure.get_figwidth() * 100 == 1000
        drawn = [ax for ax in figure.axes if ax.axison]
        assert len(drawn) == panels <= 8
        part = by_name[name]["readings"][0]["parts"][0]
        seeds = next(line for line in drawn[0].lines if line.get_marker() == ".")
        np.testing.assert_allclose(sorted(seeds.get_xdata()), sorted(part["values"]))
        plt.close(figure)


def test_a_finding_that_placebos_support_is_refused():
    anything = finding(placebo=lambda data, rng: data)
    with pytest.raises(ValueError, match="'more' is supported on 20 of 20 placebos"):
        catalog.decided([anything], {})
    shifted = finding(effect=lambda data, shift=0.0: {"part 0": data.get("x", np.arange(2.0, 8))},
                      rules={"part 0": above(0.5)}, sweeps=("x",),
                      placebo=lambda data, rng: {"x": data["x"] * 0})  # fmt: skip
    assert placebo.supported_placebos(shifted, {"x": np.arange(2.0, 8)}) == 0


def test_the_catalog_is_whole():
    names = [f.name for f in catalog.FINDINGS]
    assert len(set(names)) == len(names) >= 60
    assert len(catalog.TOP) == 10 and set(catalog.TOP) <= set(names)
    assert {f.source or sources.OWN for f in catalog.FINDINGS} == set(catalog.PAGES)
    for key, shown in catalog.PAGES.items():
        mine = {f.name for f in catalog.FINDINGS if (f.source or sources.OWN) == key}
        assert set(shown.top) <= mine and len(shown.top) == min(5, len(mine))


@pytest.mark.parametrize("asked", catalog.FINDINGS, ids=lambda f: f.name)
def test_every_finding_says_what_it_asks(asked):
    assert asked.question.endswith("?")
    assert not asked.source or asked.sentence.endswith(".")
    assert asked.effect is None or is_exact(asked) or asked.placebo or not asked.rules
    counts = {r.get("count") for r in asked.readings.values()} - {None, ""}
    assert not counts or counts >= set(COUNTS)


def is_exact(asked):
    return all(rule.kind == "exact" for rule in asked.rules.values())


def test_names_and_sources_are_chosen_and_others_refused():
    some = catalog.FINDINGS[0]
    assert catalog.chosen([some.name]) == [some]
    assert {f.source for f in catalog.chosen(["pona-2023"])} == {"pona-2023"}
    assert catalog.chosen([]) == list(catalog.FINDINGS)
    with pytest.raises(SpecError, match="finding 'pona' is not known.*pona-2023"):
        catalog.chosen(["pona"])


def test_the_command_decides_what_needs_no_models_and_forwards_older_names(tmp_path, capsys):
    exact = next(f for f in catalog.FINDINGS if f.effect and not f.sweeps)
    flags = ["--runs", str(tmp_path / "runs"), "--seeds", "2"]
    assert command.findings([exact.name, *flags]) == 0
    assert exact.name in capsys.readouterr().out
    assert command.claims([exact.name, *flags]) == 0
    assert "jsuper findings" in capsys.readouterr().err
    assert command.study(["unknown", *flags]) == 2
    assert "finding 'unknown' is not known" in capsys.readouterr().err


def test_pages_from_more_seeds_are_not_written_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = command.FindingsOptions(seeds=5)
    assert command._out(options) == command.DOCS
    command.DOCS.mkdir(parents=True)
    (command.DOCS / "findings.json").write_text('{"seeds": 20}')
    assert command._out(options).name == "pages"
    assert "is from 20 seeds and stays" in capsys.readouterr().out


def held(seeds, folder):
    """The sweep that is trained for a number of seeds, given what a folder has."""
    return several.as_held(SWEEPS["scurves"].sweep(seeds), folder)


def test_a_folder_without_a_manifest_goes_on_and_more_seeds_are_kept(tmp_path):
    folder = tmp_path / "scurves"
    folder.mkdir()
    asked = held(2, folder)
    assert asked.seed_count == 10 and not several.is_complete(asked, folder)
    (folder / "manifest.json").write_text("{")
    assert held(2, folder).seed_count == 10


def test_a_folder_with_more_seeds_is_asked_for_all_of_them(tmp_path, monkeypatch):
    found = SimpleNamespace(sweep=vars(held(3, tmp_path)))
    monkeypatch.setattr(several, "manifest_of", lambda folder: found)
    assert held(2, tmp_path).seed_count == 15 and held(4, tmp_path).seed_count == 20


def test_pages_of_some_findings_are_refused(tmp_path):
    assert command.findings(["pona-2023", "--out", str(tmp_path)]) == 2
