"""Lines on their way to disk: what waits, one batch at a time, and what is done when the disk refuses.

`writer` is the door to it; which lines there are is for others.
"""
