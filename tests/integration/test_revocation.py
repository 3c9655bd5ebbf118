#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Revoked certificates and the CRL, in openssl's opinion; and profiles of what is issued."""
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
REASON = x509.CRLReason


class Case(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.conf = self.s.site / "est-registrar.conf"

    def ca(self, text):
        """More settings of the CA."""
        self.conf.write_text(self.conf.read_text().replace("ca = {", f"ca = {{ {text}", 1))

    def rule(self, text):
        self.conf.write_text(self.conf.read_text().replace('name = "devices";',
                                                           f'name = "devices"; {text}', 1))

    def post(self, op, request, key=None, certs=None):
        folder = self.s.site / "devices" / "gateway-1"
        with rogue_client.Client(self.s.port, key or pki.load_key(folder / "key.pem"),
                                 certs or pki.load_certs(folder / "cert.pem")) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        if code != 204:
            return code, body.decode()
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert

    def enroll(self, name="gateway-1", kind="p256"):
        key = pki.new_key(kind)
        code, cert = self.post("sen", pki.request(key, name))
        self.assertEqual(code, 204, cert)
        return key, cert

    def registrar(self, *arguments):
        return self.s.estc("--registrar-socket", self.s.site / "control", "registrar", *arguments)

    def check(self):
        return harness.run(harness.REGISTRAR, "-n", "-c", self.conf)


class Revocation(Case):
    def crl(self, name="site.pem"):
        data = (self.s.site / name).read_bytes()
        return x509.load_pem_x509_crl(data) if name.endswith(".pem") else x509.load_der_x509_crl(data)

    @staticmethod
    def number(crl):
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def verify(self, cert):
        leaf = pki.write_certs(self.s.dir / "leaf.pem", cert)
        return harness.run("openssl", "verify", "-crl_check", "-CAfile", self.s.site / "trust.pem",
                           "-untrusted", self.s.site / "ca/issuing.pem", "-CRLfile",
                           self.s.site / "site.pem", leaf)

    def test_what_is_revoked_is_in_the_crl(self):
        self.ca('crl = { file = "site.pem"; };')
        self.s.start_registrar()
        first = self.crl()
        key, cert = self.enroll()
        _, other = self.enroll("gateway-1-b")
        self.assertEqual(self.verify(cert).status, 0, self.verify(cert))
        serial = f"{cert.serial_number:x}"
        done = self.registrar("revoke", serial, "--reason", "keyCompromise")
        self.assertEqual((done.status, done.out), (harness.DONE, ""), done)
        self.assertIn("(CN=gateway-1) is revoked; the CRL says so.", done.err)
        self.assertIn("revoked", self.verify(cert).err + self.verify(cert).out)
        self.assertEqual(self.verify(other).status, 0)
        crl = self.crl()
        self.assertGreater(self.number(crl), self.number(first))
        self.assertEqual((crl.next_update - crl.last_update).days, 7)
        entry, = crl
        self.assertEqual(entry.serial_number, cert.serial_number)
        self.assertEqual(entry.extensions.get_extension_for_class(REASON).value.reason,
                         x509.ReasonFlags.key_compromise)
        issuing, = pki.load_certs(self.s.site / "ca/issuing.pem")
        self.assertTrue(crl.is_signature_valid(issuing.public_key()))
        self.assertEqual(
            crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier,
            issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
        with self.assertRaises(SSL.Error) as raised:
            self.post("sren", pki.request(pki.new_key(), "gateway-1"), key, [cert])
        self.assertIn("certificate revoked", str(raised.exception))
        # Over a restart, and over a clock that was set back, numbers grow.
        before = self.number(crl)
        self.s.registrar.stop()
        self.s.start_registrar()
        self.assertGreater(self.number(self.crl()), before)
        self.assertEqual([e.serial_number for e in self.crl()], [cert.serial_number])

    def test_wrong_words_are_told(self):
        self.s.start_registrar()
        _, cert = self.enroll()
        serial = f"{cert.serial_number:X}"
        for arguments, status, text in (
                (("revoke",), harness.BAD_USAGE, "serial number of one certificate is needed"),
                (("revoke", "AB12"), harness.FAILED, "no certificate with the serial number AB12"),
                (("revoke", serial, "--reason", "boredom"), harness.BAD_USAGE,
                 "'boredom' is no reason to revoke: there are unspecified, keyCompromise"),
                (("revoke", serial), harness.DONE, "no CRL was written"),
                (("revoke", serial), harness.FAILED, "is revoked already")):
            done = self.registrar(*arguments)
            self.assertEqual(done.status, status, done)
            self.assertIn(text, done.err)

    def test_der_on_schedule_and_an_obstacle(self):
        folder = self.s.site / "public"
        folder.mkdir()
        self.ca('crl = { file = "public/site.crl"; every = "10s"; lifetime = "1h"; };')
        self.s.start_registrar()
        self.assertEqual(list(self.crl("public/site.crl")), [])
        _, cert = self.enroll()
        folder.rename(self.s.site / "elsewhere")
        done = self.registrar("revoke", f"{cert.serial_number:X}", "--json")
        self.assertEqual((done.status, done.json()["listed"]), (harness.DONE, False), done)
        harness.wait_for(lambda: "ca.crl: " in self.s.registrar.log(), "it says so")
        self.s.registrar.stop()
        done = harness.run(harness.REGISTRAR, "-c", self.conf)
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("public/site.crl", done.err)
        (self.s.site / "elsewhere").rename(folder)
        before = self.number(self.crl("public/site.crl"))
        self.s.start_registrar()
        self.assertEqual([e.serial_number for e in self.crl("public/site.crl")],
                         [cert.serial_number])
        at_start = self.number(self.crl("public/site.crl"))
        self.assertGreater(at_start, before)
        harness.wait_for(lambda: self.number(self.crl("public/site.crl")) > at_start,
                         "it is written again", 20)


class Profiles(Case):
    def test_key_usage_and_where_the_crl_is(self):
        url = "http://ca.example/a,b/site.crl?x=y z".replace(" ", "%20")
        self.rule(f'key_usage = ["digitalSignature", "keyAgreement"]; crl_url = "{url}"; '
                  'extended_key_usage = ["clientAuth"]; lifetime = "2h"; key_types = ["p256"];')
        self.s.start_registrar()
        _, cert = self.enroll()
        usage = cert.extensions.get_extension_for_class(x509.KeyUsage)
        self.assertTrue(usage.critical and usage.value.digital_signature
                        and usage.value.key_agreement and not usage.value.key_encipherment)
        point, = cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        self.assertEqual([name.value for name in point.full_name], [url])
        self.assertLess((cert.not_valid_after - cert.not_valid_before).total_seconds(), 8000)
        code, text = self.post("sen", pki.request(pki.new_key("p384"), "gateway-1"))
        self.assertEqual((code, "p384" in text), (403, True), text)

    def test_what_makes_no_sense_is_refused(self):
        self.rule('key_usage = ["keyCertSign"]; crl_url = "https://x/";')
        self.ca('crl = { file = "x.crl"; every = "8d"; };')
        done = self.check()
        for text in ("'keyCertSign' is never issued", "without digitalSignature a device cannot",
                     "neither http:// nor ldap://", "every has to be shorter than lifetime"):
            self.assertIn(text, done.err)

    def test_a_key_with_a_passphrase(self):
        file = self.s.site / "ca/issuing.key"
        key = pki.load_key(file)
        file.write_bytes(key.private_bytes(pki.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.BestAvailableEncryption(b"open sesame")))
        self.assertIn("is encrypted", self.check().err)
        secrets = self.s.dir / "secrets"
        secrets.mkdir()
        (secrets / "passphrase").write_text("wrong\n")
        (secrets / "passphrase").chmod(0o600)
        self.ca('passphrase = "credential:passphrase";')
        self.assertIn("LoadCredential=passphrase:FILE", self.with_credentials(secrets).err)
        environment = {"CREDENTIALS_DIRECTORY": str(secrets)}
        done = harness.run(harness.REGISTRAR, "-n", "-c", self.conf, env=environment)
        self.assertIn("no key that the passphrase in", done.err)
        self.assertNotIn("sesame", done.err)
        (secrets / "passphrase").write_text("open sesame\nwhatever\n")
        self.s.start_registrar(env=environment)
        self.enroll()

    def with_credentials(self, folder):
        empty = pathlib.Path(folder).parent / "empty"
        empty.mkdir(exist_ok=True)
        return harness.run(harness.REGISTRAR, "-n", "-c", self.conf,
                           env={"CREDENTIALS_DIRECTORY": str(empty)})


if __name__ == "__main__":
    harness.main()
