"""How values look: times, durations, words, JSON, logfmt pairs, tables. Pure, and knows no file."""
