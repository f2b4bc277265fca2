"""The rules between the fields of a toy sweep that state the data: law, dataset, importance.

Some fields state others: `activity` the sparsity, and a list of one value per feature the axis that
it replaces. `assign(field, value)` sets these.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from jsuper.core.errors import SpecError
from jsuper.models.toy.fields import IMPORTANCE_DECAYS, SPARSITIES, Fields
from jsuper.models.toy.inputs.features import check_power_law, densities
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of
from jsuper.models.toy.labelled import NO_LIST, label_of, lists_in, numbers_of

Assign = Callable[[str, Any], None]


def check_data(sweep: Fields, assign: Assign) -> None:
    """Raise SpecError if the fields that state the data contradict each other or n_features."""
    use_activity(sweep, assign)
    check_sampler(sweep, assign)
    check_list(sweep, assign, "importance", "importance_decay", IMPORTANCE_DECAYS)
    decay = "importance_decay", IMPORTANCE_DECAYS, 1.0
    check_labelled(sweep, assign, "importances", "importance", *decay)
    sparsity = "sparsity", SPARSITIES, 0.0
    check_labelled(sweep, assign, "feature_sparsities", "feature_sparsity", *sparsity)
    check_list(sweep, assign, "feature_sparsity", "sparsity", SPARSITIES)
    check_laws(sweep, assign)
    check_dataset(sweep)
    if sweep.importance is not None and not any(sweep.importance):
        raise SpecError(
            "importance is zero for every feature, so that there is nothing to learn; give at "
            "least one value above 0"
        )


def use_activity(sweep: Fields, assign: Assign) -> None:
    """Set the sparsity from the mean number of active features."""
    if sweep.activity is None:
        return
    others = list(lists_in(sweep, "feature_sparsity", "feature_sparsities"))
    if sweep.sparsity != SPARSITIES or others:
        other = others[0] if others else "sparsity"
        raise SpecError(
            f"activity and {other} are both given; each sets the density: leave one out"
        )
    n, *others = sizes = sweep.values_of("n_features")
    if others:
        raise SpecError(
            f"activity is given, and n_features={', '.join(map(str, sizes))} would make a "
            "different sparsity of it for each: give one n_features, or sparsity instead"
        )
    given = cast(tuple[float, ...], sweep.activity)
    for active in given:
        if active > n:
            raise SpecError(f"activity={active:g} is above n_features={n}: give at most {n}")
    assign("sparsity", tuple(1 - active / n for active in given))
    assign("activity", None)


def check_sampler(sweep: Fields, assign: Assign) -> None:
    """Check that a sampler is the only law of the data, and set an omitted sparsity to 0."""
    if sweep.inputs is None:
        return
    if sweep.sparsity == SPARSITIES:
        assign("sparsity", (0.0,))
    others = {"sparsity": (0.0,), "feature_sparsity": None, "feature_sparsities": (NO_LIST,)}
    others |= {"support": (DEFAULT_SUPPORT,)}
    others |= {"values": (DEFAULT_VALUES,), "density_power": (0.0,), "normalize": False}
    others |= {"shared_mask": False}
    if given := [name for name, default in others.items() if getattr(sweep, name) != default]:
        raise SpecError(
            f"inputs and {', '.join(given)} are both given, and a sampler alone is the law of "
            f"the data: leave {', '.join(given)} out, or inputs"
        )
    if len(sizes := sweep.values_of("n_features")) > 1:
        raise SpecError(
            f"inputs is a sampler, whose samples have one size, and n_features is "
            f"{', '.join(map(str, sizes))}: give one n_features, and a sweep for each"
        )


def check_list(
    sweep: Fields, assign: Assign, name: str, replaced: str, default: tuple[float, ...]
) -> None:
    """Check a list of one value per feature, and set the axis that it replaces to its mean."""
    values = getattr(sweep, name)
    if values is None:
        return
    sizes = sweep.values_of("n_features")
    if any(len(values) != n for n in sizes):
        raise SpecError(
            f"{name} has {len(values)} values but n_features is {', '.join(map(str, sizes))}; "
            "give one value per feature"
        )
    mean = (sum(values) / len(values),)
    given = getattr(sweep, replaced)
    if given == default and len(given) > 1:  # not given by the user
        assign(replaced, mean)
    elif given != default and given != mean:
        raise SpecError(f"{name} and {replaced} are both given; leave {replaced} out")


def check_labelled(
    sweep: Fields,
    assign: Assign,
    many: str,
    one: str,
    replaced: str,
    default: tuple,
    unused: float,
) -> None:
    """Check lists of one value per feature, and set the axis that they replace.

    Parameters
    ----------
    sweep, assign
        The sweep, and what sets its fields.
    many, one
        The axis of lists, and the field of a single one.
    replaced, default, unused
        The axis that has no effect then, its default, and the value that it gets.
    """
    texts: tuple[str, ...] = getattr(sweep, many)
    if texts == (NO_LIST,):
        return
    for name, times in Counter(map(label_of, texts)).items():
        if times > 1 or not name:
            raise SpecError(
                f"{many} has the label {name!r} for {times} of its values; give each list a "
                "different one"
            )
    lists, sizes = {t: numbers_of(t) or () for t in texts}, sweep.values_of("n_features")
    for text, numbers in lists.items():
        if any(len(numbers) != n for n in sizes):
            raise SpecError(
                f"{many} {label_of(text)!r} has {len(numbers)} values but n_features is "
                f"{', '.join(map(str, sizes))}; give one value per feature"
            )
        if many == "importances" and not any(numbers):
            raise SpecError(
                f"{many} {label_of(text)!r} is zero for every feature, so that there is "
                "nothing to learn; give at least one value above 0"
            )
    given = one if getattr(sweep, one) is not None else replaced
    if given == one or getattr(sweep, replaced) not in (default, (unused,)):
        raise SpecError(f"{many} and {given} are both given; leave {given} out")
    assign(replaced, (unused,))


def check_laws(sweep: Fields, assign: Assign) -> None:
    """Check that every support exists for every number of features and every density.

    A support that allows a single sparsity sets an omitted one.
    """
    supports, powers = sweep.values_of("support"), sweep.values_of("density_power")
    if sweep.normalize and (sweep.shared_mask or "shared" in supports):
        raise SpecError(
            "normalize draws samples with an active feature one by one, and support=shared "
            "whole batches: leave one of them out"
        )
    if supports == (DEFAULT_SUPPORT,) and powers == (0,):
        return
    lists = lists_in(sweep, "feature_sparsity", "feature_sparsities")
    if any(powers) and lists:
        raise SpecError(
            f"{next(iter(lists))} and density_power are both given; each sets the density of "
            "every feature: leave one out"
        )
    if sweep.shared_mask and supports != (DEFAULT_SUPPORT,):
        raise SpecError(
            f"shared_mask and support={', '.join(supports)} are both given; shared_mask is the "
            "older name of support=shared: leave it out"
        )
    sizes, listed = sweep.values_of("n_features"), [*lists.values()] or [None]
    for text, n, power, one in itertools.product(supports, sizes, powers, listed):
        law = support_of(text)
        if sweep.sparsity == SPARSITIES and (only := law.sparsity(n)) is not None:
            assign("sparsity", (only,))
        values = {"feature_sparsity": one, "density_power": power}
        for sparsity in sweep.values_of("sparsity"):
            if power:
                check_power_law(power, sparsity, n)
            density = densities(values | {"n_features": n}, sparsity)
            try:
                law.check_densities(density, n)
            except SpecError as error:
                of = f"support={text}, n_features={n}, sparsity={sparsity:g}"
                raise SpecError(f"{of}: {error}") from None


def check_dataset(sweep: Fields) -> None:
    """Check that batches and laws fit the dataset."""
    sizes = sweep.values_of("dataset_size")
    if not any(sizes):
        for name in ("full_batch", "hidden_vectors"):
            if getattr(sweep, name):
                raise SpecError(f"{name} needs a dataset: give dataset_size too")
        return
    if sweep.full_batch and not all(sizes):
        raise SpecError(
            "full_batch is given, but dataset_size contains 0, which draws new samples in "
            "every step: leave one of them out"
        )
    largest, fewest = max(sweep.values_of("batch_size")), min(filter(None, sizes))
    if not sweep.full_batch and largest > fewest:
        raise SpecError(
            f"batch_size={largest} is above dataset_size={fewest}: give a batch of at most so "
            "many samples, or full_batch, which trains on all of them"
        )
    if sweep.shared_mask or "shared" in sweep.values_of("support"):
        raise SpecError(
            "support=shared is a law of whole batches, which a dataset of single samples does "
            "not have: leave dataset_size or support=shared out"
        )
