#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar in front of an EST server that speaks HTTPS, as long as all goes well."""
import base64
import email.utils
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import https_est
import keyparts
import pki
import upstream


DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.37"
SMIME_CAPABILITIES = "1.2.840.113549.1.9.15"
AES128_WRAP, AES128_CBC = "2.16.840.1.101.3.4.1.5", "2.16.840.1.101.3.4.1.2"


def public(what):
    """The public key of a key, a request or a certificate, in a form that can be compared."""
    return what.public_key().public_numbers()


class Translated(upstream.UpstreamCase):
    def test_g01_g02_g04_g05_g14_the_request_arrives_as_it_was_made(self):
        self.start()
        key = pki.new_key()
        request = pki.request(key, "gateway-1", ["gateway-1.local"])
        code, cert, _ = self.enroll(request=request)
        self.assertEqual(code, 204, cert)
        self.assertEqual(public(cert), public(key))
        asked, = self.server.ops("simpleenroll")
        self.assertEqual(base64.b64decode(asked.body), request)
        self.assertEqual(asked.headers["Content-Type"], "application/pkcs10")
        self.assertNotIn("Cookie", asked.headers)
        self.assertNotIn("Authorization", asked.headers)
        # Upstream sees the registrar and nobody else.
        self.assertEqual(asked.peer["subject"], ((("commonName", "registrar"),),))
        serial, subject, op, rule = self.sql("SELECT serial, subject, op, rule FROM certificates")[0]
        self.assertEqual((int(serial, 16), subject, op, rule),
                         (cert.serial_number, "CN=gateway-1", "sen", "devices"))
        self.assertIn(f"issued {serial} upstream by rule 'devices' until ", self.log())

    def test_g04_g13_labels_are_carried_over(self):
        self.rule = 'label = "servers"; '
        self.start()
        code, cert, _ = self.enroll(op="servers/sen")
        self.assertEqual(code, 204, cert)
        self.assertEqual([a.label for a in self.server.ops("simpleenroll")], ["servers"])
        self.assertEqual({a.label for a in self.server.ops("cacerts")}, {"", "servers", "short"})
        code, body, _ = self.ask(coap.GET, "/servers/crts")
        self.assertEqual(code, 205, body)
        with self.client() as client:
            code, body, _ = client.request(coap.GET, "/.well-known/core")
        self.assertIn(b"/.well-known/est/servers/sen", body)

    def test_g10_one_certificate_alone(self):
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        code, body, last = self.ask(coap.POST, "/sen", request, accept=coap.CERT)
        self.assertEqual((code, last.number(coap.CONTENT_FORMAT)), (204, coap.CERT))
        self.assertEqual(x509.load_der_x509_certificate(body).serial_number,
                         self.server.issued[0].serial_number)
        code, body, last = self.ask(coap.GET, "/crts", accept=coap.CERT)
        self.assertEqual((code, last.number(coap.CONTENT_FORMAT)), (205, coap.CERT))

    def test_g06_g07_base64_and_types_of_all_sorts(self):
        plain = lambda asked: base64.b64encode(pki.certs_only(asked.issue()))
        replies = {
            "gateway-1-a": lambda a: https_est.Reply(200, "application/pkcs7-mime", plain(a)),
            "gateway-1-b": lambda a: https_est.Reply(
                200, 'Application/PKCS7-MIME;name="x; y";smime-type="Certs-Only"',
                b" \t\r\n".join(plain(a)[i:i + 1] for i in range(len(plain(a)))),
                {"Content-Transfer-Encoding": "binary"}),
            "gateway-1-c": lambda a: https_est.Reply(
                200, https_est.CERTS_ONLY, plain(a), {"Content-Transfer-Encoding": "7bit"}),
        }
        self.start()
        for name, reply in replies.items():
            with self.subTest(name):
                key = pki.new_key()
                self.server.on["simpleenroll"] = lambda a, r=reply: r(Once(a))
                code, cert, _ = self.enroll(key, name)
                self.assertEqual(code, 204, cert)
                self.assertEqual(public(cert), public(key))

    def test_d06_the_same_request_gets_the_same_certificate(self):
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        first = self.enroll(request=request)[1]
        second = self.enroll(request=request)[1]
        self.assertEqual(first.serial_number, second.serial_number)
        self.assertEqual(len(self.server.issued), 1)

    def test_g14_p12_what_is_refused_here_never_gets_there(self):
        self.start()
        key = pki.new_key()
        request = pki.request(key, "gateway-1")
        broken = request[:-4] + bytes([request[-4] ^ 1]) + request[-3:]
        self.assertEqual(self.enroll(request=broken)[0], 400)
        self.assertEqual(self.enroll(name="gateway-2")[0], 403)
        first = self.enroll(key)[1]
        foreign = pki.request_with(pki.new_key(), "gateway-1", pki.attribute(
            "1.2.840.113549.1.9.7", pki.tlv(0x0c, b"another connection's")))
        self.assertEqual(self.enroll(request=foreign)[0], 403)
        # /sren by the name of somebody else.
        with upstream.rogue_client.Client(self.s.port, key, [first]) as client:
            code, body, _ = client.request(coap.POST, f"{upstream.EST}/sren", pki.request(
                pki.new_key(), "gateway-2"), coap.PKCS10)
            self.assertEqual(code, 403, body)
            code, body, _ = client.request(coap.POST, f"{upstream.EST}/sren", pki.request(
                pki.new_key(), "gateway-1"), coap.PKCS10)
            self.assertEqual(code, 204, body)
        self.assertEqual([a.op for a in self.server.ops("simpleenroll", "simplereenroll")],
                         ["simpleenroll", "simplereenroll"])

    def test_g08_keys_that_upstream_makes(self):
        self.s.set_registrar("server_keys", True)
        self.start()
        for op, kind, options in (("skg", coap.CERTS_ONLY, {}), ("skc", coap.CERT, {}),
                                  ("skg", coap.CERTS_ONLY, {"swapped": True, "quoted": True})):
            with self.subTest(op, **options):
                made = []
                def generate(asked):
                    key = pki.new_key()
                    made.append(key)
                    return https_est.multipart("application/pkcs8", https_est.pkcs8(key),
                                               asked.issue(key.public_key()), **options)
                self.server.on["serverkeygen"] = generate
                code, body, last = self.ask(coap.POST, f"/{op}",
                                            pki.request(pki.new_key(), "gateway-1"))
                self.assertEqual((code, last.number(coap.CONTENT_FORMAT)), (204, coap.MULTIPART))
                parts = coap.multipart(body)
                self.assertEqual(set(parts), {coap.PKCS8, kind})
                key = serialization.load_der_private_key(parts[coap.PKCS8], None)
                self.assertEqual(key.private_numbers(), made[0].private_numbers())
                cert = (x509.load_der_x509_certificate(parts[kind]) if kind == coap.CERT else
                        pkcs7.load_der_pkcs7_certificates(parts[kind])[0])
                self.assertEqual(public(cert), public(key))
        self.assertNotIn("PRIVATE", self.log())
        # Keys of a registrar's own making would need no upstream.
        self.assertEqual(len(self.server.ops("serverkeygen")), 3)

    def test_g09_a_sealed_key_passes_as_it_is(self):
        """By a secret that upstream and the device have, and the registrar has not."""
        sealed = b"\x30\x06nobody" * 20
        self.server.on["serverkeygen"] = lambda a: https_est.multipart(
            "application/pkcs7-mime; smime-type=server-generated-key", sealed,
            a.issue(pki.new_key().public_key()))
        self.s.set_registrar("server_keys", True)
        self.start()
        request = pki.request_with(
            pki.new_key(), "gateway-1",
            pki.attribute(DECRYPT_KEY_ID, pki.tlv(0x04, bytes.fromhex(keyparts.SECRET_ID))),
            pki.attribute(SMIME_CAPABILITIES, pki.tlv(0x30, *(
                pki.tlv(0x30, pki.oid(oid)) for oid in (AES128_WRAP, AES128_CBC)))))
        code, body, last = self.ask(coap.POST, "/skg", request)
        self.assertEqual(code, 204, body)
        self.assertEqual(coap.multipart(body)[coap.SERVER_KEY], sealed)
        self.assertEqual(base64.b64decode(self.server.ops("serverkeygen")[0].body), request)
        # A bare key instead is no answer to this.
        del self.server.on["serverkeygen"]
        self.assertEqual(self.ask(coap.POST, "/skg", pki.request_with(
            pki.new_key(), "gateway-1-b", *(pki.parts(pki.parts(pki.parts(request)[0])[3]))))[0],
            502)

    def test_g04_attributes_and_certificates_are_asked_for_by_the_clock(self):
        wishes = bytes.fromhex("3009 0607 2a8648ce3d0201".replace(" ", ""))
        self.server.on["csrattrs"] = lambda a: https_est.Reply(
            200, "application/csrattrs", https_est.lines(wishes))
        self.start()
        before = len(self.server.asked)
        for _ in range(3):
            code, body, last = self.ask(coap.GET, "/att")
            self.assertEqual((code, body), (205, wishes))
            self.assertEqual(last.number(coap.CONTENT_FORMAT), 285)
            code, body, _ = self.ask(coap.GET, "/crts")
            self.assertEqual(code, 205)
            self.assertEqual([c.serial_number for c in pkcs7.load_der_pkcs7_certificates(body)],
                             [self.authority.cert.serial_number])
        self.assertEqual(len(self.server.asked), before)

    def test_r02_no_attributes(self):
        for status in 204, 404:
            with self.subTest(status):
                self.server.on["csrattrs"] = lambda a: https_est.Reply(status)
                self.start()
                code, _, _ = self.ask(coap.GET, "/att")
                self.assertEqual(code, 404)
                self.s.registrar.stop()

    def test_what_was_learnt_is_served_for_a_limit(self):
        self.start(refresh="1s", keep="5s")
        self.assertEqual(self.ask(coap.GET, "/crts")[0], 205)
        other = pki.Authority("Another root")
        self.server.on["cacerts"] = lambda a: https_est.certs(self.authority.cert, other.cert)
        harness.wait_for(lambda: len(pkcs7.load_der_pkcs7_certificates(
            self.ask(coap.GET, "/crts")[1])) == 2, "the new ones are served")
        self.server.on["cacerts"] = lambda a: https_est.Reply(500)
        harness.wait_for(lambda: "the last one is served meanwhile" in self.log(), "it says so")
        self.assertEqual(self.ask(coap.GET, "/crts")[0], 205)
        harness.wait_for(lambda: self.ask(coap.GET, "/crts")[0] == 503, "the limit is over")


