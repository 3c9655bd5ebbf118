#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Devices whose certificate has run out: who lets them in (accept_expired), and for what."""
from cryptography.hazmat.primitives.serialization import pkcs7
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
CLIENT_CA = '{ name = "factory"; certificate = "factory/ca.pem"; }'
LONG_AGO = {"start": -10 * pki.DAY, "life": pki.DAY}


class Expired(harness.TestCase):
    """A factory whose devices are older than their certificates."""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.factory = pki.Authority("Factory")
        self.key, self.birth = self.factory.leaf("gateway-1", **LONG_AGO)
        pki.write_certs(self.s.site / "factory/ca.pem", self.factory.cert)
        folder = self.s.site / "devices" / "gateway-1"
        pki.write_key(folder / "key.pem", self.key)
        pki.write_certs(folder / "cert.pem", self.birth)

    def set_client_cas(self, *entries):
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        self.assertIn(CLIENT_CA, text)
        conf.write_text(text.replace(CLIENT_CA, ", ".join(entries)))

    def accept(self):
        self.set_client_cas(CLIENT_CA.replace("; }", "; accept_expired = true; }"))

    def post(self, op, request, key=None, cert=None):
        """(dotted code, body)"""
        with rogue_client.Client(self.s.port, key or self.key, [cert or self.birth]) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        return code, body

    def refused(self, key, cert):
        with self.assertRaises(SSL.Error) as caught:
            self.post("sen", pki.request(pki.new_key(), "gateway-1"), key, cert)
        self.assertIn("certificate expired", str(caught.exception))

    def test_n04_an_expired_birth_certificate_enrols(self):
        self.accept()
        self.s.start_registrar()
        code, body = self.post("sen", pki.request(pki.new_key(), "gateway-1"))
        self.assertEqual(code, 204, body)
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        self.assertGreater(cert.not_valid_after, pki.now() + pki.DAY)
        # It may no more than one that is in date.
        code, body = self.post("sen", pki.request(pki.new_key(), "gateway-2"))
        self.assertEqual((code, b"matches no pattern" in body), (403, True), body)
        code, body = self.post("sren", pki.request(pki.new_key(), "gateway-1"))
        self.assertEqual((code, b"issued here" in body), (403, True), body)

    def test_n04_without_it_the_handshake_is_refused(self):
        self.s.start_registrar()
        self.refused(self.key, self.birth)

    def test_n04_only_of_the_client_ca_that_says_so(self):
        other = pki.Authority("Other factory")
        pki.write_certs(self.s.site / "factory/other.pem", other.cert)
        self.set_client_cas(CLIENT_CA.replace("; }", "; accept_expired = true; }"),
                            '{ name = "other"; certificate = "factory/other.pem"; }')
        self.s.start_registrar()
        self.refused(*other.leaf("gateway-1", **LONG_AGO))
        self.assertEqual(self.post("sen", pki.request(pki.new_key(), "gateway-1"))[0], 204)

    def test_n04_never_of_what_was_issued_here(self):
        """A short life, and the certificate is as good as none, whatever client_cas say."""
        self.accept()
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace('lifetime = "90d";', 'lifetime = "2s";', 1))
        self.s.start_registrar()
        key = pki.new_key()
        code, body = self.post("sen", pki.request(key, "gateway-1"))
        self.assertEqual(code, 204, body)
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        harness.wait_for(lambda: pki.now() > cert.not_valid_after + pki.SECOND, "it has run out")
        self.refused(key, cert)

    def test_n04_the_daemon_enrols_with_it(self):
        self.accept()
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])
        checked = self.s.check()
        self.assertEqual(checked.status, harness.DONE, checked)
        self.s.start_daemon()
        self.s.wait_state("gw", "valid")
        self.s.assert_consistent("gw")

    def test_n04_the_daemon_says_what_is_wrong_without_it(self):
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])
        self.s.start_daemon()
        shown = self.s.wait_state("gw", "failing")
        self.assertIn("expired", shown["last_error"])

    def test_n04_not_for_the_ca_that_issues_here(self):
        """Under any of its certificates; the check says so, and so does the start."""
        for anchor in "ca/issuing.pem", "ca/root.pem":
            with self.subTest(anchor=anchor):
                conf = self.s.site / "est-registrar.conf"
                saved = conf.read_text()
                self.set_client_cas(f'{{ name = "own"; certificate = "{anchor}"; '
                                    'accept_expired = true; }', CLIENT_CA)
                for arguments, status in ((["-n"], harness.CONFIG_TEXT), ([], harness.FAILED)):
                    done = harness.run(harness.REGISTRAR, *arguments, "-c", conf)
                    self.assertEqual(done.status, status, done)
                    self.assertIn("client_cas 'own': accept_expired is not for the CA that issues "
                                  "here: remove it, or name the factory's CA", done.err)
                conf.write_text(saved)


if __name__ == "__main__":
    harness.main()
