"""Low-rank factorization of a matrix: its sweep, one model, its training."""
