"""How many files a process may hold open: the NPU's runtimes open one for each buffer shared with the driver."""

import logging
import resource

log = logging.getLogger(__name__)

OPEN_FILES = 102_400  # as the vendor's own servers set it; "Too many open files" otherwise (rknn-llm #62)


def allow_many() -> int:
    """Raises this process's limit as far as it may, never lowers it; gives what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return soft
    for most in (OPEN_FILES if hard == resource.RLIM_INFINITY else max(hard, OPEN_FILES), hard):
        wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        except (ValueError, OSError):  # only root raises the hard limit
            continue
        if wanted < OPEN_FILES:
            log.info("this process may open %d files at most, not %d (LimitNOFILE= in its unit)", wanted, OPEN_FILES)
        return wanted
    return soft
