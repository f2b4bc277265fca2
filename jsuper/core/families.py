"""The model families and where their parts are. Imports no jax until a part that needs it is used.

A family is registered by the names of its modules:

    spec       no jax: Sweep, a BaseSweep with two main_axes and the fields steps and dtype;
               layout(static, settings): variable -> (dimensions, shape) of one model of a chunk;
               coordinates(static) of those dimensions; ATTRIBUTES: variable -> description;
               SUMMARY: the variable that the command line shows; FINITE: variables that are finite
               wherever the status is 1; KEPT, of a family that can be scrubbed: file beside a run
               -> the coordinates of its variables' own dimensions; work(static): multiply-adds and
               elementwise passes of a step
    train      make_static(values, parts, batching) -> Static, hashable, with dtype, for blocks of
               settings and one of `jsuper.engine.devices.BATCHINGS`; arrange(static, settings) ->
               indices, the order in which a block trains them, ~i being setting i as padding;
               branch_of(setting, at_once): equal for settings that one program may train;
               make_setting(static, point) -> Setting, of which all but the point's fields have
               defaults; make_train(static, sequential) -> Train with init, advance, finish, steps
               and stops, as `jsuper.training.loop.Train` documents them
    measures   measure(ds): MEASURES, variable -> (own dimensions, description), computed from the
               variables NEEDS, with COORDINATES of their own dimensions; for the page
               HEADLINES, the variables of its heatmaps, RANK, by which seeds are the best, PICTURES
    fits       of a family whose fits can fail: failed_fits(ds) -> {reason: models}, from those of
               the variables NEEDS that a run has; ADVICE: reason -> what to do; QUALITY: variables
               in which failed fits count
    figures    figures(ds) -> [(caption, figure)] of the page, which the axes of a sweep call for
    scrubbing  of a family that can be scrubbed causally: measure(ds, overlap=), VARIABLES and
               COORDINATES as in measures; BLOCKS, how many samples;
               explanation(ds): which of TABLES is needed where, in a word of MEANING;
               left_out(ds) names the models that cannot be scrubbed
    matching   of a family that takes callables: matched(sweep, existing) -> the sweep with the
               labels that a folder has for them; SpecError where it has others of the name
    page       a JavaScript file, "package/file.js": drawModel(place, arrays), the page's pictures
               of one model, from its PICTURES
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from importlib.resources import files
from typing import Any

from jsuper.core.existing import Existing
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import BaseSweep, SpecError


@dataclass(frozen=True)
class Family:
    """The full names of a family's modules, and of its script for the page."""

    spec: str
    train: str
    measures: str
    figures: str
    page: str
    fits: str | None = None
    scrubbing: str | None = None
    matching: str | None = None


FAMILIES = {
    "toy": Family(
        spec="jsuper.models.toy.spec",
        train="jsuper.models.toy.train",
        measures="jsuper.analysis.metrics.toy",
        fits="jsuper.analysis.metrics.toy_fits",
        scrubbing="jsuper.analysis.metrics.toy_scrubbing",
        matching="jsuper.models.toy.matching",
        figures="jsuper.report.toy_figures",
        page="jsuper.report/toy.js",
    ),
    "factorization": Family(
        spec="jsuper.models.factorization.spec",
        train="jsuper.models.factorization.train",
        measures="jsuper.analysis.metrics.factorization",
        figures="jsuper.report.factorization_figures",
        page="jsuper.report/factorization.js",
    ),
}


def family_of(model: str) -> Family:
    """The registered family; an unknown name is refused with the close match."""
    if not isinstance(model, str) or model not in FAMILIES:
        subject = f"model={model!r} is not known"
        raise SpecError(not_one_of(subject, model, FAMILIES, "it is one of"))
    return FAMILIES[model]


def spec_of(model: str) -> Any:
    """The family's `spec` module."""
    return import_module(family_of(model).spec)


def program_of(model: str) -> Any:
    """The family's `train` module (imports jax)."""
    return import_module(family_of(model).train)


def measures_of(model: str) -> Any:
    """The family's `measures` module (imports jax)."""
    return import_module(family_of(model).measures)


def scrubbing_of(model: str) -> Any:
    """The family's `scrubbing` module (imports jax); a family without one is refused."""
    module = family_of(model).scrubbing
    if module is None:
        raise SpecError(
            f"model={model!r} has no outputs that depend on single inputs: there is nothing to "
            "scrub; give a run of model='toy'"
        )
    return import_module(module)


def fits_of(model: str) -> Any | None:
    """The family's `fits` module; None for a family whose fits cannot fail."""
    module = family_of(model).fits
    return None if module is None else import_module(module)


def figures_of(model: str) -> Any:
    """The family's `figures` module."""
    return import_module(family_of(model).figures)


def page_of(model: str) -> str:
    """The family's script for the page."""
    package, file = family_of(model).page.split("/")
    return (files(package) / file).read_text(encoding="utf-8")


def model_with(field: str) -> str | None:
    """The first family that has a field of this name; None where no family has it."""
    for model in FAMILIES:
        if field in (f.name for f in fields(spec_of(model).Sweep)):
            return model
    return None


def matched(sweep: BaseSweep, existing: Existing) -> BaseSweep:
    """The sweep with its callables under the labels that a run folder has for them.

    Raises:
        SpecError: the folder was trained with another function of one of the names.
    """
    module = family_of(sweep.model).matching
    given = [getattr(sweep, f.name) for f in fields(sweep)]
    values = [v for field in given for v in (field if isinstance(field, tuple) else (field,))]
    if module is None or not any(map(callable, values)):  # nor is jax imported
        return sweep
    return import_module(module).matched(sweep, existing)


def sweep_from_dict(data: dict[str, Any]) -> BaseSweep:
    """A sweep of the family that `data["model"]` names (the toy model by default)."""
    cls = spec_of(data.get("model", "toy")).Sweep
    own = {"model", *(f.name for f in fields(cls))}
    for key in data:
        if key not in own and (other := model_with(key)):
            raise SpecError(
                f"{key!r} is a field of the model {other!r}, and this is {cls.model!r}: "
                f"add model = {other!r}, or leave it out"
            )
    return cls.from_dict(data)
