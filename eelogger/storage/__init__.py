"""Everything that touches the log directory."""
