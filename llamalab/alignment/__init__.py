"""Alignment: from a model that continues text to one that does as it is asked."""
