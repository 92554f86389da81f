"""What keeps a run connected for weeks: when to try again, with which key, for which cameras, and what is doubted."""