class Once:
    """Issues once, however often it is asked."""

    def __init__(self, asked):
        self.asked, self.cert = asked, None

    def issue(self):
        self.cert = self.cert or self.asked.issue()
        return self.cert


class Waiting(upstream.UpstreamCase):
    def test_g16_d08_retry_after_becomes_max_age(self):
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        date = email.utils.formatdate(time.time() + 1000, usegmt=True)
        for status, value, low, high in ((202, "77", 77, 77), (503, date, 900, 1000),
                                         (202, "soon", 60, 60), (503, None, 60, 60),
                                         (202, "99999999999999999999", 30 * 86400, 30 * 86400)):
            with self.subTest(value):
                headers = {"Retry-After": value} if value else {}
                self.server.on["simpleenroll"] = lambda a: https_est.Reply(
                    status, headers=headers)
                code, text, age = self.enroll(request=request)
                self.assertEqual(code, 503, text)
                self.assertTrue(low <= age <= high, age)
        del self.server.on["simpleenroll"]
        self.assertEqual(self.enroll(request=request)[0], 204)

    def test_g16_others_are_answered_while_one_waits(self):
        go = self.hold_up(https_est.HONEST["simpleenroll"])
        self.start(timeout="20s")
        request = pki.request(pki.new_key(), "gateway-1")
        client = self.client()
        first = self.send_enroll(client, request)
        ack = coap.Message.decode(client.dtls.receive(5))
        self.assertEqual((ack.type, ack.code), (coap.ACK, 0))
        self.assertEqual(self.ask(coap.GET, "/crts", device="gateway-2")[0], 205)
        # The same again joins the one that is under way.
        harness.wait_for(lambda: self.server.ops("simpleenroll"), "it is upstream")
        again = self.client()
        second = self.send_enroll(again, request)
        self.assertEqual(coap.Message.decode(again.dtls.receive(5)).code, 0)
        go.set()
        bodies = [c.answer(m).payload for c, m in ((client, first), (again, second))]
        self.assertEqual(bodies[0], bodies[1])
        self.assertEqual(len(self.server.ops("simpleenroll")), 1)

    def test_what_is_issued_for_a_client_that_has_gone_is_kept(self):
        go = self.hold_up(https_est.HONEST["simpleenroll"])
        self.start(timeout="20s")
        request = pki.request(pki.new_key(), "gateway-1")
        with self.client() as client:
            self.send_enroll(client, request)
            client.dtls.receive(5)
        harness.wait_for(lambda: self.server.ops("simpleenroll"), "it is upstream")
        go.set()
        harness.wait_for(lambda: self.sql("SELECT 1 FROM certificates"), "it is in the ledger")
        code, cert, _ = self.enroll(request=request)
        self.assertEqual((code, cert.serial_number), (204, self.server.issued[0].serial_number))
        self.assertEqual(len(self.server.issued), 1)


