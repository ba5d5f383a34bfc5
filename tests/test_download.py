"""One file over HTTP, from a hub that behaves and from one that does not."""

import hashlib
import resource
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from assistant import download
from assistant.download import Conditions, DownloadError, Fetched, Unreachable
from tests import hub
from tests.hub import Hub, Manners

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()
PLENTY = 1 << 40


def quiet(done: int, total: int) -> None:
    """Tells nobody."""


class Try(NamedTuple):
    """A fetch of BODY, with what it told and how long it would have waited."""

    hub: Hub
    target: Path
    waits: list[float]
    told: list[tuple[int, int]]

    def fetch(
        self, length: int = 0, sha256: str = "", token: str = "", free: int = PLENTY, patient: float = 5
    ) -> Fetched:
        given = Conditions(lambda path: free, self.waits.append, patient)
        tell = lambda done, total: self.told.append((done, total))  # noqa: E731
        return download.fetch(f"{self.hub.url}/file", self.target, length, sha256, token, tell, given)

    @property
    def part(self) -> Path:
        return self.target.with_name("model.bin.part")

    def nothing_left(self) -> bool:
        return list(self.target.parent.iterdir()) == []


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Try]:
    (tmp_path / "m").mkdir()
    with hub.serving() as served:
        served.files["/file"] = BODY
        yield Try(served, tmp_path / "m" / "model.bin", [], [])


def test_a_file_comes_whole_and_is_checked(attempt: Try) -> None:
    assert attempt.fetch(len(BODY), SHA256) == Fetched(len(BODY), SHA256, "manifest")
    assert attempt.target.read_bytes() == BODY
    assert [path.name for path in attempt.target.parent.iterdir()] == ["model.bin"]
    assert attempt.told[-1] == (len(BODY), len(BODY))
    assert "range" not in attempt.hub.asked[0].headers
    assert attempt.fetch() == Fetched(len(BODY), SHA256, "")


@pytest.mark.parametrize("known", [True, False])
def test_it_goes_on_where_it_broke_off(attempt: Try, known: bool) -> None:
    """Also where no sha256 is known: the ETag says that it is the same file."""
    attempt.hub.manners += [Manners(cut_after=4000), Manners(cut_after=3000)]
    assert attempt.fetch(len(BODY) if known else 0, SHA256 if known else "").sha256 == SHA256
    assert [asked.headers.get("range") for asked in attempt.hub.asked] == [None, "bytes=4000-", "bytes=7000-"]
    assert attempt.waits == [1.0, 2.0]


def test_it_goes_on_in_another_process(attempt: Try) -> None:
    attempt.part.write_bytes(BODY[:5000])
    assert attempt.fetch(len(BODY), SHA256).sha256 == SHA256
    assert attempt.hub.asked[0].headers["range"] == "bytes=5000-"
    attempt.part.write_bytes(BODY)  # killed between the last byte and the name
    attempt.target.unlink()
    attempt.fetch(len(BODY), SHA256)
    assert len(attempt.hub.asked) == 1


def test_a_part_of_unknown_origin_is_not_continued(attempt: Try) -> None:
    attempt.part.write_bytes(b"of another file")
    assert attempt.fetch().sha256 == SHA256
    assert "range" not in attempt.hub.asked[0].headers


def test_a_file_that_changed_meanwhile_is_begun_again(attempt: Try) -> None:
    attempt.hub.manners += [Manners(cut_after=4000)]
    given = Conditions(lambda path: PLENTY, lambda s: setattr(attempt.hub, "etag", '"two"'), 5)
    got = download.fetch(f"{attempt.hub.url}/file", attempt.target, 0, "", "", quiet, given)
    assert got.sha256 == SHA256
    assert attempt.hub.asked[1].headers["if-range"] == '"one"'


@pytest.mark.parametrize("manners", [Manners(ranges=False), Manners(status=416)])
def test_a_server_that_knows_no_ranges_sends_all_again(attempt: Try, manners: Manners) -> None:
    attempt.part.write_bytes(BODY[:5000])
    attempt.hub.manners += [manners]
    assert attempt.fetch(len(BODY), SHA256).sha256 == SHA256


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_waited_for(attempt: Try, status: int) -> None:
    attempt.hub.manners += [Manners(status, (("Retry-After", "3"),)), Manners(status)]
    assert attempt.fetch(len(BODY), SHA256).sha256 == SHA256
    assert attempt.waits == [3.0, 2.0]


