"""Start the Web-socket Event Delay Logger: `python app.py --help` tells the rest."""

import os
import sys

if sys.version_info < (3, 11):
    sys.exit("eelogger needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])

# `python -I` and PYTHONSAFEPATH leave out the directory of the script.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

if __name__ == "__main__":
    try:
        from eelogger.cli import main

        sys.exit(main())
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.startswith("eelogger"):
            raise
        sys.exit(
            "eelogger needs the package %s, which is not installed here.\n"
            "Run: %s -m pip install -r requirements.txt" % (missing.name, sys.executable)
        )
    except KeyboardInterrupt:  # Ctrl-C before the command line was read
        sys.exit(130)
