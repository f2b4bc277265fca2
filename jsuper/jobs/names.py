"""Names in the results of a family, which a zipped dimension must not have."""

from __future__ import annotations

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import expand
from jsuper.core.sweep import BaseSweep


def check_dimensions(sweep: BaseSweep) -> None:
    """Raise SpecError if a dimension of `zipped` has the name of a variable or dimension.

    Imports the family's measures, and jax with them, if there is such a dimension.
    """
    if not sweep.zipped:
        return
    taken = names_of(sweep)
    for dim in sweep.zipped:
        if dim in taken:
            raise SpecError(
                f"zipped has the dimension {dim!r}, which is the name of a variable or dimension "
                f"of the results; use another name, such as {f'{dim}_group'!r}"
            )


def names_of(sweep: BaseSweep) -> set[str]:
    """Return all variables and dimensions that results and measures of a sweep may have."""
    family = family_of(sweep.model)
    spec, measures = family.spec, family.measures
    found = {*spec.ATTRIBUTES, *measures.MEASURES, *measures.COORDINATES}
    for kept in getattr(spec, "KEPT", {}).values():
        found |= set(kept)
    described = [dims for dims, _ in measures.MEASURES.values()]
    if family.can_scrub:
        found |= set(family.scrubbing.VARIABLES)
        described += [dims for dims, _ in family.scrubbing.VARIABLES.values()]
    for group in expand(sweep):
        layout = spec.layout(group.static, group.settings)
        found |= set(layout)
        described += [dims for dims, _ in layout.values()]
    return found.union(*described)
