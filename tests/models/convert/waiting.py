"""A child that stays at one stage until its folder holds the file ``go``; see test_child.py."""

import sys
import time
from pathlib import Path

from models.convert.child import stage

folder = Path(sys.argv[1])
stage(folder, "waiting")
while not (folder / "go").exists():
    time.sleep(0.01)
(folder / "result.json").write_text('{"went": true}')
