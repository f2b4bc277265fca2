"""Training on accelerators: kernels that keep a model in fast memory for many steps."""
