"""From the environment and `.env` to settings that hold: the table of them, their checks, the file."""
