"""Start the Web-socket Event Delay Logger: `python app.py --help` tells the rest."""

import sys
import time

STARTED = time.time()

if sys.version_info < (3, 11):
    sys.exit("eelogger needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])

try:
    from eelogger.cli import main
except ModuleNotFoundError as missing:
    if missing.name is not None and missing.name.startswith("eelogger"):
        raise
    sys.exit(
        "eelogger needs the package %s, which is not installed here.\n"
        "Run: %s -m pip install -r requirements.txt" % (missing.name, sys.executable)
    )

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STARTED))
