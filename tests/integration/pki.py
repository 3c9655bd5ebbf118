# SPDX-License-Identifier: BSD-2-Clause
"""Certificates for tests, the odd ones included, and certs-only messages by hand."""
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY, SECOND = datetime.timedelta(days=1), datetime.timedelta(seconds=1)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def san(text):
    """ "localhost" or an address -> a GeneralName; one that is one already stays"""
    if isinstance(text, x509.GeneralName):
        return text
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def new_key(kind="p256"):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())


def pem_key(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def pem(*certs):
    return b"".join(cert.public_bytes(PEM) for cert in certs)


def write_key(path, key):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem_key(key))
    return pathlib.Path(path)


def write_certs(path, *certs):
    pathlib.Path(path).write_bytes(pem(*certs))
    return pathlib.Path(path)


def load_certs(path):
    blocks = pathlib.Path(path).read_bytes().split(b"-----BEGIN CERTIFICATE-----")[1:]
    return [x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE-----" + b) for b in blocks]


def load_key(path):
    return serialization.load_pem_private_key(pathlib.Path(path).read_bytes(), None)


class Authority:
    """A CA of one key; Authority("x", parent=root) is an intermediate."""

    def __init__(self, common_name, parent=None, days=30):
        self.key = new_key()
        self.subject = name(common_name)
        self.parent = parent
        signer = parent or self
        self.cert = (
            x509.CertificateBuilder().subject_name(self.subject).issuer_name(signer.subject)
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now() - DAY).not_valid_after(now() + days * DAY)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False,
                                         False), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(signer.key, hashes.SHA256()))

    def issue(self, public_key, common_name="device", sans=(), *, start=-DAY, life=10 * DAY,
              ca=False, usages=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
              subject=None):
        """A certificate that begins at now + start and lives for life."""
        builder = (
            x509.CertificateBuilder().subject_name(subject or name(common_name))
            .issuer_name(self.subject).public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() + start).not_valid_after(now() + start + life)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                self.key.public_key()), False))
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        if sans:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([san(text) for text in sans]), False)
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, common_name="device", sans=(), *, kind="p256", **options):
        """(key, certificate)"""
        key = new_key(kind)
        return key, self.issue(key.public_key(), common_name, sans, **options)


def request(key, common_name, sans=(), subject=None):
    """A DER PKCS#10 request."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or name(common_name))
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([san(text) for text in sans]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(DER)


def tlv(tag, *contents):
    body = b"".join(contents)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")


def certs_only(*certs):
    """The certs-only message of RFC 7030 section 4.1.3, DER."""
    ders = [cert if isinstance(cert, bytes) else cert.public_bytes(DER) for cert in certs]
    signed = tlv(0x30, tlv(0x02, b"\x01"), tlv(0x31), tlv(0x30, OID_DATA),
                 tlv(0xa0, *ders), tlv(0x31))
    return tlv(0x30, OID_SIGNED_DATA, tlv(0xa0, signed))


def parts(der):
    """The elements inside of a DER element, each with its header."""
    def header(at):
        length, size = der[at + 1], 0
        if length & 0x80:
            size = length & 0x7f
            length = int.from_bytes(der[at + 2:at + 2 + size], "big")
        return at + 2 + size, length
    at, length = header(0)
    end, found = at + length, []
    while at < end:
        begin, length = header(at)
        found.append(der[at:begin + length])
        at = begin + length
    return found


def oid(dotted):
    """An OBJECT IDENTIFIER, DER."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = b""
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7f]
        while arc := arc >> 7:
            septets.insert(0, arc & 0x7f | 0x80)
        body += bytes(septets)
    return tlv(0x06, body)


def attribute(dotted, value):
    """One attribute of a request with one value, DER."""
    return tlv(0x30, oid(dotted), tlv(0x31, value))


def request_with(key, common_name, *attributes):
    """A DER PKCS#10 request by hand, with attributes that no builder knows."""
    spki = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = tlv(0x30, tlv(0x02, b"\x00"), name(common_name).public_bytes(), spki,
               tlv(0xa0, *sorted(attributes)))
    return tlv(0x30, info, tlv(0x30, oid("1.2.840.10045.4.3.2")),
               tlv(0x03, b"\x00", key.sign(info, ec.ECDSA(hashes.SHA256()))))


def certify(authority, key, subject, days):
    """A CA certificate by authority for somebody else's key, with both key identifiers."""
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(authority.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now() - DAY).not_valid_after(now() + days * DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False,
                                     False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            authority.key.public_key()), False)
        .sign(authority.key, hashes.SHA256()))


class Rollover:
    """A root that changes its key: old and new, and each certified by the other (RFC 4210
    section 4.4)."""

    def __init__(self, common_name="Site root"):
        self.old, self.new = Authority(common_name, days=30), Authority(common_name, days=60)
        self.new_with_old = certify(self.old, self.new.key, self.new.subject, 30)
        self.old_with_new = certify(self.new, self.old.key, self.old.subject, 30)

    @property
    def all(self):
        return [self.old.cert, self.old_with_new, self.new_with_old, self.new.cert]


def fingerprint(cert, kind="SHA256"):
    digest = cert.fingerprint({"SHA256": hashes.SHA256(), "SHA512": hashes.SHA512()}[kind])
    return f"{kind}:{digest.hex()}"
