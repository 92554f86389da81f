"""Measure the logger beside the least a logger must do: `python -m tests.benchmarks`, on Linux.

Ratios count: absolute times mean nothing on a busy machine, so contenders run in turn, in processes of their own.
"""
