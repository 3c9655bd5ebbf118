#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Other names in the configuration: renewed by ChangeSubjectName, or enrolled anew where the server
does not want that."""
import base64
import json
import sqlite3

import harness

OLD, NEW = {"subject": "CN=gateway-1"}, {"subject": "CN=gw-new", "subject_alt_names": ["DNS:gw-new.example"]}
RULE = """rules = (
    {
        name = "devices"; %s
        client_ca = "factory";
        subject = { CN = [ "${CN}", "gw-*" ]; };
        dns = [ "*.example" ];
    }
);
"""


class Rename(harness.TestCase):
    def begin(self, settings, **identity):
        """A daemon with a certificate for OLD, and a registrar whose rule has these settings."""
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.set_rule(settings)
        self.s.start_registrar()
        self.settings = identity
        self.configure(OLD)
        self.s.start_daemon()
        self.s.wait_state("gw", "valid")
        self.before = self.s.show("gw")["certificate"]["serial"]

    def set_rule(self, settings):
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        conf.write_text(text[:text.index("\nrules = (")] + "\n" + RULE % settings)

    def configure(self, names):
        self.s.write_config([self.s.identity("gw", **(self.settings | names))])

    def change(self, names=None):
        self.configure(names or NEW)
        self.assertEqual(self.s.estc("reload").status, harness.DONE)

    def operations(self):
        """Of all that was issued, in order: operation, subject, whether it was under a certificate
        that was issued before."""
        with sqlite3.connect(f"file:{self.s.ledger()}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT op, subject, authenticator, sha256 FROM certificates "
                              "ORDER BY issued_at, rowid").fetchall()
        ours = {row[3] for row in rows}
        return [(op, subject, by in ours) for op, subject, by, _ in rows]

    def assert_renamed(self):
        self.s.wait_serial("gw", self.before)
        shown = self.s.wait_state("gw", "valid")
        self.assertEqual(shown["certificate"]["subject"], "CN=gw-new")
        self.assertEqual(shown["certificate"]["sans"], ["DNS:gw-new.example"])
        self.s.assert_consistent("gw")

    def test_e09_e10_e11_new_names_by_renewal(self):
        self.begin("change_names = true;")
        self.change()
        self.assert_renamed()
        self.assertEqual(self.operations(),
                         [("sen", "CN=gateway-1", False), ("sren", "CN=gw-new", True)])
        # And from then on it is an ordinary renewal, of ordinary names.
        serial = self.s.show("gw")["certificate"]["serial"]
        self.assertEqual(self.s.estc("renew", "--force", "gw").status, harness.DONE)
        self.s.wait_serial("gw", serial)
        self.assertEqual(self.operations()[2:], [("sren", "CN=gw-new", True)])

    def test_e09_e11_a_server_that_refuses_is_asked_by_the_birth_certificate(self):
        self.begin("")
        self.change()
        self.assert_renamed()
        self.assertEqual(self.operations(),
                         [("sen", "CN=gateway-1", False), ("sen", "CN=gw-new", False)])
        log = self.s.daemon.log()
        self.assertEqual(log.count("no renewal under the new names"), 1)
        self.assertIn("change_names = true", log)
        self.assertEqual(self.s.registrar.log().count(": refused: "), 1)

    def test_e09_the_old_certificate_stays_when_nobody_grants(self):
        self.begin("change_names = true;")
        self.change({"subject": "CN=bank"})
        shown = self.s.wait_state("gw", "failing")
        self.assertEqual(shown["certificate"]["serial"], self.before)
        self.assertIn("commonName 'bank'", str(shown))
        # /sren, and /sen after it; then it waits, as after any failure.
        self.assertEqual(self.s.registrar.log().count(": refused: "), 2)
        self.change(OLD)
        harness.wait_for(lambda: self.s.show("gw")["next_action"] == "renew", "nothing is to be changed")
        self.assertEqual(self.s.show("gw")["certificate"]["serial"], self.before)

    def test_d03_d07_e09_new_names_wait_over_the_end_of_both(self):
        self.begin("change_names = true;")
        self.s.registrar.stop()
        self.set_rule('change_names = true; approval = "manual"; retry_after = "1s";')
        self.s.start_registrar()
        self.change()
        self.s.wait_state("gw", "pending")
        socket = ("--registrar-socket", self.s.site / "control")
        listed = harness.wait_for(
            lambda: harness.run(harness.ESTC, "registrar", "pending", "--json", *socket).json(),
            "it waits for approval")
        self.assertEqual([(r["subject"], r["names"]) for r in listed],
                         [("CN=gw-new", "DNS:gw-new.example")])
        pending = (self.s.state / "identities/gw/pending/request.json").read_text()
        self.s.daemon.stop()
        self.s.start_daemon()
        self.s.registrar.stop()
        self.s.start_registrar()
        self.assertEqual((self.s.state / "identities/gw/pending/key.pem").exists(), True)
        self.assertIn('"sren"', pending)
        done = harness.run(harness.ESTC, "registrar", "approve", str(listed[0]["id"]), *socket)
        self.assertEqual(done.status, 0, done)
        self.assert_renamed()
        self.assertEqual(self.operations()[1:], [("sren", "CN=gw-new", True)])

    def test_e08_e09_the_request_by_openssl(self):
        """What openssl reads in the request: the old names, and the new ones in the attribute."""
        self.begin("change_names = true;")
        self.s.registrar.stop()
        self.set_rule('change_names = true; approval = "manual"; retry_after = "60s";')
        self.s.start_registrar()
        self.change()
        self.s.wait_state("gw", "pending")
        request = json.loads((self.s.state / "identities/gw/pending/request.json").read_text())
        file = self.s.dir / "request.der"
        file.write_bytes(base64.b64decode(request["csr"]))
        text = harness.run("openssl", "req", "-inform", "DER", "-in", file, "-noout", "-text",
                           "-verify")
        self.assertEqual(text.status, 0, text)
        self.assertIn("Subject: CN = gateway-1\n", text.out)
        parsed = harness.run("openssl", "asn1parse", "-inform", "DER", "-in", file)
        lines = [line.split(":", 1)[1].strip() for line in parsed.out.splitlines()]
        at, = [i for i, line in enumerate(lines) if "changeSubjectName" in line
               or "1.3.6.1.5.5.7.7.36" in line]
        inside = "\n".join(lines[at:at + 12])
        self.assertIn("UTF8STRING        :gw-new", inside)
        self.assertRegex(inside, r"cont \[ 1 \]")


if __name__ == "__main__":
    harness.main()
