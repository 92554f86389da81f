"""What is counted and kept of delays: histograms, percentiles, the worst, what was observed, clock offset. Pure."""
