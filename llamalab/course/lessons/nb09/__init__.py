"""Notebook 09."""

ORDER = ()
