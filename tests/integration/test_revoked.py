#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a client CA's CRL names is refused: in handshakes, resumed sessions and open connections."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
DAY = datetime.timedelta(days=1)


class Revoked(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        self.conf = self.s.site / "est-registrar.conf"
        self.file = self.s.site / "factory.crl"
        self.write_crl()

    def load(self, name):
        return pki.load_key(self.s.site / name / "key.pem"), pki.load_certs(self.s.site / name / "cert.pem")

    def write_crl(self, *certs, key=None, end=DAY, extension=None, der=False):
        """A CRL of the factory's CA that names these; in place at one moment, as a fetcher has it."""
        ca, = pki.load_certs(self.s.site / "factory/ca.pem")
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
                   .last_update(now - DAY - DAY).next_update(now + end))
        if extension:
            builder = builder.add_extension(extension, True)
        for cert in certs:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(cert.serial_number)
                .revocation_date(now - DAY).build())
        crl = builder.sign(key or pki.load_key(self.s.site / "factory/ca.key"), hashes.SHA256())
        self.replace(crl.public_bytes(serialization.Encoding.DER if der else pki.PEM))

    def replace(self, data):
        new = self.file.with_suffix(".new")
        new.write_bytes(data)
        os.replace(new, self.file)

    def configure(self, more=""):
        text = self.conf.read_text()
        self.conf.write_text(text.replace('name = "factory";',
                                          f'name = "factory"; crl = "factory.crl"; {more}', 1))

    def client(self, device="gateway-1", **options):
        return rogue_client.Client(self.s.port, *self.load(f"devices/{device}"), **options)

    def refuse(self, device="gateway-1", **options):
        with self.assertRaises(SSL.Error) as raised:
            self.client(device, **options)
        self.assertIn("certificate revoked", str(raised.exception))

    @staticmethod
    def enroll(client, name="gateway-1"):
        return client.request(coap.POST, f"{EST}/sen", pki.request(pki.new_key(), name), coap.PKCS10)

    def test_in_handshake_session_and_connection(self):
        self.configure()
        self.s.start_registrar()
        _, (cert,) = self.load("devices/gateway-1")
        with self.client() as client:
            self.assertEqual(client.request(coap.GET, f"{EST}/crts")[0], 205)
            session = client.dtls.endpoint.connection.get_session()
        with self.client(session=session) as client:
            self.assertEqual(client.dtls.server_keys, [])  # it was resumed
            self.write_crl(cert)
            for answer in (client.request(coap.GET, f"{EST}/crts"), self.enroll(client),
                           client.request(coap.GET, f"{EST}/att")):
                self.assertEqual((answer[0], answer[1].decode()),
                                 (403, "the client certificate is revoked by client CA 'factory'"))
        self.refuse(session=session)
        self.refuse()
        with self.client("gateway-2") as other:
            self.assertEqual(self.enroll(other, "gateway-2")[0], 204)
        log = self.s.registrar.log()
        self.assertIn("crl " + str(self.file) + " is read again", log)
        self.assertIn("refused: the client certificate is revoked by client CA 'factory'", log)

    def test_an_unfit_file_leaves_the_one_before(self):
        _, (cert,) = self.load("devices/gateway-1")
        self.write_crl(cert, der=True)
        self.configure()
        self.s.start_registrar()
        self.refuse()
        delta = x509.DeltaCRLIndicator(1)
        for make, text in (
                (lambda: self.replace(b"<html>"), "no CRL in PEM or DER"),
                (lambda: self.write_crl(key=pki.new_key()), "not signed by a certificate of this"),
                (lambda: self.write_crl(extension=delta), "a delta, or of another unknown kind"),
                (self.file.unlink, "no such file or folder")):
            make()
            self.refuse()
            self.assertIn(text, self.s.registrar.log())
            done = harness.run(harness.REGISTRAR, "-n", "-c", self.conf)
            self.assertEqual(done.status, harness.CONFIG_TEXT, done)
            self.assertIn(text, done.err)
        self.assertEqual(self.s.registrar.log().count("no such file or folder"), 1)
        self.write_crl()
        with self.client() as client:
            self.assertEqual(self.enroll(client)[0], 204)

    def test_out_of_date(self):
        _, (cert,) = self.load("devices/gateway-2")
        self.write_crl(cert, end=-DAY)
        self.configure()
        self.s.start_registrar()
        with self.client() as client:
            for code, body, message in (self.enroll(client), client.request(coap.GET, f"{EST}/crts")):
                self.assertEqual((code, body.decode()),
                                 (503, "the CRL of client CA 'factory' is out of date here"))
                self.assertEqual(message.number(coap.MAX_AGE), 300)
            self.write_crl(cert)
            self.assertEqual(self.enroll(client)[0], 204)
        self.s.registrar.stop()
        self.configure('crl_outdated = "accept";')
        self.write_crl(cert, end=-DAY)
        self.conf.write_text(self.conf.read_text().replace('crl = "factory.crl"; ', "", 1))
        self.s.start_registrar()
        with self.client() as client:
            self.assertEqual(self.enroll(client, "gateway-1-b")[0], 204)
        self.refuse("gateway-2")
        self.assertEqual(self.s.registrar.log().count("out of date: its devices are let in"), 1)


if __name__ == "__main__":
    harness.main()
