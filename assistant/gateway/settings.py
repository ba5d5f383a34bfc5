"""The gateway's settings; importing them imports no web library."""

from assistant import config


class Limits(config.Settings, frozen=True, kw_only=True):
    """What a client may ask of the gateway; beyond it is refused in words, before anything is decoded."""

    body_mb: float = 24.0  # of one request, or one WebSocket message, in MB of 1e6 bytes
    picture_mpx: float = 40.0  # decoded pixels of one picture, in millions
    audio_s: float = 300.0  # of one upload, or of one utterance through a browser
    requests_per_s: float = 50.0  # of one client, on average …
    burst: int = 200  # … and at once
    queue: int = 32  # questions of programs that wait for the model …
    wait_s: float = 120.0  # … and how long one of them may
    answer_s: float = 900.0  # how long the model may take for one
    clients: int = 64  # that follow events, a stream or an answer at the same time
    header_s: float = 10.0  # a request's head must be here within this time
    body_s: float = 60.0  # and its body within this time after it
    write_s: float = 20.0  # a client that takes nothing for so long is gone


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [gateway]."""

    host: str = "127.0.0.1"  # the address to listen at; 0.0.0.0 or :: is every one of this machine, and needs a token
    port: int = 8765  # 0: any free one
    # Who reaches it from elsewhere must show a token: a path, or the name of a systemd credential. "": on loopback none
    # is asked for, beyond it the one that `assistant gateway token` has made.
    token_file: str = ""
    hosts: tuple[str, ...] = ()  # further names that this machine may be called by, beside its own and its addresses
    origins: tuple[str, ...] = ()  # further origins whose pages may open /ws, such as "https://panel.local"
    cors: tuple[str, ...] = ()  # origins whose pages may use the API with a bearer token; none by default
    tls: str = "auto"  # auto: on beyond loopback, with a certificate of its own; off; or a folder: cert.pem, key.pem
    limits: Limits = Limits()
