"""A person's terminal: its width and colours, the status line, progress bars, and where output goes."""
