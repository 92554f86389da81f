"""Figures of past days, read back from delay logs."""
