"""`python -m bbilang.cli` is the command `bbi`."""

import sys

from bbilang.entry import main

sys.exit(main())
