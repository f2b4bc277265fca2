"""Shared by the benchmarks: timing in turns, the machine, and the baselines of throughput.py."""
