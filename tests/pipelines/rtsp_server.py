"""An RTSP camera with GStreamer's server, for the system's Python: prints its port, plays until it is killed."""

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found] # noqa: E402

# I420 is what rtpjpegpay can carry; with anything else its clients wait in vain.
PICTURES = "( videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"  # noqa: E501

Gst.init(None)
for needed in ("videotestsrc", "jpegenc", "rtpjpegpay"):
    if Gst.ElementFactory.find(needed) is None:
        raise SystemExit(f"GStreamer has no {needed}")
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(PICTURES)
factory.set_shared(True)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
