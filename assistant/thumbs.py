"""Small copies of the pictures that were encoded, for whoever shows them to people."""

from assistant.messages import Embedding, Thumbnail
from assistant.service import Service
from pipelines import image

LONGEST = 640  # pixels of a thumbnail's longer side
QUALITY = 80


def show(service: Service, encoded: Embedding, picture: image.Picture) -> None:
    """Publish a picture that was encoded, if anybody wants to see it."""
    if service.bus.wanted(Thumbnail):
        small = image.encode_jpeg(image.limit(picture, LONGEST, LONGEST), QUALITY)
        told = Thumbnail(identity=encoded.identity, camera=encoded.camera, captured_at=encoded.captured_at)
        service.publish(told, small)
