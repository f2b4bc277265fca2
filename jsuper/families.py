"""The model families and where they live. Imports no jax until a family's program is needed.

A family is a package with four modules, two more that may be there, and a script:

    spec.py    no jax: Sweep, a BaseSweep with two main_axes and the fields steps and dtype;
               layout(static, settings): variable -> (dimensions, shape) of one model of a chunk;
               coordinates(static) of those dimensions; ATTRIBUTES: variable -> words; SUMMARY: the
               variable that the command line shows; FINITE: variables that are finite wherever
               the status is 1; KEPT, of a family that can be scrubbed: file beside a run -> the
               coordinates of its variables' own dimensions; work(static): multiply-adds and
               elementwise passes of a step
    train.py   make_static(values, parts, batching) -> Static, hashable, with dtype, for blocks of
               settings and one of `jsuper.plan.BATCHINGS`; arrange(static, settings) -> indices,
               the order in which a block trains them, ~i being setting i as padding;
               branch_of(setting, at_once): equal for settings that one program may train;
               make_setting(static, point) -> Setting, of which all but the point's fields have
               defaults; make_train(static, sequential) -> Train with init, advance, finish, steps
               and stops, as `jsuper.training.Train` documents them
    measures.py  measure(ds): MEASURES, variable -> (own dimensions, words), computed from the
               variables NEEDS, with COORDINATES of their own dimensions; for the page
               HEADLINES, the variables of its heatmaps, RANK, by which seeds are the best, PICTURES
    fits.py    of a family whose fits can fail: failed_fits(ds) -> {reason: models}, from those of
               the variables NEEDS that a run has; ADVICE: reason -> what to do; QUALITY: variables
               in which failed fits count
    figures.py  figures(ds) -> [(caption, figure)] of the page, which the axes of a sweep call for
    scrubbing.py  of a family that can be scrubbed causally: measure(ds, overlap=), VARIABLES and
               COORDINATES as in measures.py; BLOCKS, how many samples; show(ds) prints tables;
               left_out(ds) names the models that cannot be scrubbed
    page.js    drawModel(place, arrays): the page's pictures of one model, from its PICTURES
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from jsuper.spec import BaseSweep, SpecError
from jsuper.suggestions import not_one_of

FAMILIES = {"toy": "jsuper.toy", "factorization": "jsuper.factorization"}


def spec_of(model: str) -> Any:
    """The family's `spec` module; an unknown name is refused with the close match."""
    if not isinstance(model, str) or model not in FAMILIES:
        subject = f"model={model!r} is not known"
        raise SpecError(not_one_of(subject, model, FAMILIES, "it is one of"))
    return import_module(FAMILIES[model] + ".spec")


def program_of(model: str) -> Any:
    """The family's `train` module (imports jax)."""
    spec_of(model)
    return import_module(FAMILIES[model] + ".train")


def measures_of(model: str) -> Any:
    """The family's `measures` module (imports jax)."""
    spec_of(model)
    return import_module(FAMILIES[model] + ".measures")


def scrubbing_of(model: str) -> Any:
    """The family's `scrubbing` module (imports jax); a family without one is refused."""
    spec_of(model)
    if find_spec(FAMILIES[model] + ".scrubbing") is None:
        raise SpecError(
            f"model={model!r} has no outputs that depend on single inputs: there is nothing to "
            "scrub; give a run of model='toy'"
        )
    return import_module(FAMILIES[model] + ".scrubbing")


def fits_of(model: str) -> Any | None:
    """The family's `fits` module; None for a family whose fits cannot fail."""
    spec_of(model)
    if find_spec(FAMILIES[model] + ".fits") is None:
        return None
    return import_module(FAMILIES[model] + ".fits")


def figures_of(model: str) -> Any:
    """The family's `figures` module."""
    spec_of(model)
    return import_module(FAMILIES[model] + ".figures")


def model_with(field: str) -> str | None:
    """The first family that has a field of this name; None where no family has it."""
    for model in FAMILIES:
        if field in (f.name for f in fields(spec_of(model).Sweep)):
            return model
    return None


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
