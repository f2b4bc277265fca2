"""Errors and warnings that users see."""


class SpecError(ValueError):
    """A sweep that cannot be run as written: the field, its value, what is allowed, what to do."""


class RunError(RuntimeError):
    """A run folder that cannot be used as asked: what is wrong with it and what to do."""


class SweepWarning(UserWarning):
    """A sweep that is allowed but surprising, such as one that is hardly ever drawn."""


class NonFiniteWarning(RuntimeWarning):
    """Models of a run are not finite: how many, which, and since which step."""


class DamagedWarning(UserWarning):
    """Chunks of a run folder are damaged, and their models count as missing."""
