"""Sound that a program wants written down: it opens no turn, and comes after all that is said to the assistant."""

from collections.abc import Callable

import numpy as np

from assistant.messages import Message, Transcribe, Transcript
from assistant.scribe import Failed, Final, Said, Scribe
from pipelines import asr


class Dictations:
    """One Transcript for each Transcribe, in the order in which they are done."""

    def __init__(self, publish: Callable[[Message], None], scribe: Scribe) -> None:
        self._publish, self._scribe = publish, scribe

    def begin(self, wanted: Transcribe, payload: bytes | memoryview) -> None:
        if len(payload) % 2:
            self._publish(Transcript(stream=wanted.stream, text="", duration_s=0.0, error="half a sample was sent"))
            return
        pcm, error = np.frombuffer(bytes(payload), np.int16), ""
        seconds = len(pcm) / asr.RATE

        def said(what: Said) -> None:
            nonlocal error
            match what:
                case Failed(error=told):
                    error = told
                case Final(result=result):
                    text, language = result.text, result.language
                    self._publish(
                        Transcript(stream=wanted.stream, text=text, language=language, duration_s=seconds, error=error)
                    )

        dictation = self._scribe.dictate(said, language=wanted.language, patient=True)
        dictation.feed(pcm)
        dictation.finish()
