"""Run folders: chunks, the manifest, what several processes agree on, and the Dataset.

Imports `core`. Nothing here trains.
"""
