"""Conversion for a Rockchip NPU, on an x86-64 workstation: see README.md. Nothing here runs on a board."""
