"""The exercise bank: one file a notebook, `nb00.py` and so on, each with EXERCISES and QUIZ."""
