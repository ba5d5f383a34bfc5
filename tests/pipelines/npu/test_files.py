"""The limit of open files: raised as far as it may be, never lowered."""

import subprocess
import sys

import pytest

ASKING = """
import os, resource, sys
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from pipelines.npu.files import allow_many
if os.geteuid() == 0:
    os.setuid(65534)  # root may raise the hard limit, too
print(allow_many(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 4096), (4096, 4096)])
def test_it_is_raised_to_what_is_allowed(soft: int, hard: int) -> None:
    done = subprocess.run([sys.executable, "-c", ASKING, str(soft), str(hard)], capture_output=True, text=True)
    assert done.stdout.split() == ["4096", "4096", "4096"], done.stderr
