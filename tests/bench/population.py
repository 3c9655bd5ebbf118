# SPDX-License-Identifier: BSD-2-Clause
"""A gateway that has been at work for a while: a configuration of many identities and the state folder
that estcd has left, with a valid certificate for each. One key is everybody's, for the sake of speed;
everything else is each identity's own, as workers write it."""
import datetime
import hashlib
import json
import os
import struct
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

import harness  # noqa: E402

YEAR = datetime.timedelta(days=365)
URL = "coaps://est.example.com"
ROOT = "/.well-known/est"


def name_of(n):
    return f"sensor-{n:05d}"


def subject_of(name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                      x509.NameAttribute(NameOID.COMMON_NAME, name)])


def settings_of(name):
    return {"id": name, "subject": f"CN={name},O=Example",
            "subject_alt_names": [f"DNS:{name}.example.com"]}


def digest(*texts):
    """As digest_text() of src/agent/digest.c."""
    return hashlib.sha256(b"".join(struct.pack("=Q", len(text)) + text.encode()
                                   for text in texts)).hexdigest().upper()


class Population:
    """folder gets estcd.conf, a birth credential, and state/."""

    def __init__(self, folder, count):
        self.folder, self.count = pathlib.Path(folder), count
        self.conf = self.folder / "estcd.conf"
        self.state = self.folder / "state"
        self.socket = self.folder / "control"
        self.now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._certificate(subject_of("Example CA"), self.ca_key, 10 * YEAR, None)
        self.key_pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())
        self.ca_pem = self.ca.public_bytes(serialization.Encoding.PEM)
        self.numbers = {"not_before": self.now - YEAR / 12, "issued_at": self.now - YEAR / 12}

    def make(self):
        (self.state / "identities").mkdir(parents=True)
        (self.state / "format").write_text("1\n")
        (self.folder / "trust.pem").write_bytes(self.ca_pem)
        self._put(self.folder / "birth.key", self.key_pem, 0o600)
        birth = self._certificate(subject_of("birth"), self.key, 10 * YEAR, None)
        (self.folder / "birth.pem").write_bytes(birth.public_bytes(serialization.Encoding.PEM))
        self.write_config(self.count)
        for n in range(self.count):
            self._identity(name_of(n))
        return self

    def write_config(self, count):
        self.conf.write_text(harness.libconfig_file({
            "state_directory": str(self.state), "control_socket": str(self.socket),
            "defaults": {"url": URL, "trust": str(self.folder / "trust.pem"),
                         "birth": {"certificate": str(self.folder / "birth.pem"),
                                   "key": str(self.folder / "birth.key")}},
            "identities": [settings_of(name_of(n)) for n in range(count)]}))

    def _certificate(self, subject, key, life, alt_name):
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(subject if alt_name is None else self.ca.subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(self.now - YEAR / 12).not_valid_after(self.now + life))
        if alt_name is None:
            builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alt_name)]),
                                            False)
        return builder.sign(key if alt_name is None else self.ca_key, hashes.SHA256())

    @staticmethod
    def _put(path, data, mode=0o644):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        os.write(fd, data)
        os.close(fd)

    def _put_json(self, path, value):
        self._put(path, json.dumps(value, indent=1).encode())

    def _identity(self, name):
        folder = self.state / "identities" / name
        cert = self._certificate(subject_of(name), self.key, 11 * YEAR / 12, f"{name}.example.com")
        pem = cert.public_bytes(serialization.Encoding.PEM)
        generation = folder / "generations" / "1"
        generation.mkdir(parents=True)
        for file, data, mode in (
                ("key.pem", self.key_pem, 0o600), ("cert.pem", pem, 0o644), ("chain.pem", b"", 0o644),
                ("fullchain.pem", pem, 0o644), ("cacerts.pem", self.ca_pem, 0o644),
                ("combined.pem", self.key_pem + pem, 0o600)):
            self._put(generation / file, data, mode)
        self._put_json(generation / "facts.json", self._facts(name, cert))
        os.symlink("generations/1", folder / "current")
        self._trust(folder / "trust")
        began = int(self.numbers["issued_at"].timestamp())
        self._put_json(folder / "attempts.json", {
            "failures": 0, "last_attempt": began, "last_result": 0, "pending_until": 0,
            "pending_since": 0, "rolled_back": 0, "last_action": "enroll"})
        self._put_json(folder / "birth.json", {"sha256": self.ca.fingerprint(hashes.SHA256()).hex().upper()})

    def _facts(self, name, cert):
        settings = settings_of(name)
        return {
            "format": 1, "sans": settings["subject_alt_names"], "subject": settings["subject"],
            "issuer": "CN=Example CA,O=Example", "serial": f"{cert.serial_number:040X}",
            "sha256": cert.fingerprint(hashes.SHA256()).hex().upper(), "key_type": "p256",
            "request_digest": digest(ROOT, "", settings["subject"], "p256",
                                     *settings["subject_alt_names"]),
            "rest_digest": digest(ROOT, "", "p256"),
            "not_before": int(self.numbers["not_before"].timestamp()),
            "not_after": int((self.now + 11 * YEAR / 12).timestamp()),
            "issued_at": int(self.numbers["issued_at"].timestamp()), "generation": 1}

    def _trust(self, folder):
        generation = folder / "generations" / "1"
        generation.mkdir(parents=True)
        until = int((self.now + 10 * YEAR).timestamp())
        self._put(generation / "anchors.pem", self.ca_pem)
        self._put(generation / "helpers.pem", b"")
        self._put_json(generation / "trust.json", {
            "format": 1, "generation": 1, "received_at": int(self.numbers["issued_at"].timestamp()),
            "until": until, "origin": "file", "url": URL, "configured": digest("trust"),
            "anchors": [{"subject": "CN=Example CA,O=Example", "not_after": until,
                         "sha256": self.ca.fingerprint(hashes.SHA256()).hex().upper()}]})
        os.symlink("generations/1", folder / "current")
