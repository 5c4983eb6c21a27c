"""`python -m benchmarks.gpu [SECTION ...]`."""

import sys

from benchmarks.gpu import main

main(sys.argv[1:])
