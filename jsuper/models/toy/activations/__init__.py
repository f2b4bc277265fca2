"""The activations: their names without jax, and their values and slopes."""
