#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""EST servers upstream that are away, wrong or rude: the right code for the device, a line in the
log with cause and remedy, nothing from behind the registrar, and no request sent twice."""
import base64
import signal
import socket

import coap
import harness
import https_est
import pki
import upstream
from https_est import CERTS_ONLY, Reply

SECRET = b"db-password=hunter2"


def reply(*arguments, **options):
    return lambda asked: Reply(*arguments, **options)


def cut(asked):
    honest = https_est.certs(asked.issue())
    honest.cut = len(honest.body) // 2
    return honest


# label -> (what /simpleenroll does, code, what the device is told, what the log says)
CASES = {
    "r02_g11_unauthorized": (reply(401, "text/html", SECRET), 401, "does not accept this registrar",
                             "401: it does not accept this registrar: check upstream.certificate"),
    "r02_bad_request": (reply(400), 400, "refuses (HTTP 400)", None),
    "r02_r06_forbidden": (reply(403, "text/plain", b"unknown \x1b[31mdevice\n"), 403,
                          "unknown ?[31mdevice?", None),
    "r02_not_found": (reply(404, "text/html", SECRET), 404, "refuses (HTTP 404)", None),
    "r02_method": (reply(405), 405, "", None),
    "r02_accept": (reply(406), 406, "", None),
    "r02_too_large": (reply(413), 413, "", None),
    "r02_type": (reply(415), 415, "", None),
    "r02_teapot": (reply(418), 400, "", None),
    "r02_failed": (reply(500, "text/html", SECRET), 500, "", "500: look into its log"),
    "r02_not_implemented": (reply(501), 501, "", "501: look into its log"),
    "r02_gateway": (reply(502), 502, "", "502: look into its log"),
    "r02_gateway_timeout": (reply(504), 504, "", "504: look into its log"),
    "r03_odd_success": (reply(204), 502, "cannot be used", None),
    "g12_other_host": (reply(302, headers={"Location": "https://other.example/enroll"}), 502,
                       "cannot be used", "302 to 'https://other.example/enroll' is not followed"),
    "g12_plain_http": (reply(307, headers={"Location": "http://localhost/"}), 502,
                       "cannot be used", "307 to 'http://localhost/' is not followed"),
    "r03_html": (reply(200, "text/html", b"<html>" + SECRET), 502, "cannot be used",
                 "it is 'text/html' and not application/pkcs7-mime"),
    "r03_no_type": (reply(200, None, b"x"), 502, "cannot be used", "it is 'of no type'"),
    "r03_html_in_disguise": (reply(200, CERTS_ONLY, b"<html>" + SECRET), 502, "cannot be used",
                             "no base64: byte 0 of it is 0x3c"),
    "r03_base64_cut": (reply(200, CERTS_ONLY, b"MIIBxyz"), 502, "cannot be used",
                       "it ends in the middle"),
    "r03_empty": (reply(200, CERTS_ONLY, b""), 502, "cannot be used", "it is empty"),
    "r03_not_pkcs7": (reply(200, CERTS_ONLY, base64.b64encode(b"\x30\x03\x02\x01\x00")), 502,
                      "cannot be used", "PKCS#7"),
    "r03_full_cmc": (lambda a: Reply(200, "application/pkcs7-mime; smime-type=CMC-response",
                                     https_est.lines(pki.certs_only(a.issue()))), 502,
                     "cannot be used", "CMC-response"),
    "g10_two": (lambda a: https_est.certs(a.issue(), a.server.authority.cert), 502,
                "cannot be used", "there are 2 certificates in it"),
    "g10_none": (lambda a: https_est.certs(), 502, "cannot be used", "no certificate in it"),
    "other_key": (lambda a: https_est.certs(a.issue(pki.new_key().public_key())), 502,
                  "cannot be used", "issued for another key"),
    "other_name": (lambda a: https_est.certs(a.issue(subject=pki.name("root"))), 502,
                   "cannot be used", "it has issued for 'CN=root'"),
    "more_names": (lambda a: https_est.certs(a.issue(sans=["bank.example"])), 502,
                   "cannot be used", "and other names than those that were asked for"),
    "a_ca": (lambda a: https_est.certs(a.issue(ca=True)), 502, "cannot be used",
             "issued a CA's certificate"),
    "other_issuer": (lambda a: https_est.certs(pki.Authority("Stranger").issue(
        a.csr.public_key(), subject=a.csr.subject)), 502, "cannot be used",
        "does not lead to upstream.issuers (add its CA there if that has changed)"),
    "z01_huge": (reply(200, CERTS_ONLY, b"A" * 50_000_000), 502, "cannot be used",
                 "answers with more than 65536 bytes: raise upstream.max_body"),
}
# What /serverkeygen answers -> what the log says.
KEYS = {
    "g08_no_boundary": (lambda a: Reply(200, "multipart/mixed", b"--x\r\n"), "it has no boundary"),
    "g08_one_part": (lambda a: Reply(200, "multipart/mixed; boundary=x",
                                     b"--x\r\nContent-Type: application/pkcs8\r\n\r\nAAAA\r\n--x--"),
                     "it has not two parts"),
    "g08_cut_off": (lambda a: Reply(200, "multipart/mixed; boundary=x",
                                    b"--x\r\nContent-Type: application/pkcs8\r\n\r\nAAAA\r\n"),
                    "its last boundary is missing"),
    "g08_another_type": (lambda a: https_est.certs(a.issue()), "and not multipart/mixed"),
    "g08_no_pair": (lambda a: https_est.multipart(
        "application/pkcs8", https_est.pkcs8(pki.new_key()),
        a.issue(pki.new_key().public_key())), "are no pair"),
    "g09_sealed_unasked": (lambda a: https_est.multipart(
        "application/pkcs7-mime; smime-type=server-generated-key", b"sealed", a.issue()),
        "and not application/pkcs8"),
    "g08_three_parts": (lambda a: Reply(200, "multipart/mixed; boundary=x",
                                        b"--x\r\nContent-Type: application/pkcs8\r\n\r\nAA==\r\n" * 3
                                        + b"--x--"), "more than two parts"),
}


class Answers(upstream.UpstreamCase):
    settings = {"max_body": "64K"}

    def states(self):
        return [state for state, in self.sql("SELECT state FROM requests ORDER BY id")]

    def test_answers(self):
        self.start()
        names = {}
        for label, (behave, code, told, logged) in CASES.items():
            with self.subTest(label):
                self.server.on["simpleenroll"] = behave
                names[label] = f"gateway-1-{label.replace('_', '-')}"
                got, text, _ = self.enroll(name=names[label])
                self.assertEqual((got, told in text), (code, True), text)
                self.assertNotIn("hunter2", text)
                if logged:
                    self.assertIn(logged, self.log())
        self.assertNotIn("hunter2", self.log())
        self.assertEqual(set(self.states()), {"approved"}, "all of them may be sent again")
        self.assertEqual(self.sql("SELECT * FROM certificates"), [])

    def test_keys(self):
        self.s.set_registrar("server_keys", True)
        self.start()
        for label, (behave, logged) in KEYS.items():
            with self.subTest(label):
                self.server.on["serverkeygen"] = behave
                code, body, _ = self.ask(coap.POST, "/skg", pki.request(
                    pki.new_key(), f"gateway-1-{label.replace('_', '-')}"))
                self.assertEqual((code, body), (502, b"the CA's answer cannot be used"))
                self.assertIn(logged, self.log())

    def test_g12_a_redirect_within_the_server_is_followed(self):
        self.start()
        hops = []
        def behave(asked):
            hops.append(asked)
            return Reply(307, headers={"Location": "/.well-known/est/moved"})
        self.server.on["simpleenroll"] = behave
        self.server.on["moved"] = https_est.HONEST["simpleenroll"]
        code, cert, _ = self.enroll()
        self.assertEqual(code, 204, cert)
        self.assertEqual(self.server.ops("moved")[0].body, hops[0].body)
        self.server.on["moved"] = lambda a: Reply(307, headers={"Location": a.server.url + "/moved"})
        self.assertEqual(self.enroll(name="gateway-1-round")[0], 502)
        self.assertEqual(len(self.server.ops("moved")), 4, "it ends")


class Unknown(upstream.UpstreamCase):
    """Nobody knows whether it was issued."""

    def sent(self):
        return len(self.server.ops("simpleenroll"))

    def check_unknown(self, request):
        code, text, _ = self.enroll(request=request)
        self.assertEqual((code, text), (504, "the CA has not answered"))
        self.assertIn("whether it has issued is not known: look there", self.log())
        self.assertEqual(self.sql("SELECT state FROM requests"), [("forwarded",)])

    def test_r03_closes_in_the_middle(self):
        self.server.on["simpleenroll"] = cut
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        self.check_unknown(request)
        del self.server.on["simpleenroll"]
        code, text, _ = self.enroll(request=request)
        self.assertEqual((code, self.sent()), (504, 1), text)
        self.assertIn("not sent again until somebody has looked", text)
        self.assertIn('"estc registrar approve 1" sends it once more', self.log())
        # Over a restart, too; and a person's word counts.
        self.s.registrar.stop(signal.SIGKILL)
        self.s.start_registrar()
        self.assertEqual((self.enroll(request=request)[0], self.sent()), (504, 1))
        done = self.registrar_command("approve", "1")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual((self.enroll(request=request)[0], self.sent()), (204, 2))

    def test_r03_takes_it_and_never_answers(self):
        self.hold_up(lambda asked: Reply(500))
        self.start()
        request = pki.request(pki.new_key(), "gateway-1")
        self.check_unknown(request)
        done = self.registrar_command("reject", "1", "--reason", "not ours")
        self.assertEqual(done.status, harness.DONE, done)
        code, text, _ = self.enroll(request=request)
        self.assertEqual((code, self.sent()), (403, 1), text)
        self.assertIn("not ours", text)

    def test_repeat_unknown_sends_it_once_more_and_no_more(self):
        self.server.on["simpleenroll"] = cut
        self.start(repeat_unknown=True)
        request = pki.request(pki.new_key(), "gateway-1")
        self.check_unknown(request)
        self.assertEqual((self.enroll(request=request)[0], self.sent()), (504, 2))
        self.assertEqual(self.sql("SELECT state FROM requests"), [("repeated",)])
        self.assertEqual((self.enroll(request=request)[0], self.sent()), (504, 2))

    def test_killed_while_it_is_upstream(self):
        self.hold_up(lambda asked: Reply(500))
        self.start(timeout="20s")
        request = pki.request(pki.new_key(), "gateway-1")
        with self.client() as client:
            self.send_enroll(client, request)
            harness.wait_for(self.sent, "it is upstream")
        self.s.registrar.stop(signal.SIGKILL)
        self.s.start_registrar()
        self.assertEqual((self.enroll(request=request)[0], self.sent()), (504, 1))


class Away(upstream.UpstreamCase):
    def closed(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return f"https://localhost:{probe.getsockname()[1]}{upstream.EST}"

    def check(self, urls, code, told, logged, **settings):
        self.start(urls, **settings)
        got, text, _ = self.enroll()
        self.assertEqual((got, told in text), (code, True), text)
        self.assertIn(logged, self.log())
        # Nothing was sent, so it may be sent again; and nobody can be told of a CA.
        self.assertEqual(self.sql("SELECT state FROM requests"), [("approved",)])
        self.assertEqual(self.ask(coap.GET, "/crts")[0], 503)

    def test_r03_unreachable(self):
        self.check([self.closed()], 504, "is not reached", "check the address and the way there")

    def test_r03_accepts_and_says_nothing(self):
        silent = https_est.Silent()
        self.addCleanup(silent.close)
        self.check([silent.url], 504, "is not reached", "check the address and the way there")

    def test_g17_another_authority(self):
        other = self.https("other", tls_authority=pki.Authority("Stranger"))
        self.check([other.url], 502, "cannot be used",
                   "TLS failed: SSL certificate problem", timeout="3s")
        self.assertEqual(other.asked, [])
        self.assertIn("check its certificate against upstream.trust", self.log())

    def test_g17_another_name(self):
        other = self.https("other", names=("other.example",))
        self.check([other.url], 502, "cannot be used", "subject name matches target host name")
        self.assertEqual(other.asked, [])

    def test_g02_it_does_not_know_the_registrar(self):
        self.own = https_est.write_credentials(self.s.dir / "stranger", pki.Authority("Stranger"))
        self.check(None, 502, "cannot be used", "whether it accepts upstream.certificate")
        self.assertEqual(self.server.asked, [])

    def test_the_next_one_is_asked_where_nothing_was_sent(self):
        silent = https_est.Silent()
        self.addCleanup(silent.close)
        self.start([self.closed(), silent.url, self.server.url], connect_timeout="1s")
        code, cert, _ = self.enroll()
        self.assertEqual(code, 204, cert)
        self.assertIn(f"upstream {self.server.url} is asked first from now on", self.log())

    def test_the_next_one_is_not_asked_where_something_may_have_been(self):
        second = self.https("second")
        self.server.on["simpleenroll"] = cut
        self.start([self.server.url, second.url])
        self.assertEqual(self.enroll()[0], 504)
        self.assertEqual(second.ops("simpleenroll"), [])
        # One that refuses the registrar has done nothing.
        self.server.on["simpleenroll"] = reply(401)
        self.assertEqual(self.enroll(name="gateway-1-b")[0], 204)
        self.assertEqual(len(second.ops("simpleenroll")), 1)

    def test_nothing_is_taken_from_the_environment(self):
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            where = f"http://127.0.0.1:{proxy.getsockname()[1]}"
            self.start(env={"https_proxy": where, "HTTPS_PROXY": where, "ALL_PROXY": where,
                            "SSL_CERT_FILE": "/nowhere", "CURL_CA_BUNDLE": "/nowhere"})
            self.assertEqual(self.enroll()[0], 204)
            proxy.settimeout(0)
            self.assertRaises(BlockingIOError, proxy.accept)


class Own(upstream.UpstreamCase):
    """Who the registrar is upstream."""

    def test_g03_it_should_be_a_registration_authority(self):
        self.start()
        self.assertIn("upstream knows this registrar as 'CN=registrar'", self.log())
        self.assertNotIn("is no registration authority's", self.log())
        self.s.registrar.stop()
        self.own = https_est.write_credentials(
            self.s.dir / "plain", self.authority,
            usages=[pki.ExtendedKeyUsageOID.CLIENT_AUTH])
        self.start()
        self.assertIn("is no registration authority's (extendedKeyUsage id-kp-cmcRA)", self.log())

    def test_another_certificate_counts_from_the_next_request_on(self):
        self.start(refresh="1s")
        https_est.write_credentials(self.s.dir / "ra", self.authority, name="renewed")
        harness.wait_for(lambda: "knows this registrar as 'CN=renewed'" in self.log(), "it is seen")
        self.assertEqual(self.enroll()[0], 204)
        asked, = self.server.ops("simpleenroll")
        self.assertEqual(asked.peer["subject"], ((("commonName", "renewed"),),))

    def check_config(self):
        return harness.run(harness.REGISTRAR, "-n", "-c", self.s.site / "est-registrar.conf")

    def test_what_is_wrong_with_the_configuration_is_said(self):
        self.configure()
        self.assertEqual(self.check_config().status, 0)
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        for change, said in (
                ((f'trust = "{self.server.trust}";', ""), "'upstream.trust' is missing: add it"),
                (('"https://', '"http://'), 'is no "https://HOST[:PORT]/.well-known/est"'),
                ((str(self.own[1]), str(self.s.site / "server/key.pem")), "upstream.certificate"),
                (("upstream = {", 'ca = { certificate = "x"; key = "y"; };\nupstream = {'),
                 "one of them issues: remove one"),
                (("upstream = {", 'ca = { crl = { file = "x.crl"; }; };\nupstream = {'),
                 "there is upstream as well"),
                (("upstream = {", 'seal_secrets = "x";\nupstream = {'), "pass as they are")):
            with self.subTest(said):
                self.assertIn(change[0], text)
                conf.write_text(text.replace(*change))
                done = self.check_config()
                self.assertEqual((done.status, said in done.err), (harness.CONFIG_TEXT, True), done)


if __name__ == "__main__":
    harness.main()
