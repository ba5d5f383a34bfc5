"""Pictures as every role here takes them: RGB uint8 [height, width, 3]. Decoding, fitting, encoding; all pure.

OpenCV is imported by the functions that need it: a process that only fits pictures for a model does without its
quarter of a second and 25 MB.
"""

from pipelines.image.codec import MAX_BYTES, MAX_PIXELS, PictureError, decode, encode_jpeg, encode_png, size
from pipelines.image.fit import FILTERS, Picture, fit, limit, resize

__all__ = [
    "FILTERS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "Picture",
    "PictureError",
    "decode",
    "encode_jpeg",
    "encode_png",
    "fit",
    "limit",
    "resize",
    "size",
]
