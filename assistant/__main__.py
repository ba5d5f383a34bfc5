"""``python -m assistant`` is the command ``assistant``."""

import sys

from assistant.commands import main

sys.exit(main())
