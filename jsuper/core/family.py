"""Model families: what the engine, the store and the pages ask of one, and where its modules are.

A `Family` holds the names of its modules, each imported when it is first used, so that a command
that trains nothing imports no jax. Every module has the names of one protocol below. `spec` and
`train` are required; without the others nothing is measured, drawn or scrubbed.

Built-in families are in `FAMILIES`. Another package declares an entry point in the group
"jsuper.families", with the family's name as its name and a `Family` as its value; every process
then finds the family. `register_family` adds one to this process alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol, cast

from jsuper.core.existing import Existing
from jsuper.core.grid import Setting
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import BaseSweep, SpecError

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

GROUP = "jsuper.families"

Dimensions = tuple[str, ...]
Described = Mapping[str, tuple[Dimensions, str]]
"""Variable -> (dimensions besides the sweep's, description)."""


class Spec(Protocol):
    """The module `spec`: what a sweep of the family is. It imports no jax.

    It may have coordinates(static), the values of its dimensions that are not 0, 1, 2, ...
    """

    Sweep: type[BaseSweep]
    """A BaseSweep with two main_axes and the fields steps and dtype."""

    ATTRIBUTES: Mapping[str, str]
    """Variable of a chunk -> its description."""

    SUMMARY: str
    """The variable that the command line shows."""

    FINITE: Sequence[str]
    """Variables that are finite wherever the status is OK."""

    def layout(
        self, static: dict[str, Any], settings: Sequence[Setting], /
    ) -> dict[str, tuple[Dimensions, tuple[int, ...]]]:
        """Variable -> (dimensions, shape) of one model of a chunk."""
        ...

    def work(self, static: dict[str, Any], /) -> tuple[float, float]:
        """Multiply-adds of a step, and the elements of its elementwise passes."""
        ...


class Training(Protocol):
    """The module `train`: the program of one model. It imports jax.

    It may have arrange(static, settings), the order in which a block trains its settings, where ~i
    repeats setting i as padding; and branch_of(setting, at_once), which is equal for settings that
    one program may train. By default settings stay in order and share a program.
    """

    def make_static(
        self, values: dict[str, Any], parts: Sequence[Sequence[Setting]], batching: str, /
    ) -> Any:
        """Shapes and program, hashable, with a dtype, for blocks of settings.

        `batching` is one of `jsuper.engine.devices.BATCHINGS`.
        """
        ...

    def make_setting(self, static: Any, point: Setting, /) -> Any:
        """Return the traced numbers of one model; every field but the point's has a default."""
        ...

    def make_train(self, static: Any, sequential: bool, /) -> Any:
        """Return the `jsuper.training.loop.Train` of one model."""
        ...


class Measures(Protocol):
    """The module `measures`: what is measured of each model of a Dataset."""

    MEASURES: Described

    NEEDS: Sequence[str]
    """Variables that `measure` reads."""

    COORDINATES: Mapping[str, Any]
    """Values of the measures' own dimensions."""

    HEADLINES: Sequence[str]
    """Variables of the page's heatmaps."""

    RANK: str
    """The variable of which the smallest is the best seed."""

    PICTURES: Sequence[str]
    """Variables that the page's script draws."""

    def measure(self, ds: xarray.Dataset, /) -> dict[str, Any]:
        """Variable -> its (dimensions, values)."""
        ...


class Fits(Protocol):
    """The module `fits`, of a family whose fits can fail."""

    NEEDS: Sequence[str]
    """Variables that `failed_fits` reads where a run has them."""

    ADVICE: Mapping[str, str]
    """Reason -> what to do."""

    QUALITY: Sequence[str]
    """Variables in which failed fits count; they are left out of all others."""

    def failed_fits(self, ds: xarray.Dataset, /) -> dict[str, xarray.DataArray]:
        """Reason -> the models whose fits failed for it."""
        ...


class Figures(Protocol):
    """The module `figures`: what the page draws of a sweep."""

    def figures(self, ds: xarray.Dataset, /) -> list[tuple[str, Figure]]:
        """(caption, figure) of what the sweep's axes call for."""
        ...


class Scrubbing(Protocol):
    """The module `scrubbing`, of a family whose outputs depend on single inputs."""

    VARIABLES: Described

    COORDINATES: Mapping[str, Any]

    BLOCKS: int
    """Blocks of samples."""

    TABLES: Sequence[str]
    """Hypotheses that the command line shows."""

    MEANING: Mapping[str, str]
    """Word of `explanation` -> what it says."""

    ENOUGH: float
    """Share of what the cluster explains from which on it is not needed."""

    def measure(self, ds: xarray.Dataset, /, *, overlap: float) -> dict[str, Any]:
        """Return variable -> (dimensions, values)."""
        ...

    def explanation(self, ds: xarray.Dataset, /) -> xarray.Dataset:
        """Return how much of each output the hypotheses explain."""
        ...

    def left_out(self, ds: xarray.Dataset, /) -> list[str]:
        """Return names of the models that cannot be scrubbed."""
        ...


class Functions(Protocol):
    """The module `functions`, of a family that takes callables."""

    def matched(self, sweep: Any, existing: Existing, /) -> Any:
        """Return the sweep with its callables under the labels that a run folder has for them.

        Raises
        ------
        SpecError
            The folder was trained with another function of one of the names.
        """
        ...


class _NoMeasures:
    """A family that measures nothing: its page shows the summary."""

    def __init__(self, spec: Spec) -> None:
        self.MEASURES: Described = {}
        self.NEEDS: Sequence[str] = ()
        self.COORDINATES: Mapping[str, Any] = {}
        self.HEADLINES: Sequence[str] = (spec.SUMMARY,)
        self.RANK = spec.SUMMARY
        self.PICTURES: Sequence[str] = ()

    def measure(self, ds: xarray.Dataset, /) -> dict[str, Any]:
        del ds
        return {}


class Family:
    """A model family by the names of its modules.

    Parameters
    ----------
    name
        What sweeps call it: `Sweep.model`.
    spec, train
        Full names of modules, as `Spec` and `Training` describe them.
    measures, fits, figures, scrubbing, functions
        Likewise; left out, the family has none.
    page
        "package/file.js" with drawModel(place, arrays), which draws one model on the page.
    """

    def __init__(
        self,
        name: str,
        *,
        spec: str,
        train: str,
        measures: str | None = None,
        fits: str | None = None,
        figures: str | None = None,
        scrubbing: str | None = None,
        functions: str | None = None,
        page: str | None = None,
    ) -> None:
        self.name = name
        self.package: str | None = None  # the distribution whose entry point it is
        self._spec, self._train, self._measures, self._fits = spec, train, measures, fits
        self._figures, self._scrubbing, self._functions = figures, scrubbing, functions
        self._page = page

    @cached_property
    def spec(self) -> Spec:
        """What a sweep is."""
        return cast(Spec, import_module(self._spec))

    @cached_property
    def train(self) -> Training:
        """The program of one model (imports jax)."""
        return cast(Training, import_module(self._train))

    @cached_property
    def measures(self) -> Measures:
        """What is measured (imports jax)."""
        if self._measures is None:
            return _NoMeasures(self.spec)
        return cast(Measures, import_module(self._measures))

    @cached_property
    def fits(self) -> Fits | None:
        """Which fits failed; None for a family whose fits cannot fail."""
        return cast(Fits, import_module(self._fits)) if self._fits else None

    @cached_property
    def functions(self) -> Functions | None:
        """The callables of a sweep; None for a family that takes none (imports jax)."""
        return cast(Functions, import_module(self._functions)) if self._functions else None

    @cached_property
    def scrubbing(self) -> Scrubbing:
        """Causal scrubbing (imports jax).

        Raises
        ------
        SpecError
            The family has none.
        """
        if self._scrubbing is None:
            raise SpecError(
                f"model={self.name!r} has no outputs that depend on single inputs: there is "
                "nothing to scrub; give a run of model='toy'"
            )
        return cast(Scrubbing, import_module(self._scrubbing))

    def figures(self, ds: xarray.Dataset) -> list[tuple[str, Figure]]:
        """(caption, figure) of what the axes of an analysed sweep call for."""
        return cast(Figures, import_module(self._figures)).figures(ds) if self._figures else []

    def coordinates(self, static: dict[str, Any]) -> dict[str, Any]:
        """Values of a chunk's dimensions, of those that are not 0, 1, 2, ..."""
        stated = getattr(self.spec, "coordinates", None)
        return stated(static) if stated else {}

    def arrange(self, static: Any, settings: Sequence[Setting]) -> tuple[int, ...]:
        """The order in which a block trains its settings; ~i repeats setting i as padding."""
        stated = getattr(self.train, "arrange", None)
        return stated(static, settings) if stated else tuple(range(len(settings)))

    def branch_of(self, setting: Setting, at_once: bool) -> Any:
        """Equal for settings that one program may train."""
        stated = getattr(self.train, "branch_of", None)
        return stated(setting, at_once) if stated else None

    def kept(self, file: str) -> Mapping[str, Any]:
        """Coordinates of the variables that are kept in that file beside a run's chunks."""
        return cast(Any, self.spec).KEPT[file]

    def page_script(self) -> str:
        """Return the page's script that draws one model."""
        if self._page is None:
            return "function drawModel(place, arrays) {}\n"
        package, file = self._page.split("/")
        return (files(package) / file).read_text(encoding="utf-8")


FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> None:
    """Let sweeps of a family be trained and loaded in this process.

    Other processes, such as workers of a cluster, find a family by its entry point.

    Raises
    ------
    TypeError
        `family` is not a `Family`.
    ValueError
        Another family has the name.
    """
    if not isinstance(family, Family):
        raise TypeError(f"family is {family!r}, not a jsuper.core.family.Family")
    if FAMILIES.get(family.name, family) is not family:
        raise ValueError(f"a family {family.name!r} is registered already; give another name")
    FAMILIES[family.name] = family


def family_of(model: str) -> Family:
    """Return the family of that name.

    Raises
    ------
    SpecError
        No family has the name; says the closest one, or that a package is missing.
    """
    if isinstance(model, str) and model not in FAMILIES:
        for entry in entry_points(group=GROUP, name=model):
            register_family(entry.load())
            FAMILIES[model].package = entry.dist.name if entry.dist else None
    if not isinstance(model, str) or model not in FAMILIES:
        subject = f"model={model!r} is not known"
        message = not_one_of(subject, model, known_families(), "it is one of")
        raise SpecError(f"{message}, or install the package that has it")
    return FAMILIES[model]


def known_families() -> list[str]:
    """Return names of all families, registered or installed."""
    return [*FAMILIES, *(n for n in entry_points(group=GROUP).names if n not in FAMILIES)]


def matched(sweep: BaseSweep, existing: Existing) -> BaseSweep:
    """Return the sweep with its callables under the labels that a run folder has for them.

    Raises
    ------
    SpecError
        The folder was trained with another function of one of the names.
    """
    given = [getattr(sweep, f.name) for f in fields(sweep)]
    values = [v for field in given for v in (field if isinstance(field, tuple) else (field,))]
    if not any(map(callable, values)):  # nor is jax imported
        return sweep
    functions = family_of(sweep.model).functions
    return sweep if functions is None else functions.matched(sweep, existing)


def model_with(field: str) -> str | None:
    """Return the first family that has a field of this name; None where no family has it."""
    for model in known_families():
        if field in (f.name for f in fields(family_of(model).spec.Sweep)):
            return model
    return None


def sweep_from_dict(data: dict[str, Any]) -> BaseSweep:
    """Return a sweep of the family that `data["model"]` names (the toy model by default)."""
    cls = family_of(data.get("model", "toy")).spec.Sweep
    own = {"model", *(f.name for f in fields(cls))}
    for key in data:
        if key not in own and (other := model_with(key)):
            raise SpecError(
                f"{key!r} is a field of the model {other!r}, and this is {cls.model!r}: "
                f"add model = {other!r}, or leave it out"
            )
    return cls.from_dict(data)


for _family in (
    Family(
        "toy",
        spec="jsuper.models.toy.spec",
        train="jsuper.models.toy.train",
        measures="jsuper.analysis.metrics.toy",
        fits="jsuper.analysis.metrics.toy_fits",
        scrubbing="jsuper.analysis.metrics.toy_scrubbing",
        figures="jsuper.report.toy_figures",
        functions="jsuper.models.toy.matching",
        page="jsuper.report/toy.js",
    ),
    Family(
        "factorization",
        spec="jsuper.models.factorization.spec",
        train="jsuper.models.factorization.train",
        measures="jsuper.analysis.metrics.factorization",
        figures="jsuper.report.factorization_figures",
        page="jsuper.report/factorization.js",
    ),
):
    register_family(_family)
