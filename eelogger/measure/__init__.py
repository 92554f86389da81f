"""Judgement and figures: pure, without I/O and clock."""
