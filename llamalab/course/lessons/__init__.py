"""A folder a notebook: nb05/swiglu.py is its exercise `swiglu`, beside quiz.py and figures.py."""
