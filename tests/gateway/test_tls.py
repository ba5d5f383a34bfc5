"""The certificate: made once, for the names that it is reached by, and renewed before it ends."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509

from assistant.gateway import tls
from assistant.gateway.settings import Settings
from assistant.service import Unfit

NAMES = ["board.local", "board", "192.168.1.20", "::1"]
WIDE = Settings(host="0.0.0.0")


def made(state: Path, settings: Settings = WIDE) -> x509.Certificate:
    pair = tls.pair(settings, state, NAMES)
    assert pair is not None
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def test_it_names_what_it_is_reached_by_and_lasts_as_long_as_phones_allow(tmp_path: Path) -> None:
    certificate = made(tmp_path)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["board.local", "board"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.20", "::1"]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= datetime.timedelta(days=825)
    assert made(tmp_path) == certificate  # what was accepted stays


def test_one_that_ends_soon_or_is_damaged_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "DAYS", tls.RENEW_DAYS - 1)
        ending = made(tmp_path)
    renewed = made(tmp_path)
    assert renewed != ending
    (tmp_path / tls.FOLDER / "key.pem").write_text("torn")
    assert made(tmp_path) != renewed


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        (Settings(), True),
        (Settings(host="0.0.0.0", tls="off"), True),
        (Settings(tls="auto", host="localhost"), True),
        (WIDE, False),
    ],
)
def test_where_it_is_used(tmp_path: Path, settings: Settings, plain: bool) -> None:
    assert (tls.pair(settings, tmp_path, NAMES) is None) == plain


def test_the_owners_own_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"cert\.pem cannot be read \(gateway\.tls\)"):
        tls.pair(Settings(tls=str(tmp_path)), tmp_path, NAMES)
    made(tmp_path)
    owners = Settings(tls=str(tmp_path / tls.FOLDER))
    assert tls.pair(owners, tmp_path / "elsewhere", NAMES) is not None