class Approval(upstream.UpstreamCase):
    rule = 'approval = "manual"; '

    def test_d04_nothing_goes_upstream_before_somebody_has_approved(self):
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        self.assertEqual(self.enroll(request=request)[0], 503)
        self.assertEqual(self.server.ops("simpleenroll"), [])
        self.assertEqual(self.registrar_command("approve", "1").status, harness.DONE)
        self.assertEqual(self.enroll(request=request)[0], 204)
        self.assertEqual(self.sql("SELECT state, certificate <> '' FROM requests"),
                         [("approved", 1)])


class Repeated(upstream.UpstreamCase):
    def test_k17_another_key_takes_the_place_of_the_first(self):
        self.s.set_registrar("server_keys", True)
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        bodies = [self.ask(coap.POST, "/skg", request)[1] for _ in range(2)]
        keys = {coap.multipart(body)[coap.PKCS8] for body in bodies}
        self.assertEqual((len(keys), len(self.server.issued)), (2, 2))
        self.assertEqual(self.sql("SELECT revoked_at > 0 FROM certificates ORDER BY issued_at, "
                                  "rowid"), [(1,), (0,)])

    def test_z01_one_device_does_not_take_all_places(self):
        self.hold_up(https_est.HONEST["simpleenroll"],
                     lambda asked: "gateway-2" not in str(asked.csr.subject))
        self.start(timeout="20s")
        for i in range(8):
            client = self.client()
            self.send_enroll(client, pki.request(pki.new_key(), f"gateway-1-{i}"))
            self.assertEqual(coap.Message.decode(client.dtls.receive(5)).code, 0)
        code, text, _ = self.enroll(name="gateway-1-more")
        self.assertEqual((code, "under way" in text), (503, True), text)
        self.assertEqual(self.enroll(name="gateway-2", device="gateway-2")[0], 204)


