"""``python -m cascade_exp.bundle``: a job's cascade as one folder (``tools.bundle``)."""

import sys

from cascade_exp.tools.bundle import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
