"""How fast the logger is, beside the floor below it and the plain version it replaces: `python -m tests.benchmarks`.

Absolute times mean nothing on a busy machine, so contenders run in turn, in processes of their own, and ratios of
medians are what counts. The targets stand in `targets`; a quick run under pytest only proves that all of this works.
"""
