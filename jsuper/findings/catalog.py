"""Every finding, the pages they stand on, and what a reader sees first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSONObject
from jsuper.core.suggestions import did_you_mean
from jsuper.findings import (
    baron_attributes,
    baron_general,
    baron_shapes,
    baron_sigmoids,
    baron_softmax,
    bumps,
    dropout,
    gates,
    gelu,
    general,
    kurtosis,
    phases,
    scurves,
)
from jsuper.findings.finding import Data, Finding
from jsuper.findings.judging import judge
from jsuper.findings.placebo import MOST, SHUFFLES, all_placebos
from jsuper.findings.results import as_data
from jsuper.findings.sources import OWN
from jsuper.findings.sweeps import load
from jsuper.plots import findings_baron, findings_dropout, findings_gelu, findings_scurves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MODULES = (
    baron_general, baron_attributes, baron_shapes, baron_sigmoids, baron_softmax, dropout, kurtosis,
    scurves, bumps, gelu, gates, phases, general,
)  # fmt: skip
FINDINGS: tuple[Finding, ...] = tuple(f for module in MODULES for f in module.FINDINGS)
TOP = (
    "hardness-reduces",
    "more-superposition-less-loss",
    "negative-outputs-less",
    "sigmoids-unimportant",
    "dropout-less-superposition",
    "spreading-exposes",
    "dropout-privileged-basis",
    "plateau-is-bump-formation",
    "trained-relu-comes-back",
    "training-finds-the-phase-diagram",
)
"""Ten findings of the index."""
SCURVES = ("scurves", "scurves_softmax", "scurves_softmax_100", "scurves_softmax_1000")
OWN_KNOWN = (
    "These were asked after a first look at the sweeps, with margins of our own choice, and mostly "
    "state the direction that was found there: they describe rather than predict."
)


class Page(NamedTuple):
    """What a page shows first.

    Attributes
    ----------
    top
        Five findings.
    picture
        picture(data) -> the main figure.
    sweeps
        Those that the picture needs.
    exact
        Returns the rows of a table of exact values: what, as stated, as computed.
    """

    top: tuple[str, ...]
    picture: Callable[..., Figure] | None = None
    sweeps: tuple[str, ...] = ()
    exact: Callable[[], list[tuple[str, str, float]]] | None = None


PAGES: dict[str, Page] = {
    "baron-2025": Page(
        ("hardness-reduces", "more-superposition-less-loss", "negative-outputs-less",
         "gelu-less-when-sparse", "sigmoids-unimportant"),
        findings_baron.main, ("fitted",)),
    "pona-2023": Page(
        ("dropout-less-superposition", "spreading-exposes", "dropout-privileged-basis",
         "kurtosis-shows-superposition", "dropout-leaves-alone"),
        findings_dropout.main, ("dropout", "dropout_basis")),
    "jermyn-2022": Page(
        ("plateau-is-bump-formation", "factors-give-an-s-curve", "no-decay-under-cross-entropy",
         "bumps-are-competition", "adamw-only-accelerates"),
        findings_scurves.main, SCURVES),
    "gelu-correction": Page(
        ("gelu-nearly-clips", "gelu-does-not-clip", "gelu-still-flows",
         "gelu-blocks-earlier-layers"),
        findings_gelu.shapes),
    "gelu-tutorial": Page(
        ("gelu-recovers", "relu-never-recovers", "normal-preactivations", "mild-from-extreme",
         "gelu-s-shaped"),
        findings_gelu.recovered, ("revival",), gelu.computed),
    "elhage-2022": Page(
        ("training-finds-the-phase-diagram", "relu-shares-where-it-pays"),
        findings_scurves.phases, ("phase_2_1", "phase_3_2")),
    OWN: Page(
        ("trained-relu-comes-back", "random-gate-mask", "random-gate-mean", "gelu-less-elsewhere",
         "tanh-none-elsewhere")),
}  # fmt: skip


def chosen(names: Iterable[str]) -> list[Finding]:
    """Return the findings of some names and sources, in the order of the pages; all without names.

    Raises
    ------
    SpecError
        A name is neither a finding nor a source.
    """
    names = list(names)
    known = [f.name for f in FINDINGS]
    for name in names:
        if name not in (*known, *PAGES):
            hint = did_you_mean(name, [*known, *PAGES])
            raise SpecError(
                f"finding {name!r} is not known{f'{hint} The' if hint else '; the'} sources are "
                f"{', '.join(PAGES)}; docs/findings has the names of their findings"
            )
    return [f for f in FINDINGS if not names or f.name in names or (f.source or OWN) in names]


def sweeps_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the names of the sweeps that some findings need."""
    return tuple(dict.fromkeys(name for f in findings for name in f.sweeps))


def decided(findings: Sequence[Finding], data: Data) -> list[JSONObject]:
    """Return findings with their verdicts and the number of placebos that were supported.

    Raises
    ------
    ValueError
        A sweep is missing, or more placebos support a finding than chance allows.
    """
    found = [as_data(judged) for judged in judge(findings, data)]
    return with_placebos(found, all_placebos(findings, data))


def with_placebos(found: Iterable[JSONObject], placebos: Mapping[str, int]) -> list[JSONObject]:
    """Return findings with the number of placebos that were supported.

    Raises
    ------
    ValueError
        More placebos support a finding than chance allows.
    """
    for name, number in placebos.items():
        if number > MOST:
            raise ValueError(
                f"finding {name!r} is supported on {number} of {SHUFFLES} placebos, so that it "
                "would hold of anything; change its rule"
            )
    return [one | {"placebos": placebos.get(one["name"])} for one in found]


def count_placebos(names: tuple[str, ...], folder: Path, seeds: int) -> dict[str, int]:
    """Return `all_placebos` of the findings of some names, in a process by itself."""
    findings = chosen(names)
    return all_placebos(findings, load(folder, sweeps_of(findings), seeds))
