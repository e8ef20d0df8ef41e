"""What several exercises of notebook 04 share."""

INFINITY = float("inf")
