"""The rules between `until` and the other fields of a toy sweep."""

from __future__ import annotations

from jsuper.core.errors import SpecError
from jsuper.models.toy.ending import STEPS, compared_steps, least_steps
from jsuper.models.toy.fields import Fields
from jsuper.training.schedules import depends_on_steps, warmup_steps

MOST_STEPS = 2**24  # that float32 counts


def check_ending(sweep: Fields) -> None:
    """Raise SpecError where a training that ends by itself does not fit the other fields."""
    endings = [until for until in sweep.values_of("until") if until != STEPS]
    for until in endings:
        for problem in _problems(sweep, until):
            raise SpecError(f"until={until} {problem}")


def _problems(sweep: Fields, until: str) -> list[str]:
    least = least_steps(until)
    steps = sweep.values_of("steps")
    some = {
        "compares the losses that check_fit measures: leave check_fit=false out": (
            not sweep.check_fit
        ),
        "has models that end at different steps, and keep_state is for going on from one: leave "
        "keep_state out": sweep.keep_state,
        f"cannot be used with schedule={sweep.schedule}, which is planned for all steps: use "
        "constant or warmup(n)": depends_on_steps(sweep.schedule),
        f"checks the fit from {least} steps on, while schedule={sweep.schedule} still rises: give "
        f"converged({2 * warmup_steps(sweep.schedule)})": warmup_steps(sweep.schedule) > least,
        "may end before the push of push_step: leave one of them out": (
            any(sweep.values_of("push")) and any(sweep.values_of("push_step"))
        ),
        "measures the loss on new samples, which may rise while the fit to a dataset improves: "
        "leave dataset_size out": any(sweep.values_of("dataset_size")),
        f"needs steps of at most {MOST_STEPS:,}, the largest count of float32": (
            max(steps) > MOST_STEPS
        ),
    }
    found = [problem for problem, there in some.items() if there]
    if len(compared_steps(until, min(steps))) < 2:
        needed = next(n for n in range(least, 2 * least + 9) if len(compared_steps(until, n)) > 1)
        found.append(
            f"compares the loss after {least} steps with later ones, and steps={min(steps)} ends "
            f"before the first comparison: give steps >= {needed}, the most that a model may take, "
            "or a smaller number in brackets"
        )
    return found
