"""Runs: what a sweep lacks is trained and stored, in this process or on a Ray cluster.

Imports `engine` and `store`.
"""