def test_patience_ends(attempt: Try) -> None:
    attempt.hub.manners += [Manners(503)] * 9
    with pytest.raises(DownloadError, match="status 503; what came is kept: pull again later"):
        attempt.fetch()
    assert attempt.waits == [1.0, 2.0, 4.0, 8.0]
    attempt.hub.manners.clear()
    attempt.hub.manners += [Manners(429, (("Retry-After", "3600"),))]
    with pytest.raises(DownloadError, match="it asks to wait 3600 s"):
        attempt.fetch()


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "does not exist"), (401, "set HF_TOKEN"), (403, "accept its licence"), (418, "status 418")],
)
def test_what_does_not_pass_is_said_at_once(attempt: Try, status: int, says: str) -> None:
    attempt.hub.manners += [Manners(status)]
    with pytest.raises(DownloadError, match=says):
        attempt.fetch()
    assert attempt.waits == []
    assert attempt.nothing_left()


def test_a_wrong_length_is_refused_before_it_comes(attempt: Try) -> None:
    with pytest.raises(DownloadError, match=f"has {len(BODY)} bytes, but the manifest says 7"):
        attempt.fetch(7)
    assert attempt.nothing_left()


def test_a_wrong_hash_is_never_installed(attempt: Try) -> None:
    with pytest.raises(DownloadError, match="has another sha256 than it should have"):
        attempt.fetch(len(BODY), "0" * 64)
    assert attempt.nothing_left()


def test_a_body_without_a_length_is_checked_all_the_same(attempt: Try) -> None:
    attempt.hub.manners += [Manners(announce=-1)]
    assert attempt.fetch(len(BODY), SHA256).sha256 == SHA256
    attempt.target.unlink()
    attempt.hub.manners += [Manners(announce=-1, cut_after=900)]
    with pytest.raises(DownloadError, match=f"has 900 bytes, not {len(BODY)}"):
        attempt.fetch(len(BODY))
    assert attempt.nothing_left()
    attempt.hub.manners += [Manners(announce=-1)]
    with pytest.raises(DownloadError, match="sends more than it announced"):
        attempt.fetch(900)
    assert not attempt.target.exists()


def test_an_absurd_length_is_refused(attempt: Try) -> None:
    attempt.hub.manners += [Manners(announce=1 << 50)]
    with pytest.raises(DownloadError, match="which no model has"):
        attempt.fetch()


def test_a_server_that_stalls_is_left(attempt: Try) -> None:
    attempt.hub.manners += [Manners(pause_s=20)]
    assert attempt.fetch(len(BODY), SHA256, patient=0.3).sha256 == SHA256
    assert attempt.hub.asked[1].headers["range"] == f"bytes={len(BODY) // 2}-"


def test_a_slow_server_is_waited_for(attempt: Try) -> None:
    attempt.hub.manners += [Manners(pause_s=0.4)]
    assert attempt.fetch(len(BODY), SHA256, patient=2).sha256 == SHA256
    assert len(attempt.hub.asked) == 1


def test_redirects_are_followed_and_keep_the_token_at_home(attempt: Try) -> None:
    """As Hugging Face does: the sha256 stands in the redirect, the bytes come from elsewhere."""
    with hub.serving() as elsewhere:
        elsewhere.files["/cdn"] = BODY
        away = (("Location", f"{elsewhere.url}/cdn?Signature=s"), ("X-Linked-Etag", f'"{SHA256}"'))
        attempt.hub.manners += [Manners(302, away)]
        assert attempt.fetch(token="secret") == Fetched(len(BODY), SHA256, "hub")
        assert attempt.hub.asked[0].headers["authorization"] == "Bearer secret"
        assert "authorization" not in elsewhere.asked[0].headers
        attempt.target.unlink()
        attempt.hub.manners += [Manners(302, (away[0], ("X-Linked-Etag", f'"{"0" * 64}"')))]
        with pytest.raises(DownloadError, match="has another sha256"):
            attempt.fetch(token="secret")


