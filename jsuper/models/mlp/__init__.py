"""Residual MLPs that compute functions of sparse features: their sweep, one model, its training."""
