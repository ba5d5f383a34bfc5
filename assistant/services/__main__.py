import sys

from assistant.service import main

sys.exit(main())
