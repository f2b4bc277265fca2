"""What the training of every family shares: random keys, optimizers, the loop, the options of JAX.

Imports `core`.
"""
