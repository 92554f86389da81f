"""What is on disk, read back: delay lines, worst values, stream lines judged again; for start, replay and report."""
