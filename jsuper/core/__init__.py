"""Sweeps, grids, families, checked files and messages. Imports no jax and no other package."""
