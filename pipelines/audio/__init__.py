"""PCM, as every role meets it: WAV files in and out, any rate and width to what a model wants, how loud it is; and the
sound devices that it comes from and goes to."""


class AudioError(Exception):
    """A sound cannot be read or written, or a device not be opened; the text names the thing and the mend."""