@pytest.mark.parametrize("status", [301, 307, 308])
def test_every_kind_of_redirect(attempt: Try, status: int) -> None:
    attempt.hub.files["/moved"] = BODY
    attempt.hub.manners += [Manners(status, (("Location", "/moved"),))]
    assert attempt.fetch(len(BODY), SHA256, token="secret").sha256 == SHA256
    assert [asked.headers["authorization"] for asked in attempt.hub.asked] == ["Bearer secret"] * 2  # the same host


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_certificate_that_is_not_accepted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with hub.serving(tls) as served, pytest.raises(DownloadError, match="is this machine's clock right"):
        download.fetch(f"{served.url}/x", tmp_path / "x", 0, "", "", quiet, Conditions())


@pytest.mark.parametrize("away", ["file:///etc/passwd", "ftp://x/y", "/file"])
def test_bad_redirects_end(attempt: Try, away: str) -> None:
    attempt.hub.manners += [Manners(302, (("Location", away),))] * 20
    with pytest.raises(DownloadError):
        attempt.fetch()
    assert attempt.nothing_left()


def test_the_token_is_in_no_error(attempt: Try) -> None:
    attempt.hub.manners += [Manners(403)]
    with pytest.raises(DownloadError) as error:
        attempt.fetch(token="hf_secret")
    assert "hf_secret" not in f"{error.value!r}{error.value.__cause__!r}{error.value.__context__!r}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://no-such-host.invalid/x"])
def test_without_network_it_is_said(tmp_path: Path, url: str) -> None:
    given = Conditions(lambda path: PLENTY, lambda seconds: None, 2)
    with pytest.raises(Unreachable, match=r"cannot be (reached|resolved)"):
        download.fetch(url, tmp_path / "x", 0, "", "", quiet, given)


@pytest.mark.parametrize("url", ["http://[::1/x", "http://a b/x", "http://127.0.0.1:port/x"])
def test_what_is_no_address_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="is no web address"):
        download.fetch(url, tmp_path / "x", 0, "", "", quiet, Conditions())


def test_a_full_disk_is_seen_before(attempt: Try) -> None:
    with pytest.raises(DownloadError, match=r"has 1.0 kB free, and 67.1 MB are needed"):
        attempt.fetch(len(BODY), SHA256, free=1000)
    assert attempt.nothing_left()


def test_a_disk_that_fills_meanwhile(attempt: Try) -> None:
    """The kernel refuses the write; what is there is kept, and the next pull goes on from it."""
    code = f"""
import resource
from pathlib import Path
from assistant import download
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
given = download.Conditions(lambda path: 1 << 40)
try:
    download.fetch({attempt.hub.url + "/file"!r}, Path({str(attempt.target)!r}), 0, {SHA256!r}, "", print, given)
except download.DownloadError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "File too large; make room, then pull again" in done.stdout, done.stdout + done.stderr
    assert attempt.part.stat().st_size == 6000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert attempt.fetch(len(BODY), SHA256).sha256 == SHA256
    assert attempt.hub.asked[-1].headers["range"] == "bytes=6000-"


def test_a_folder_that_cannot_be_written(attempt: Try) -> None:
    blocked = attempt.target / "below"
    attempt.target.write_text("a file where a folder should be")
    given = Conditions(lambda path: PLENTY, attempt.waits.append)
    with pytest.raises(DownloadError, match="cannot write"):
        download.fetch(f"{attempt.hub.url}/file", blocked, 0, "", "", quiet, given)


def test_a_copy_is_checked_as_a_download_is(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b" / "c"
    source.write_bytes(BODY)
    given = Conditions(lambda path: PLENTY)
    assert download.copy(source, target, 0, SHA256, quiet, given).checked == "manifest"
    assert target.read_bytes() == BODY
    for length, sha256 in ((7, ""), (0, "0" * 64)):
        with pytest.raises(DownloadError):
            download.copy(source, tmp_path / "d", length, sha256, quiet, given)
    with pytest.raises(DownloadError, match="cannot copy"):
        download.copy(tmp_path / "none", tmp_path / "d", 0, "", quiet, given)
    assert not (tmp_path / "d").exists()
