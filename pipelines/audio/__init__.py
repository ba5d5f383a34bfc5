"""PCM, as every role meets it: WAV files in and out, any rate and width to what a model wants, and how loud it is."""


class AudioError(Exception):
    """A sound cannot be read or written; the text names the file and the mend."""
