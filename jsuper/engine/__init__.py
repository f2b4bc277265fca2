"""Trains chunks on cores or accelerators: devices, compiled programs, worker threads.

Imports `core`, `training` and the families that a sweep names.
"""
