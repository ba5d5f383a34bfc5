"""One file = one process = one config section = one systemd unit. ``python -m assistant.services NAME`` starts one."""
