"""What a model family provides: one protocol for each of its modules.

`Spec` and `Training` are required. Without the others nothing is measured, drawn or scrubbed.
Names in upper case are constants of the module.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jsuper.core.grid import Chunk, Setting, Static
from jsuper.core.json_data import JSON
from jsuper.core.sweep import BaseSweep

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Dimensions = tuple[str, ...]
Shape = tuple[int, ...]
Described = Mapping[str, tuple[Dimensions, str]]
"""Variable -> (dimensions in addition to the sweep's, description)."""
PyTree = Any
"""Nested containers of arrays; JAX has no type for them."""
Arrays = dict[str, Any]
"""Variable -> array, of NumPy or JAX."""
Measured = dict[str, tuple[Dimensions, Any]]
"""Variable -> (dimensions, values)."""


class ProgramStatic(Hashable, Protocol):
    """What a program is compiled for: shapes, dtype, optimizer and so on."""

    @property
    def dtype(self) -> str:
        """The floating type, "float32" or "float64"."""
        ...


class Spec(Protocol):
    """The module `spec`: what a sweep of the family is. It must not import jax.

    Optional: coordinates(static) -> the coordinates of dimensions that are not 0, 1, 2, ...; and
    dataset_numbers(static) -> how many numbers of each seed stay in memory during the training.
    ENDS, the variable with the number of steps that a model was trained for, where that differs;
    its records along "step" are NaN from then on. PARAMETERS, the variables that are weights, which
    `jsuper export --format safetensors` writes; by default all arrays without a dimension of steps.
    """

    Sweep: type[BaseSweep]
    """A BaseSweep with two main_axes and the fields steps and dtype."""

    ATTRIBUTES: Mapping[str, str]
    """Variable of a chunk -> its description."""

    SUMMARY: str
    """The variable that the command line shows."""

    FINITE: Sequence[str]
    """Variables that are finite if the status is OK."""

    def layout(
        self, static: Static, settings: Sequence[Setting], /
    ) -> dict[str, tuple[Dimensions, Shape]]:
        """Return variable -> (dimensions, shape) for one model of a chunk."""
        ...

    def work(self, static: Static, /) -> tuple[float, float]:
        """Return a step's multiply-adds, and the number of elements of its elementwise passes."""
        ...


class Training(Protocol):
    """The module `train`: the program of one model. It imports jax.

    Optional: arrange(static, settings) -> the order in which a block trains its settings, where ~i
    repeats setting i as padding, and None is a place that costs next to nothing, with the traced
    numbers of empty_setting(static); branch_of(setting, at_once) -> a value that is equal for
    settings that one program may train; shares_program(static) -> whether it really should train
    all of them; and divide(values, settings, parts, batching) -> so many
    parts of the settings that take about as long as each other in one program, or None. By default
    settings stay in order, share a program and are not divided.
    For the estimate of time it may have step_work(static, settings, batching): the share of
    `Spec.work` that a step of each setting takes, and the number of random numbers that are drawn
    for all of them.
    """

    def make_static(
        self, values: Static, parts: Sequence[Sequence[Setting]], batching: str, /
    ) -> ProgramStatic:
        """Return the shapes and the program of blocks of settings: hashable, with a `dtype`.

        `batching` is one of `jsuper.engine.devices.BATCHINGS`.
        """
        ...

    def make_setting(self, static: Any, point: Setting, /) -> PyTree:
        """Return the traced numbers of one model.

        `point` has a model's static values and its setting; fields that it lacks have defaults.
        """
        ...

    def make_train(self, static: Any, sequential: bool, /) -> Any:
        """Return the `jsuper.training.loop.Train` of one model."""
        ...


class Direction(NamedTuple):
    """How the page reads a variable.

    Attributes
    ----------
    reads
        In words, such as "lower is better; 1 is the best constant".
    better
        "lower" or "higher"; empty if neither is.
    mark
        A value that means something, which scales and curves mark; or the name of a field of the
        sweep that has it, if it has one value.
    centre
        Of a diverging scale; None if the scale does not diverge.
    """

    reads: str
    better: str = ""
    mark: float | str | None = None
    centre: float | None = None


class Measures(Protocol):
    """The module `measures`: what is measured of each model in a Dataset.

    It may have measure_some(ds, names), which computes only the measures of these names; PARTS,
    groups of names that measure_some computes together, between which a page's preparation can end;
    DIRECTIONS, variable -> `Direction`, how the page reads a variable; and GROUPS, axis ->
    function of a value that returns the name of its group, by which the page can sort rows.
    """

    MEASURES: Described

    NEEDS: Sequence[str]
    """Variables that `measure` reads."""

    COORDINATES: Mapping[str, Any]
    """Coordinates of the measures' own dimensions."""

    HEADLINES: Sequence[str]
    """Variables that the page shows as heatmaps."""

    RANK: str
    """The variable that is smallest for the best seed."""

    PICTURES: Sequence[str]
    """Variables that the page's script draws."""

    def measure(self, ds: xarray.Dataset, /) -> Measured:
        """Return the measures of all models."""
        ...


class Fits(Protocol):
    """The module `fits`, for a family whose fits can fail."""

    NEEDS: Sequence[str]
    """Variables that `failed_fits` reads if a run has them."""

    ADVICE: Mapping[str, str]
    """Reason -> what to do."""

    QUALITY: Sequence[str]
    """Variables that include failed fits; all others leave them out."""

    def failed_fits(self, ds: xarray.Dataset, /) -> dict[str, xarray.DataArray]:
        """Return reason -> which models' fits failed for it."""
        ...


class Figures(Protocol):
    """The module `figures`: what the page draws of a sweep."""

    def figures(self, ds: xarray.Dataset, /) -> list[tuple[str, Figure]]:
        """Return (caption, figure) pairs for the sweep's axes."""
        ...


class Scrubbing(Protocol):
    """The module `scrubbing`, for a family whose outputs depend on single inputs."""

    VARIABLES: Described

    COORDINATES: Mapping[str, Any]

    BLOCKS: int
    """Blocks of samples."""

    TABLES: Sequence[str]
    """Hypotheses that the command line shows."""

    MEANING: Mapping[str, str]
    """Word of `explanation` -> its meaning."""

    ENOUGH: float
    """Share of what the cluster explains from which on the cluster is not needed."""

    def measure(self, ds: xarray.Dataset, /, *, overlap: float) -> Measured:
        """Return how well each hypothesis preserves each output."""
        ...

    def explanation(self, ds: xarray.Dataset, /) -> xarray.Dataset:
        """Return how much of each output the hypotheses explain."""
        ...

    def left_out(self, ds: xarray.Dataset, /) -> list[str]:
        """Return the names of the models that cannot be scrubbed."""
        ...


@dataclass(frozen=True)
class Existing:
    """A run folder as its manifest describes it, for comparing functions with a new sweep's."""

    folder: str
    sweep: dict[str, JSON]
    functions: dict[str, JSON]
    """label of a function -> what `Sweep.functions` stored of it"""
    chunks: list[Chunk]
    read: Callable[[Chunk], Arrays | None]
    """returns the arrays of a chunk; None if its file is missing or damaged"""


class Functions(Protocol):
    """The module `functions`, for a family whose fields may be Python functions."""

    def matched(self, sweep: Any, existing: Existing, /) -> Any:
        """Return the sweep with its functions under the labels that a run folder uses for them.

        Raises
        ------
        SpecError
            The folder was trained with another function of the same name.
        """
        ...
