"""Measure the logger beside a floor and a plain first version: `python -m tests.benchmarks`.

Ratios count: absolute times mean nothing on a busy machine, so contenders run in turn, in processes of their own.
"""
