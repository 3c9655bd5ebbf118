#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar against clients that have no right, no sense or no manners."""
import sqlite3

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"


class RegistrarInput(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        cls.stranger = pki.Authority("Somebody else's root")
        cls.key, cls.chain = site.birth()

    def client(self, key=None, chain=None):
        client = rogue_client.Client(self.shared.port, key or self.key, chain or self.chain)
        self.addCleanup(client.close)
        return client

    def rows(self):
        """Certificates in the ledger."""
        with sqlite3.connect(f"file:{self.shared.ledger()}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM certificates").fetchone()[0]

    def post(self, payload, content_format=coap.PKCS10, path=f"{EST}/sen", **options):
        return self.client().request(coap.POST, path, payload, content_format, **options)

    def good_request(self, name="gateway-1-test"):
        return pki.request(pki.new_key(), name)

    def assert_refused(self, code, answer, text=""):
        """An error code with a printable diagnostic, and the registrar lives on."""
        self.assertEqual(answer[0], code, answer)
        self.assertTrue(answer[1].decode().isprintable())
        self.assertIn(text, answer[1].decode())
        self.assertIsNone(answer[2].option(coap.CONTENT_FORMAT))
        self.assert_alive()

    def assert_alive(self):
        code, body, _ = self.client().request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)
        self.assertEqual(code, 205)
        self.assertGreaterEqual(len(pkcs7.load_der_pkcs7_certificates(body)), 2)

    def test_f03_e05_good_request(self):
        before = self.rows()
        code, body, last = self.post(self.good_request(), accept=coap.CERTS_ONLY)
        self.assertEqual(code, 204, body)
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        self.assertEqual(cert.subject, pki.name("gateway-1-test"))
        constraints = cert.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertFalse(constraints.value.ca)
        self.assertEqual(self.rows(), before + 1)

    def test_b01_small_blocks(self):
        for szx in (0, 2, 5):
            with self.subTest(szx=szx):
                code, body, _ = self.post(self.good_request(f"gateway-1-szx{szx}"), szx=szx)
                self.assertEqual(code, 204, body)

    def test_n01_c10_no_client_certificate(self):
        with self.assertRaises((SSL.Error, TimeoutError)):
            with rogue_client.Client(self.shared.port, timeout=3) as client:
                client.timeout = 3
                client.request(coap.GET, f"{EST}/crts")
        self.assert_alive()

    def test_n03_unknown_ca(self):
        key, cert = self.stranger.leaf("gateway-1")
        with self.assertRaises((SSL.Error, TimeoutError)):
            with rogue_client.Client(self.shared.port, key, [cert], timeout=3) as client:
                client.timeout = 3
                client.request(coap.GET, f"{EST}/crts")
        self.assert_alive()

    def test_e01_r07_garbage_request(self):
        before = self.rows()
        for payload in (b"garbage" * 30, b"\x30\x82\xff\xff", b"\x30\x00", b"\xff" * 3,
                        self.good_request()[:-5], self.good_request() + b"\x00"):
            with self.subTest(payload=payload[:4].hex(), length=len(payload)):
                self.assert_refused(400, self.post(payload))
        self.assertEqual(self.rows(), before)

    def test_r07_empty_request(self):
        self.assert_refused(400, self.post(b""))

    def test_e04_r07_broken_self_signature(self):
        request = bytearray(self.good_request())
        request[-1] ^= 1
        self.assert_refused(400, self.post(bytes(request)), "signature")

    def test_n03_r07_names_of_somebody_else(self):
        self.assert_refused(403, self.post(self.good_request("gateway-2")))

    def test_e11_renewal_of_the_wrong_names(self):
        self.assert_refused(403, self.post(self.good_request("gateway-1-x"), path=f"{EST}/sren"))

    def test_b10_b16_body_over_the_limit(self):
        answer = self.post(b"\x30\x82\x9c\x40" + b"x" * 40000)
        self.assert_refused(413, answer)
        self.assertLess(answer[2].number(coap.SIZE1), 40000)

    def test_f08_wrong_content_format(self):
        for content_format in (coap.LINK, coap.CERTS_ONLY, 50, 65535):
            with self.subTest(content_format=content_format):
                self.assert_refused(415, self.post(self.good_request(), content_format))

    def test_u02_unknown_path(self):
        for path in (f"{EST}/nothing", f"{EST}/simpleenroll", f"{EST}/fullcmc", "/", "/etc/passwd", f"{EST}/a/b/crts",
                     f"{EST}/no-such-label/sen"):
            with self.subTest(path=path):
                answer = self.client().request(coap.POST, path, self.good_request(), coap.PKCS10)
                self.assert_refused(404, answer)

    def test_r04_wrong_method(self):
        self.assert_refused(405, self.client().request(coap.POST, f"{EST}/crts", b"x"))
        self.assert_refused(405, self.client().request(coap.GET, f"{EST}/sen"))

    def test_f07_accept_that_cannot_be_met(self):
        self.assert_refused(406, self.client().request(coap.GET, f"{EST}/crts", accept=60))

    def test_r04_options_and_proxies(self):
        client = self.client()
        for code, options in ((402, [(65001, b"x")]), (205, [(65000, b"x")]),
                              (505, [(coap.PROXY_URI, b"coaps://[::1]/")]),
                              (505, [(coap.PROXY_SCHEME, b"coaps")])):
            answer = client.exchange(client.message(coap.GET, f"{EST}/crts", options))
            self.assertEqual(coap.dotted(answer.code), code, options)
        for method in (3, 4, 5, 6, 7):
            answer = client.exchange(client.message(method, f"{EST}/crts"))
            self.assertEqual(coap.dotted(answer.code), 405)
        self.assert_alive()

    def test_b07_blocks_out_of_order(self):
        client = self.client()
        for number, expected in ((0, 231), (5, 408)):
            answer = client.exchange(client.message(
                coap.POST, f"{EST}/sen",
                [(coap.CONTENT_FORMAT, coap.uint(coap.PKCS10)),
                 (coap.BLOCK1, coap.block(number, True, 2))], b"x" * 64))
            self.assertEqual(coap.dotted(answer.code), expected)
        self.assert_alive()

    def test_e13_the_same_datagram_twice_issues_once(self):
        before = self.rows()
        client = self.client()
        message = client.message(coap.POST, f"{EST}/sen", [
            (coap.CONTENT_FORMAT, coap.uint(coap.PKCS10))], self.good_request("gateway-1-twice"))
        first = client.exchange(message)
        again = client.exchange(message)
        self.assertEqual(first, again)
        self.assertEqual(coap.dotted(first.code), 204)
        self.assertEqual(self.rows(), before + 1)

    def test_r08_noise(self):
        """Records that hold no CoAP, and datagrams that hold no record."""
        client = self.client()
        for data in (b"", b"\x00", b"\xff" * 40, b"\x40\x01", b"\x4f\x01\x00\x01", b"\x40\x02\x00\x01"
                     + b"\xff", b"\x41\x01\x12\x34" + b"\xf0" * 30):
            if data:
                client.dtls.send(data)
            client.dtls.socket.send(data)
        self.assert_alive()

    def test_c01_libcoaps_own_client_fetches_crts(self):
        folder = self.shared.site / "devices" / "gateway-1"
        out = self.shared.dir / "crts.p7"
        done = harness.run("coap-client-openssl", "-c", folder / "cert.pem", "-j", folder / "key.pem",
                           "-C", self.shared.site / "trust.pem", "-o", out, "-B", "10",
                           f"coaps://127.0.0.1:{self.shared.port}{EST}/crts")
        self.assertEqual(done.status, 0, done)
        anchors = pkcs7.load_der_pkcs7_certificates(out.read_bytes())
        self.assertIn(pki.load_certs(self.shared.site / "trust.pem")[0], anchors)


if __name__ == "__main__":
    harness.main()
