"""``python -m cascade_exp.predict``: answers to the rows of a file (``tools.predict``)."""

import sys

from cascade_exp.tools.predict import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
