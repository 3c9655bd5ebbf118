#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""No certificate in force, and a birth credential that does not help either: the state stuck."""
from datetime import timedelta

import harness
import pki
import rogue
from test_expired import CLIENT_CA, LONG_AGO


def short_lived(asked):
    if asked.op not in ("sen", "sren"):
        return rogue.honest(asked)
    cert = asked.issue(start=timedelta(seconds=-1), life=timedelta(seconds=4))
    return rogue.Answer(204, pki.certs_only(cert))


class Stuck(harness.TestCase):
    def test_the_ca_rejects_the_birth_certificate(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        factory = pki.Authority("Factory")
        key, birth = factory.leaf("gateway-1", **LONG_AGO)
        pki.write_certs(self.s.site / "factory/ca.pem", factory.cert)
        pki.write_key(self.s.site / "devices/gateway-1/key.pem", key)
        pki.write_certs(self.s.site / "devices/gateway-1/cert.pem", birth)
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])
        self.s.start_daemon()
        self.assertEqual(self.s.wait_state("gw", "failing")["failures"], 1)
        for _ in range(2):
            self.assertEqual(self.s.estc("retry", "gw").status, harness.REJECTED)
        shown = self.s.show("gw")
        self.assertEqual((shown["state"], shown["alert"]), ("stuck", "critical"))
        self.assertRegex(shown["alert_why"], "rejects")
        self.assertEqual(shown["exit_code"], harness.REJECTED)
        self.assertEqual(shown["next_action"], "enroll")
        self.assertIn("stuck", self.s.estc("list").out)
        self.assertIn("gw", self.s.estc("status").out)
        self.assertRegex(self.s.estc("metrics").out, 'state="stuck"} 1|state="stuck"[^\n]*1')
        # It outlives the daemon, and ends by itself when the CA thinks better of it.
        self.s.daemon.stop()
        self.s.start_daemon()
        self.assertEqual(self.s.show("gw")["state"], "stuck")
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        self.assertIn(CLIENT_CA, text)
        conf.write_text(text.replace(CLIENT_CA, CLIENT_CA.replace(
            "; }", "; accept_expired = true; }")))
        self.s.registrar.stop()
        self.s.start_registrar()
        self.assertEqual(self.s.estc("retry", "gw").status, harness.DONE)
        shown = self.s.show("gw")
        self.assertEqual((shown["state"], shown.get("alert")), ("valid", None))

    def test_it_expires_while_the_birth_credential_is_missing(self):
        self.s = self.site()
        ca, _ = rogue.authority(self.s)
        key, cert = ca.leaf("server", ["localhost"])
        server = rogue.Server(ca, key, [cert], {"short": short_lived})
        self.addCleanup(server.close)
        self.s.write_config([rogue.identity(self.s, "gw", server.port, label="short")])
        self.s.start_daemon()
        self.s.wait_state("gw", "valid")
        birth, away = self.s.dir / "birth.pem", self.s.dir / "away.pem"
        birth.rename(away)
        server.close()  # nobody renews it
        self.s.wait_state("gw", "expired", "stuck", timeout=30)
        self.s.estc("retry", "gw")
        shown = self.s.wait_state("gw", "stuck")
        self.assertEqual(shown["alert"], "critical")
        self.assertRegex(shown["alert_why"], "expired at .*unfit")
        self.assertRegex(shown["last_error"], "birth.pem")
        self.assertEqual(self.s.estc("show", "gw").status, harness.DONE)
        # The file is back, and is seen by itself.
        away.rename(birth)
        self.s.wait_state("gw", "expired")


if __name__ == "__main__":
    harness.main()
