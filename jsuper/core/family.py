"""Model families: which modules one consists of, and how a family is found by its name.

A `Family` holds the names of its modules, which are imported when they are first used, so that a
command that trains nothing imports no jax. `jsuper.core.protocols` describes each module.

Built-in families are in `FAMILIES`. Another package declares an entry point in the group
"jsuper.families", with the family's name as its name and a `Family` as its value; every process
then finds the family. `register_family` adds one to this process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from jsuper.core.errors import SpecError
from jsuper.core.grid import Setting, Static
from jsuper.core.json_data import JSON
from jsuper.core.protocols import (
    Described,
    Existing,
    Figures,
    Fits,
    Functions,
    Measured,
    Measures,
    PyTree,
    Scrubbing,
    Spec,
    Training,
)
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import BaseSweep

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

GROUP = "jsuper.families"


class _NoMeasures:
    """The measures of a family that measures nothing: its page shows the summary."""

    def __init__(self, spec: Spec) -> None:
        self.MEASURES: Described = {}
        self.NEEDS: Sequence[str] = ()
        self.COORDINATES: Mapping[str, Any] = {}
        self.HEADLINES: Sequence[str] = (spec.SUMMARY,)
        self.RANK = spec.SUMMARY
        self.PICTURES: Sequence[str] = ()

    def measure(self, ds: xarray.Dataset, /) -> Measured:
        del ds
        return {}


class Family:
    """A model family, given by the names of its modules.

    Parameters
    ----------
    name
        The family's name in sweeps, TOML files and run folders: `Sweep.model`.
    spec, train
        Full names of the modules, such as "mypackage.spec"; see `jsuper.core.protocols.Spec` and
        `Training`.
    measures, fits, figures, scrubbing, functions
        Full names of optional modules, with the protocols of the same names.
    page
        "package/file.js", whose function drawModel(figure, arrays, coordinates) draws one model on
        the page: `arrays` are its PICTURES as nested lists, and `coordinates` those of steps.

    Examples
    --------
    >>> from jsuper import Family
    >>> decay = Family("decay", spec="decay.spec", train="decay.train")
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
        self.package: str | None = None  # the distribution that declares its entry point
        self._spec, self._train, self._measures, self._fits = spec, train, measures, fits
        self._figures, self._scrubbing, self._functions = figures, scrubbing, functions
        self._page = page

    def __reduce__(self) -> tuple[Callable[[str], Family], tuple[str]]:
        """Pickle by name: modules cannot be pickled, and another process has the family too."""
        return family_of, (self.name,)

    @cached_property
    def spec(self) -> Spec:
        """The module that defines the family's sweeps."""
        return cast(Spec, import_module(self._spec))

    @cached_property
    def train(self) -> Training:
        """The module with the program of one model (imports jax)."""
        return cast(Training, import_module(self._train))

    @cached_property
    def measures(self) -> Measures:
        """The module that measures trained models (imports jax)."""
        if self._measures is None:
            return _NoMeasures(self.spec)
        return cast(Measures, import_module(self._measures))

    @cached_property
    def fits(self) -> Fits | None:
        """The module that finds failed fits, or None."""
        return cast(Fits, import_module(self._fits)) if self._fits else None

    @cached_property
    def functions(self) -> Functions | None:
        """The module that compares a sweep's Python functions, or None (imports jax)."""
        return cast(Functions, import_module(self._functions)) if self._functions else None

    @property
    def can_scrub(self) -> bool:
        """Whether the family has a module for causal scrubbing."""
        return self._scrubbing is not None

    @cached_property
    def scrubbing(self) -> Scrubbing:
        """The module for causal scrubbing (imports jax).

        Raises
        ------
        SpecError
            The family has no such module.
        """
        if self._scrubbing is None:
            raise SpecError(
                f"models of the family {self.name!r} cannot be scrubbed: it has no hypotheses "
                "about which inputs an output depends on; use a run of model='toy'"
            )
        return cast(Scrubbing, import_module(self._scrubbing))

    def figures(self, ds: xarray.Dataset) -> list[tuple[str, Figure]]:
        """Return (caption, figure) pairs for the axes of an analyzed sweep."""
        return cast(Figures, import_module(self._figures)).figures(ds) if self._figures else []

    def coordinates(self, static: Static) -> dict[str, Any]:
        """Return the coordinates of a chunk's dimensions that are not 0, 1, 2, ..."""
        stated = getattr(self.spec, "coordinates", None)
        return stated(static) if stated else {}

    def dataset_numbers(self, static: Static) -> float:
        """Return how many numbers of each seed stay in memory during the training."""
        stated = getattr(self.spec, "dataset_numbers", None)
        return stated(static) if stated else 0.0

    def arrange(self, static: Any, settings: Sequence[Setting]) -> tuple[int | None, ...]:
        """Return the order in which a block trains settings.

        ~i repeats setting i as padding. None is an empty place, which costs next to nothing and has
        the numbers of `empty_setting`.
        """
        stated = getattr(self.train, "arrange", None)
        return stated(static, settings) if stated else tuple(range(len(settings)))

    def empty_setting(self, static: Any) -> PyTree:
        """Return the traced numbers of a place of `arrange` that stays empty."""
        return cast(Any, self.train).empty_setting(static)

    def branch_of(self, setting: Setting, at_once: bool) -> Hashable:
        """Return a value that is equal for settings that one program may train."""
        stated = getattr(self.train, "branch_of", None)
        return stated(setting, at_once) if stated else None

    def shares_program(self, static: Any) -> bool:
        """Return whether a program is for all of its settings as good as several programs."""
        stated = getattr(self.train, "shares_program", None)
        return stated(static) if stated else True

    def divide(
        self, values: Static, settings: Sequence[Setting], parts: int, batching: str
    ) -> list[tuple[Setting, ...]] | None:
        """Return parts of the settings that take about as long as each other, or None.

        One program trains each of them, with as little effort for a model as for all settings.
        """
        stated = getattr(self.train, "divide", None)
        return stated(values, settings, parts, batching) if stated else None

    def step_work(
        self, static: Static, settings: Sequence[Setting], batching: str
    ) -> tuple[list[float], float]:
        """Share of `Spec.work` that a step of each setting takes, and numbers drawn for all."""
        stated = getattr(self.train, "step_work", None)
        return stated(static, settings, batching) if stated else ([1.0] * len(settings), 0.0)

    def kernel_reason(self, static: Any) -> str:
        """Return why a program has no kernel, in a few words; "" if it has one."""
        stated = getattr(self.train, "kernel_reason", None)
        return stated(static) if stated else f"the family {self.name}"

    def kernel_fallback(self, error: str) -> bool:
        """Return whether kernels that failed with this error may be tried again, in another way."""
        stated = getattr(self.train, "kernel_fallback", None)
        return stated(error) if stated else False

    def kernel_version(self) -> str:
        """Return a digest of the code that kernels are made of; "" if there are none."""
        stated = getattr(self.train, "kernel_version", None)
        return stated() if stated else ""

    def uses_kernel(self, static: Any) -> bool:
        """Return whether a program trains in launches of a kernel."""
        return getattr(static, "kernel", False) and not self.kernel_reason(static)

    def kept(self, file: str) -> Mapping[str, Any]:
        """Return the coordinates of the variables in one of a run's derived files."""
        return cast(Any, self.spec).KEPT[file]

    def page_script(self) -> str:
        """Return the page's script that draws one model."""
        if self._page is None:
            return "function drawModel(place, arrays) {}\n"
        package, file = self._page.split("/", 1)
        return (files(package) / file).read_text(encoding="utf-8")


FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> None:
    """Register a model family, so that this process can train and load its sweeps.

    Other processes, such as the workers of a cluster, find a family by its entry point in the group
    "jsuper.families" instead. Registering the same object twice is allowed.

    Parameters
    ----------
    family
        The family.

    Raises
    ------
    TypeError
        `family` is not a `Family`.
    ValueError
        Another family has the same name.
    """
    if not isinstance(family, Family):
        raise TypeError(f"family={family!r} is not a jsuper.Family")
    if FAMILIES.get(family.name, family) is not family:
        raise ValueError(f"a family {family.name!r} is already registered; choose another name")
    FAMILIES[family.name] = family


def family_of(model: str) -> Family:
    """Return the family with this name.

    Raises
    ------
    SpecError
        No family has the name; the message suggests the closest one, or to install a package.
    """
    if isinstance(model, str) and model not in FAMILIES:
        for entry in entry_points(group=GROUP, name=model):
            register_family(entry.load())
            FAMILIES[model].package = entry.dist.name if entry.dist else None
    if not isinstance(model, str) or model not in FAMILIES:
        subject = f"model={model!r} is not known"
        message = not_one_of(subject, model, known_families(), "it is one of")
        raise SpecError(f"{message}, or install the package that provides it")
    return FAMILIES[model]


def known_families() -> list[str]:
    """Return the names of all families, registered or installed."""
    return [*FAMILIES, *(n for n in entry_points(group=GROUP).names if n not in FAMILIES)]


def matched(sweep: BaseSweep, existing: Existing) -> BaseSweep:
    """Return the sweep with its functions under the labels that a run folder uses for them.

    Raises
    ------
    SpecError
        The folder was trained with another function of the same name.
    """
    if not sweep.callables():  # so that jax is not imported
        return sweep
    functions = family_of(sweep.model).functions
    return sweep if functions is None else functions.matched(sweep, existing)


def model_with(field: str) -> str | None:
    """Return the name of the first family with this field, or None."""
    for model in known_families():
        if field in (f.name for f in fields(family_of(model).spec.Sweep)):
            return model
    return None


def sweep_from_dict(data: dict[str, JSON]) -> BaseSweep:
    """Return the sweep in plain data; `data["model"]` names its family, by default "toy".

    Raises
    ------
    SpecError
        The family or a field is not known, or a value is not allowed.
    """
    cls = family_of(data.get("model", "toy")).spec.Sweep
    own = {"model", *(f.name for f in fields(cls))}
    for key in data:
        if key not in own and (other := model_with(key)):
            raise SpecError(
                f"{key!r} is a field of the model {other!r}, but this sweep's is {cls.model!r}: "
                f"add model = {other!r}, or leave {key} out"
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
        page="jsuper.report/static/toy.js",
    ),
    Family(
        "factorization",
        spec="jsuper.models.factorization.spec",
        train="jsuper.models.factorization.train",
        measures="jsuper.analysis.metrics.factorization",
        figures="jsuper.report.factorization_figures",
        page="jsuper.report/static/factorization.js",
    ),
    Family(
        "mlp",
        spec="jsuper.models.mlp.spec",
        train="jsuper.models.mlp.train",
        measures="jsuper.analysis.metrics.mlp",
        figures="jsuper.report.mlp_figures",
        page="jsuper.report/static/mlp.js",
    ),
):
    register_family(_family)