class Foreign(upstream.UpstreamCase):
    def test_g01_libcoaps_client(self):
        self.start()
        key, request, answer = (self.s.dir / name for name in ("key.pem", "request.der", "answer"))
        done = harness.run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-outform", "DER", "-out", request, "-subj",
            "/CN=gateway-1-openssl")
        self.assertEqual(done.status, 0, done)
        device = self.s.site / "devices/gateway-1"
        done = harness.run(
            "coap-client-openssl", "-c", device / "cert.pem", "-j", device / "key.pem", "-R",
            self.s.site / "trust.pem", "-B", "15", "-m", "post", "-t", "286", "-f", request, "-o",
            answer, f"coaps://127.0.0.1:{self.s.port}{upstream.EST}/sen")
        self.assertEqual(done.status, 0, done)
        cert, = pkcs7.load_der_pkcs7_certificates(answer.read_bytes())
        self.assertEqual(public(cert), public(pki.load_key(key)))
        self.assertEqual(cert.serial_number, self.server.issued[0].serial_number)


class Daemon(upstream.UpstreamCase):
    """estcd, the registrar and the server behind it."""

    def run_daemon(self, **settings):
        self.s.write_config([self.s.identity("gw", subject="CN=gateway-1", **settings)])
        self.s.start_daemon()

    def test_g01_enrols_and_renews(self):
        self.start()
        self.run_daemon()
        first = self.s.wait_state("gw", "valid")["certificate"]
        self.s.assert_consistent("gw")
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.s.wait_serial("gw", first["serial"])
        self.s.assert_consistent("gw")
        self.assertEqual([a.op for a in self.server.ops("simpleenroll", "simplereenroll")],
                         ["simpleenroll", "simplereenroll"])

    def test_d05_waits_as_long_as_upstream_says(self):
        self.server.on["simpleenroll"] = lambda a: https_est.Reply(
            202, headers={"Retry-After": "5"})
        self.start()
        self.run_daemon()
        self.s.wait_state("gw", "pending")
        del self.server.on["simpleenroll"]
        self.s.wait_state("gw", "valid", timeout=30)
        polls = self.server.ops("simpleenroll")
        self.assertGreater(len(polls), 1)
        self.assertEqual(len({public(a.csr) for a in polls}), 1, "the same request again")

    def test_g03_the_registrars_own_certificate_is_an_identity_of_estcd(self):
        """As est-registrar.conf(5) says under UPSTREAM, step by step."""
        self.own = https_est.write_credentials(self.s.dir / "first", self.authority,
                                               name="registrar-ra")
        # A CA that keeps its registrars what they are.
        ra = [https_est.CMC_RA, pki.ExtendedKeyUsageOID.CLIENT_AUTH]
        for op in "simpleenroll", "simplereenroll":
            self.server.on[op] = lambda a: https_est.certs(a.issue(usages=ra))
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        for old, new in (
                ("client_cas = (", f'client_cas = ({{ name = "ra"; certificate = "{self.s.site}/'
                                   'trust.pem"; },'),
                ("rules = (", 'rules = ({ name = "ra"; client_ca = "ra"; subject = { CN = [ '
                              '"registrar-ra" ]; }; },')):
            self.assertIn(old, text)
            text = text.replace(old, new)
        conf.write_text(text)
        self.start(refresh="1s")
        self.s.write_config([self.s.identity(
            "ra", subject="CN=registrar-ra",
            birth={"certificate": str(self.own[0]), "key": str(self.own[1])})])
        self.s.start_daemon()
        first = self.s.wait_state("ra", "valid")["certificate"]["serial"]
        current = self.s.current("ra")
        self.own = current / "fullchain.pem", current / "key.pem"
        self.s.registrar.stop()
        self.start(refresh="1s")
        self.assertIn(f"as 'CN=registrar-ra', certificate {first}", self.log())
        # From here on it renews itself with itself.
        done = self.s.estc("renew", "ra", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        second = self.s.wait_serial("ra", first)["serial"]
        harness.wait_for(lambda: f"as 'CN=registrar-ra', certificate {second}" in self.log(),
                         "the new one is in use")
        self.assertEqual(self.enroll()[0], 204)
        serials = [int(a.peer["serialNumber"], 16) for a in
                   self.server.ops("simpleenroll", "simplereenroll")]
        self.assertEqual(serials[1:], [int(first, 16), int(second, 16)])
        self.assertNotIn("is no registration authority's", self.log())

    def test_g08_a_key_from_upstream(self):
        self.s.set_registrar("server_keys", True)
        self.start()
        self.run_daemon(key={"origin": "server"})
        self.s.wait_state("gw", "valid")
        self.s.assert_consistent("gw")


if __name__ == "__main__":
    harness.main()
