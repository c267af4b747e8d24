"""Run the command `bbi` by `python -m bbilang.cli`."""

import sys

from bbilang.entry import main

sys.exit(main())
