"""The certificate: the owner's, or one of our own. Off localhost, browsers give a microphone to HTTPS alone."""

import datetime
import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from assistant.core import access
from assistant.gateway.settings import Settings
from assistant.service import Unfit

FOLDER = "gateway-tls"  # in the state directory
DAYS = 820  # phones accept no more than 825: support.apple.com/103769
RENEW_DAYS = 30
OFF, AUTO = "off", "auto"


class Pair(NamedTuple):
    certificate: Path
    key: Path


def pair(settings: Settings, state: Path, names: Sequence[str]) -> Pair | None:
    """What to serve HTTPS with; None: plain HTTP. Makes a certificate for these names where one is wanted and there is
    none that is good for a while. Raises Unfit."""
    if settings.tls == OFF or (settings.tls == AUTO and access.loopback(settings.host)):
        return None
    folder = state / FOLDER if settings.tls == AUTO else Path(settings.tls).expanduser()
    found = Pair(folder / "cert.pem", folder / "key.pem")
    if settings.tls == AUTO and not _good(found):
        try:
            _make(found, names)
        except OSError as error:
            raise Unfit(f"the certificate cannot be written: {error}; see that {folder} is ours to write") from error
    for path in found:
        if not os.access(path, os.R_OK):
            raise Unfit(
                f"{path} cannot be read (gateway.tls); it takes a folder with cert.pem and key.pem, auto or off"
            )
    return found


def _good(found: Pair) -> bool:
    try:
        known = x509.load_pem_x509_certificate(found.certificate.read_bytes())
        serialization.load_pem_private_key(found.key.read_bytes(), None)
    except (OSError, ValueError):
        return False
    now = datetime.datetime.now(datetime.timezone.utc)
    return known.not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS)


def _make(found: Pair, names: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # a board's clock, or a phone's, may be a little off
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    found.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(found.key, pem)
    _write(found.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, pem: bytes) -> None:
    half = path.with_suffix(".half")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    half.replace(path)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def own_names() -> list[str]:
    """What this machine is called by others: its name, that name in the local network (mDNS), its address there."""
    host = socket.gethostname().split(".")[0].lower()
    names = [f"{host}.local", host] if host and host.isascii() else []
    return [*names, *own_addresses(), "localhost", "127.0.0.1", "::1"]


def own_addresses() -> list[str]:
    """The addresses of this machine from which others are reached. Nothing is sent: a datagram socket that is connected
    has chosen its address. The targets are of documentation (RFC 5737, RFC 3849): routed as anything elsewhere is."""
    found = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no network of this kind
    return found
