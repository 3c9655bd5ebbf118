# SPDX-License-Identifier: BSD-2-Clause
"""A site whose registrar issues nothing itself: an EST server over HTTPS stands behind it."""
import re
import sqlite3
import threading

from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import https_est
import pki
import rogue_client

EST = https_est.EST


class UpstreamCase(harness.TestCase):
    settings = {}
    rule = ""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        self.authority = pki.Authority("Upstream root")
        self.server = self.https("upstream")
        self.own = https_est.write_credentials(self.s.dir / "ra", self.authority)
        # Devices that have their anchors from /crts accept a server of the same CA.
        key, cert = self.authority.leaf("registrar", ["localhost"])
        pki.write_certs(self.s.site / "server/cert.pem", cert)
        pki.write_key(self.s.site / "server/key.pem", key)
        pki.write_certs(self.s.site / "trust.pem", self.authority.cert)

    def https(self, name, **options):
        server = https_est.EstServer(self.s.dir / name, self.authority, **options)
        self.addCleanup(server.close)
        return server

    def hold_up(self, then, whom=lambda asked: True):
        """What enrolls at the server waits until the event that this gives is set."""
        go = threading.Event()
        self.addCleanup(go.set)

        def behave(asked):
            if whom(asked):
                go.wait(30)
            return then(asked)
        self.server.on["simpleenroll"] = behave
        return go

    @staticmethod
    def send_enroll(client, request):
        """Begins an enrolment and does not wait for the answer; the message."""
        message = client.message(coap.POST, f"{EST}/sen",
                                 [(coap.CONTENT_FORMAT, coap.uint(coap.PKCS10))], request)
        client.dtls.send(message.encode())
        return message

    def configure(self, urls=None, **settings):
        """est-registrar.conf with upstream in the place of ca."""
        upstream = {
            "urls": urls or [self.server.url],
            "trust": str(self.server.trust),
            "certificate": str(self.own[0]), "key": str(self.own[1]),
            "issuers": str(self.s.site / "trust.pem"),
            "connect_timeout": "2s", "timeout": "3s", **self.settings, **settings,
        }
        conf = self.s.site / "est-registrar.conf"
        text, n = re.subn(r"^(ca|upstream) = \{.*?^\};", lambda _: "upstream = " +
                          harness.libconfig(upstream) + ";", conf.read_text(),
                          count=1, flags=re.S | re.M)
        assert n == 1, text
        if self.rule:
            text = text.replace("rules = (\n    {", "rules = (\n    { " + self.rule, 1)
        conf.write_text(text)

    def start(self, *arguments, env=None, **settings):
        self.configure(*arguments, **settings)
        self.s.start_registrar(env=env)

    def client(self, device="gateway-1"):
        client = rogue_client.Client(self.s.port, *self.s.birth(device), timeout=20)
        self.addCleanup(client.close)
        return client

    def ask(self, method, path, request=b"", device="gateway-1", accept=None):
        """(dotted code, body, last message)"""
        with self.client(device) as client:
            return client.request(method, EST + path, request,
                                  coap.PKCS10 if request else None, accept)

    def enroll(self, key=None, name="gateway-1", op="sen", device="gateway-1", request=None):
        """(dotted code, certificate or diagnostic, Max-Age or None)"""
        request = request or pki.request(key or pki.new_key(), name)
        code, body, last = self.ask(coap.POST, f"/{op}", request, device)
        age = last.number(coap.MAX_AGE)
        if code != 204:
            return code, body.decode(), age
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert, age

    def sql(self, statement):
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            return db.execute(statement).fetchall()

    def log(self):
        return self.s.registrar.log()

    def registrar_command(self, *arguments):
        return harness.run(harness.ESTC, "registrar", *arguments, "--registrar-socket",
                           self.s.site / "control")
