#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Keys that est-registrar makes: how estcd gets them, and how they wait for approval."""
import sqlite3

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import pki
import rogue_client
import waiting
from keyparts import SECRET, SECRET_256, SECRET_ID, recipient


class Daemon(harness.TestCase):
    """estcd, whose keys the registrar makes."""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.set_registrar("server_keys", True)

    def seal(self, name, text):
        file = self.s.dir / name
        file.write_text(text)
        file.chmod(0o600)
        return str(file)

    def start(self, *identities):
        self.s.start_registrar()
        self.s.write_config(identities)
        self.s.start_daemon()

    def operations(self):
        with sqlite3.connect(f"file:{self.s.ledger()}?mode=ro", uri=True) as db:
            return [op for op, in db.execute("SELECT op FROM certificates ORDER BY rowid")]

    def test_k01_k17_enrols_and_renews(self):
        self.start(self.s.identity("gw", key={"origin": "server"}))
        first = self.s.wait_state("gw", "valid")["certificate"]
        self.s.assert_consistent("gw")
        key = self.s.current("gw").resolve() / "key.pem"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertFalse((self.s.state / "identities/gw/pending").exists())
        self.assertNotIn("implicit anchors", self.s.daemon.log(), "/crts came first")
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        second = self.s.show("gw")["certificate"]
        self.s.assert_consistent("gw")
        self.assertNotEqual(first["serial"], second["serial"])
        self.assertEqual(first["subject"], second["subject"])
        self.assertNotEqual(key.read_bytes(),
                            (self.s.current("gw").resolve() / "key.pem").read_bytes())
        self.assertEqual(self.operations(), ["skg", "skg"])
        self.assertIn("CN=gateway-1-gw) for 'CN=gateway-1-gw'", self.s.registrar.log(),
                      "the certificate authenticated its own renewal")
        for log in self.s.daemon.log(), self.s.registrar.log():
            self.assertNotIn("PRIVATE KEY", log)

    def test_k07_k12_k13_k14_sealed_on_its_way(self):
        cert, key = recipient(self.s, "gw", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")
        self.s.set_registrar("seal_certificates", str(cert))
        self.s.set_registrar("seal_secrets", self.seal(
            "known-secrets", f"{SECRET_ID} {SECRET}\n{SECRET_ID}39 {SECRET_256}\n"))
        device = self.seal("device", cert.read_text() + key.read_text())
        self.start(
            self.s.identity("secret", key_type="p384", key={
                "origin": "server", "decrypt": self.seal("s", f"{SECRET_ID}39 {SECRET_256}\n")}),
            self.s.identity("cert", key={"origin": "server", "decrypt": device}))
        for name in "secret", "cert":
            self.s.wait_state(name, "valid")
            self.s.assert_consistent(name)
        self.assertEqual(self.s.show("secret")["certificate"]["key_type"], "p384")

    def test_k11_no_bare_key_instead_of_a_sealed_one(self):
        self.start(self.s.identity("gw", key={
            "origin": "server", "decrypt": self.seal("s", f"{SECRET_ID} {SECRET}\n")}))
        shown = self.s.wait_state("gw", "failing")
        self.assertEqual(shown["last_result"], "rejected")
        self.assertEqual(self.operations(), [])
        self.assertFalse(self.s.current("gw").exists())

    def test_k13_another_secret_of_the_same_name(self):
        self.s.set_registrar("seal_secrets", self.seal("r", f"{SECRET_ID} {SECRET[::-1]}\n"))
        self.start(self.s.identity("gw", key={
            "origin": "server", "decrypt": self.seal("s", f"{SECRET_ID} {SECRET}\n")}))
        shown = self.s.wait_state("gw", "config", "failing")
        self.assertIn("does not open it", shown["last_error"])
        self.assertFalse(self.s.current("gw").exists())

    def test_d03_d06_a_key_that_waits_for_approval(self):
        """What is pending is the throw-away key; the key comes when somebody has approved."""
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace(
            'name = "devices";', 'name = "devices";\n approval = "manual"; retry_after = "1s";'))
        self.start(self.s.identity("gw", key={"origin": "server"}))
        self.s.wait_state("gw", "pending")
        pending = (self.s.state / "identities/gw/pending/key.pem").read_bytes()
        done = harness.run(harness.ESTC, "registrar", "approve", "1", "--registrar-socket",
                           self.s.site / "control")
        self.assertEqual(done.status, 0, done)
        self.s.wait_state("gw", "valid", timeout=60)
        self.s.assert_consistent("gw")
        self.assertNotEqual(pending, (self.s.current("gw") / "key.pem").read_bytes())
        self.assertEqual(self.operations(), ["skg"])


class Approval(waiting.WaitingCase):
    """Keys that somebody has to approve, asked for by a client that is not ours."""

    def setUp(self):
        super().setUp()
        self.s.registrar.stop()
        self.s.set_registrar("server_keys", True)
        self.s.start_registrar()
        self.request = pki.request(pki.new_key(), "gateway-1")

    def ask(self):
        """The parts of the answer; None while it waits."""
        with self.client() as client:
            code, body, last = client.request(coap.POST, f"{waiting.EST}/skg", self.request,
                                              coap.PKCS10)
        if code == 503:
            self.assertEqual((last.number(coap.MAX_AGE), self.issued()), (2, []))
            return None
        self.assertEqual(code, 204, body)
        return coap.multipart(body)

    def test_d03_d06_k17_one_approval_one_key(self):
        self.assertIsNone(self.ask())
        self.restart_registrar()
        self.assertIsNone(self.ask())
        shown, = self.requests()
        self.assertEqual((shown["id"], shown["op"]), (1, "skg"))
        self.decide("approve", 1)
        self.restart_registrar()
        found = self.ask()
        key = serialization.load_der_private_key(found[coap.PKCS8], None)
        cert, = pkcs7.load_der_pkcs7_certificates(found[coap.CERTS_ONLY])
        self.assertEqual(cert.public_key().public_numbers(), key.public_key().public_numbers())
        self.assertEqual(self.requests(), [])
        # The holder shows that it has it: whoever asks the same again waits for another approval.
        with rogue_client.Client(self.s.port, key, [cert]) as client:
            self.assertEqual(client.request(coap.GET, f"{waiting.EST}/crts")[0], 205)
        with self.client() as client:
            code, _, _ = client.request(coap.POST, f"{waiting.EST}/skg", self.request, coap.PKCS10)
        self.assertEqual(code, 503)
        self.assertEqual([r["id"] for r in self.requests()], [2])
        self.assertEqual(len(self.issued()), 1)


if __name__ == "__main__":
    harness.main()
