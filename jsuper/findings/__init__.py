"""Findings: questions about models, decided by rules that are fixed before anything is trained.

A `Finding` has an effect, a value per seed for each of its parts, and a rule for each part. It is
asked under several readings, all of which have to agree. Imports everything but `cli`.
"""

from jsuper.findings import placebo, sweeps, values
from jsuper.findings.finding import Finding, Judged, Part, Reading
from jsuper.findings.judging import judge
from jsuper.findings.rules import Rule, above, below, between, exactly, share

__all__ = ["Finding", "Judged", "Part", "Reading", "Rule", "above", "below", "between", "exactly"]
__all__ += ["judge", "placebo", "share", "sweeps", "values"]
