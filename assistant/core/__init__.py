"""Pure decisions: no I/O, no clock, no thread. Time (nanoseconds, CLOCK_MONOTONIC) and audio are arguments."""
