"""Notebook 00: one exercise to learn how exercises work, and what a language model learns from."""

ORDER = ("next_token",)
