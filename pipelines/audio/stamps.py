"""When a block of sound was captured, or will leave the device, on CLOCK_MONOTONIC.

PortAudio's stamps are seconds of some clock: wall time with ALSA's plug-ins, monotonic time with plain ALSA, and with
some backends a stamp is missing (zero) or nonsense. So only the difference of two of them is used, and only where it is
possible: a block that has just been handed over was captured by now, and what is handed to the device now leaves later.
"""

SECOND = 1_000_000_000  # ns
FURTHEST_S = 5.0  # between two stamps of one block; more than this was no stamp


def captured_at(now: int, stream_now: float, adc: float, frames: int, rate: int) -> int:
    """When the first of ``frames`` samples at ``rate`` Hz was captured, ns.

    ``now`` (ns) and ``stream_now`` (s) are the same moment; ``adc`` (s) is what PortAudio says of the first sample. The
    last sample of a block cannot be later than now, whatever was said; with no usable stamp it is taken to be now.
    """
    at_latest = now - frames * SECOND // rate
    age = stream_now - adc
    return min(at_latest, now - int(age * SECOND)) if adc > 0 and 0 <= age <= FURTHEST_S else at_latest


def leaves_at(now: int, stream_now: float, dac: float, latency: float) -> int:
    """When the first sample of a block that is handed over now will leave the device, ns.

    ``dac`` (s) is what PortAudio says of it; ``latency`` (s), of the whole stream, counts where that is of no use.
    """
    ahead = dac - stream_now
    return now + int((ahead if dac > 0 and 0 <= ahead <= FURTHEST_S else max(0.0, latency)) * SECOND)
