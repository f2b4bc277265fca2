"""Training code that all families share: random keys, optimizers, the loop, the options of JAX.

Imports `core`.
"""
