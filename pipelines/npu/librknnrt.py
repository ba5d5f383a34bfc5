"""Where librknnrt.so (Rockchip's RKNN runtime) lies, and which release a file of it is, without loading it."""

import re

LIBRARY = "/usr/lib/librknnrt.so"  # where RKNNLite looks, whatever LD_LIBRARY_PATH says (rknn-toolkit2 #33)
# Its own words, "librknnrt version: 2.3.2 (429f97ae6b@2025-04-09T09:09:27)", which users look for with `strings`.
SENTENCE = re.compile(rb"librknnrt version: ?(\d{1,3}\.\d{1,3}\.\d{1,3}(?:b\d{1,2})?)(?![\w.])")


def release(data: bytes) -> str:
    """What the library whose bytes these are calls itself; "" where it says nothing, or several things."""
    said = set(SENTENCE.findall(data))
    return said.pop().decode() if len(said) == 1 else ""
