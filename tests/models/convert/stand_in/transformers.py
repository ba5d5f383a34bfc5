"""AutoTokenizer of transformers as the worker uses it: one token a character."""

from typing import Any, NamedTuple

import numpy as np


class _Encoded(NamedTuple):
    input_ids: Any


class AutoTokenizer:
    @staticmethod
    def from_pretrained(path: str, trust_remote_code: bool = False) -> "AutoTokenizer":
        return AutoTokenizer()

    def __call__(self, text: str, return_tensors: str) -> _Encoded:
        assert return_tensors == "pt"
        return _Encoded(np.array([[ord(letter) % 50 for letter in text]], np.int64))
