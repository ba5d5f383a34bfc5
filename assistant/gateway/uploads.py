"""Pictures that programs send inside their conversations: checked before they are decoded, named by what they show."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from functools import partial

from assistant.gateway.errors import Refusal
from assistant.gateway.link import Link
from assistant.gateway.settings import Limits
from assistant.messages import UPLOAD, CameraState, Picture, Shown
from assistant.wire import Received
from pipelines import image

_DATA = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]{0,100})*;base64,", re.ASCII)
CAMERA = "camera:"
LATEST = "latest"  # after that: the default camera
MEND = "Send the picture itself (data:image/jpeg;base64,…), camera:latest or camera:NAME."
DECODE_S = 20.0  # for the camera service to decode one


class Uploads:
    """The pictures of one request. ``shown`` gives what stands for one in a Script."""

    def __init__(self, limits: Limits, cameras: Mapping[str, object]) -> None:
        """``cameras``: by their names."""
        self._limits, self._cameras = limits, cameras
        self.pictures: dict[str, bytes] = {}  # by name

    def shown(self, url: str, param: str) -> Shown:
        """Of a picture's URL. Raises Refusal for any that would have to be fetched, and what ``data`` does."""
        if url.startswith(CAMERA):
            return self.camera(url[len(CAMERA) :], param)
        found = _DATA.match(url)
        if found is None:
            scheme = url.partition(":")[0][:20]
            raise Refusal(400, "picture_url", f"Pictures are not fetched from {scheme!r} URLs.", param, mend=MEND)
        return self.base64(url[found.end() :], param)

    def camera(self, name: str, param: str) -> Shown:
        """Raises Refusal for one that there is not."""
        if name in ("", LATEST):
            return Shown()
        if name not in self._cameras:
            known = ", ".join(sorted(self._cameras)) or "none"
            told = f"There is no camera called {name[:60]!r}; there are: {known}."
            raise Refusal(400, "camera_not_found", told, param)
        return Shown(name)

    def base64(self, text: str, param: str) -> Shown:
        """Raises Refusal."""
        if len(text) * 3 // 4 > image.MAX_BYTES + 3:
            raise Refusal(413, "picture_too_large", f"A picture has more than {image.MAX_BYTES} bytes.", param)
        try:
            return self.data(base64.b64decode(text, validate=True), param)
        except (binascii.Error, ValueError) as error:
            raise Refusal(400, "picture_damaged", f"The picture is not valid base64: {error}.", param) from error

    def data(self, data: bytes, param: str) -> Shown:
        """Raises Refusal for what is no picture, and for one that has too many bytes or pixels: nothing is decoded."""
        try:
            width, height = image.size(data)
        except image.PictureError as error:
            status = 413 if "at most" in str(error) else 400
            raise Refusal(status, "picture_refused", f"{_sentence(str(error))}.", param) from error
        if width * height > self._limits.picture_mpx * 1e6:
            told = f"The picture has {width}x{height} pixels; at most {self._limits.picture_mpx:g} million are taken."
            raise Refusal(413, "picture_refused", told, param)
        name = UPLOAD + hashlib.sha256(data).hexdigest()[:32]
        self.pictures[name] = data
        return Shown(name)

    async def send(self, link: Link) -> None:
        """To the camera service, which decodes them. Raises Refusal for one that it cannot, and Unreachable."""
        for name, data in self.pictures.items():
            with link.follow(CameraState, where=partial(_labelled, name)) as told:
                await link.send(Picture(camera=name, label=name), data)
                received = await told.get(DECODE_S)
            if received is None:
                raise Refusal(503, "camera_silent", "The camera service does not answer.", mend="Try again.")
            if isinstance(received.message, CameraState) and received.message.state == "lost":
                raise Refusal(400, "picture_refused", f"{_sentence(received.message.detail)}.", "messages")


def _labelled(label: str, received: Received) -> bool:
    return isinstance(received.message, CameraState) and received.message.label == label


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
