"""Models and devices, one folder a role; usable from a notebook, without the daemon."""

import os

# From 1.29 on, onnxruntime's wheels report to their maker as soon as they are imported. Nothing leaves the device; so
# this is said before anything of ours, or of a library that we load (piper, sherpa-onnx), can import it.
# Source: microsoft/onnxruntime, PR 27379 and 29843; which of the two names counts depends on the release.
for _name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
    os.environ[_name] = "1"
