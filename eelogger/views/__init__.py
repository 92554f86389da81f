"""What a run shows of itself: summary, closing table, status line, health, metrics, and when each is written."""
