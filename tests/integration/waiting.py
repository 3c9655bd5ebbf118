# SPDX-License-Identifier: BSD-2-Clause
"""A site whose registrar lets requests wait, and who decides on them."""
import json
import signal
import sqlite3

from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import rogue_client

EST = "/.well-known/est"
RULES = "rules = (\n    {"


class WaitingCase(harness.TestCase):
    """A site whose rule for devices has more settings, and whose registrar runs."""

    settings = 'approval = "manual"; retry_after = "2s";'

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        self.assertIn(RULES, text)
        conf.write_text(text.replace(RULES, f"{RULES} {self.settings}", 1))
        self.s.start_registrar()

    def estc(self, *arguments, **options):
        return harness.run(harness.ESTC, "registrar", *arguments, "--registrar-socket",
                           self.s.site / "control", **options)

    def requests(self, *arguments):
        done = self.estc("pending", "--json", *arguments)
        self.assertEqual(done.status, 0, done)
        return done.json()

    def decide(self, what, number, *arguments):
        done = self.estc(what, str(number), *arguments)
        self.assertEqual(done.status, 0, done)

    def wait_request(self):
        return harness.wait_for(self.requests, "a request waits")[0]

    def restart_registrar(self, number=signal.SIGKILL):
        self.s.registrar.stop(number)
        self.s.start_registrar()

    def client(self, device="gateway-1"):
        client = rogue_client.Client(self.s.port, *self.s.birth(device))
        self.addCleanup(client.close)
        return client

    def issued(self):
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            return db.execute("SELECT sha256, subject FROM certificates").fetchall()

    def post(self, request, op="sen", device="gateway-1"):
        """(dotted code, the certificate or the diagnostic, Max-Age or None)"""
        with self.client(device) as client:
            code, body, last = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        age = last.number(coap.MAX_AGE)
        if code != 204:
            return code, body.decode(), age
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert, age


class DaemonCase(WaitingCase):
    """estcd and a registrar that takes its time."""

    def start(self, pop="never", **settings):
        settings["pop"] = pop
        self.s.write_config([self.s.identity("gw", **settings)])
        self.s.start_daemon()

    def request_file(self):
        return json.loads((self.s.state / "identities/gw/pending/request.json").read_text())

    def key_file(self):
        return (self.s.state / "identities/gw/pending/key.pem").read_bytes()

    def restart_daemon(self):
        self.s.daemon.stop(signal.SIGKILL)
        self.s.start_daemon()

    def polls(self):
        """How often the registrar has said that the request waits."""
        return self.s.registrar.log().count("waits for approval as request")

    def wait_poll(self):
        polls = self.polls()
        harness.wait_for(lambda: self.polls() > polls, "the daemon asks again", 30)

    def wait_certificate(self):
        shown = self.s.wait_state("gw", "valid", timeout=40)
        self.s.assert_consistent("gw")
        (sha256, _), = self.issued()
        self.assertEqual(shown["certificate"]["sha256"].replace(":", "").upper(), sha256)
        return shown
