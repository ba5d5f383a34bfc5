"""Models and devices, one folder a role; usable from a notebook, without the daemon."""
