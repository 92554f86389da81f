"""A log directory as such: who has it, its days, torn tails, free space, and the program's own log and state."""
