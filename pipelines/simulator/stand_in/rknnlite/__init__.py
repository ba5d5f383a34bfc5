"""A stand-in for rknn-toolkit-lite2 on machines without an NPU: put the folder above this one on the path."""
