"""Closed-form solutions of the training of low-rank factorizations."""

from jsuper.analysis.lowrank import exact, riccati

__all__ = ["exact", "riccati"]
