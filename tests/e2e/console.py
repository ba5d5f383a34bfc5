"""The demo's daemon with its console, and a browser to look at it: what the tests of the console share."""

import os
import shutil
import signal
import socket
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from assistant import paths
from assistant.client import Client, private
from assistant.messages import Heartbeat

SPEECH = paths.shipped("config") / "demo" / "speech"
ELSEWHERE = "console.example"  # a name of this machine that to a browser is another one
BEFORE_S, AFTER_S = 0.6, 0.4  # of silence around the question: opening the microphone takes a while

# What a page did, for assertions: the sound that it plays, the sound that it sends, and what was refused.
WATCH = """
window.seen = {sounds: [], phases: [], sent: 0, stopped: 0, refused: [], atSound: () => null};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const peak = this.buffer.getChannelData(0).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  seen.context = this.context;
  seen.sounds.push({when, now: this.context.currentTime, duration: this.buffer.duration, peak});
  setTimeout(seen.atSound);
  return start.apply(this, arguments);
};
const stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.stop = function () { seen.stopped += 1; return stop.apply(this, arguments); };
addEventListener("DOMContentLoaded", () => new MutationObserver(() => seen.phases.push(document.body.dataset.phase))
  .observe(document.body, {attributeFilter: ["data-phase"]}));
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data !== "string") seen.sent += data.byteLength / 2;
  return send.call(this, data);
};
document.addEventListener("securitypolicyviolation", (event) => seen.refused.push(event.violatedDirective));
"""


class Desk(NamedTuple):
    """A running daemon and where its page is."""

    url: str
    client: Client

    def kill_gateway(self) -> None:
        pid = self.client.pid("gateway")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


def browser_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def free_port() -> int:
    """The gateway comes back at the same one after a restart, so it cannot choose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def desk() -> Iterator[Desk]:
    port = free_port()
    sets = ["supervisor.restarts=100", f'gateway.hosts=["{ELSEWHERE}"]']
    with private("demo", sets, gateway=True, more=[f"--set=gateway.port={port}"]) as runtime:
        client = Client(runtime)
        try:
            client.bus.listen(Heartbeat)
            yield Desk(f"http://127.0.0.1:{port}/", client)
        finally:
            client.close()


def said(name: str, into: Path) -> tuple[Path, float]:
    """A recorded question as the browser's microphone is given it, between silences, and how long it is in seconds."""
    with wave.open(str(SPEECH / f"{name}.wav")) as spoken:
        layout, pcm = spoken.getparams(), spoken.readframes(spoken.getnframes())
    quiet = [bytes(int(seconds * layout.framerate) * layout.sampwidth) for seconds in (BEFORE_S, AFTER_S)]
    path = into / f"{name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams(layout)
        file.writeframes(quiet[0] + pcm + quiet[1])
        return path, file.getnframes() / layout.framerate


@contextmanager
def chromium(microphone: Path) -> Iterator[Any]:
    """A browser whose microphone gives this file, once each time that it is opened."""
    from playwright.sync_api import sync_playwright

    flags = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "--autoplay-policy=user-gesture-required",
        "--disable-dev-shm-usage",
        f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
    ]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=flags)
        try:
            yield browser
        finally:
            browser.close()
