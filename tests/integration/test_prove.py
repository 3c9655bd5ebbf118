#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A new certificate is tried in a handshake before it is put in force. The server refuses it, or is
gone by then: what works stays, nothing is asked for twice, and where nothing works nothing is lost."""
import shutil
from datetime import timedelta

from OpenSSL import SSL

import harness
import rogue
from rogue import Answer, honest


class Gate(rogue.Server):
    """Issues what is asked for, and looks at who comes: certificates that it has issued are refused
    while `refusing`; while `deaf` nobody new is heard."""

    def __init__(self, ca, life):
        key, cert = ca.leaf("server", ["localhost"])
        self.life = life
        self.refusing = self.deaf = False
        self.refused = set()
        self.after_issuing = lambda: None
        super().__init__(ca, key, [cert], {"gate": self.answer})
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self.judge)

    def judge(self, connection, cert, error, depth, ok):
        return depth > 0 or cert.get_serial_number() not in self.refused

    def answer(self, asked):
        if asked.op not in ("sen", "sren"):
            return honest(asked)
        cert = asked.issue(start=timedelta(seconds=-1), life=timedelta(seconds=self.life))
        if self.refusing:
            self.refused.add(cert.serial_number)
        self.after_issuing()
        return Answer(204, rogue.pki.certs_only(cert))

    def receive(self, datagram, address):
        if not self.deaf or address in self.sessions:
            super().receive(datagram, address)

    def count(self, op):
        return [asked for asked, _ in self.requests].count(op)


class Prove(harness.TestCase):
    def start(self, life=3600, **settings):
        self.s = self.site()
        ca, _ = rogue.authority(self.s)
        self.gate = Gate(ca, life)
        self.addCleanup(self.gate.close)
        self.settings = settings
        self.write_config()
        return self.s

    def write_config(self, **settings):
        self.s.write_config([rogue.identity(self.s, "gw", self.gate.port, label="gate",
                                            **{**self.settings, **settings})])

    def enrolled(self):
        self.s.start_daemon()
        return self.s.wait_state("gw", "valid")["certificate"]

    @property
    def candidate(self):
        return self.s.state / "identities/gw/candidate"

    def assert_kept(self, before, op, times):
        """The old one in force, the new one on disk, and asked for as often as that."""
        self.assertEqual(self.s.show("gw").get("certificate"), before)
        self.assertTrue((self.candidate / "key.pem").exists())
        self.assertEqual(self.gate.count(op), times)
        self.assertFalse((self.s.state / "identities/gw/pending").exists())

    def assert_taken(self, op, times):
        """The candidate of before in force; nothing was asked for since."""
        waiting = self.candidate.resolve()
        done = self.s.estc("enroll", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.s.current("gw").resolve(), waiting)
        self.assertFalse(self.candidate.is_symlink())
        self.assertEqual(self.gate.count(op), times)
        self.s.assert_consistent("gw")

    def test_a_renewal_that_the_server_refuses(self):
        self.start()
        before = self.enrolled()
        self.gate.refusing = True
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assert_kept(before, "sren", 1)
        self.s.assert_consistent("gw")
        self.assertRegex(self.s.show("gw")["last_error"], "not put in force.*refused us: alert")
        done = self.s.estc("renew", "gw")  # it is tried again, not asked for again
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assert_kept(before, "sren", 1)
        self.gate.refused.clear()
        self.assert_taken("sren", 1)

    def test_another_one_by_force(self):
        self.start()
        before = self.enrolled()
        self.gate.refusing = True
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, harness.REJECTED)
        self.gate.refusing = False
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertEqual(self.gate.count("sren"), 2)
        self.assertNotEqual(self.s.show("gw")["certificate"]["serial"], before["serial"])
        self.assertFalse(self.candidate.is_symlink())

    def test_a_request_that_has_changed(self):
        """What was issued for another request is not put in force."""
        self.start()
        self.enrolled()
        self.gate.refusing = True
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, harness.REJECTED)
        self.gate.refusing = False
        self.write_config(subject="CN=other")
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assertEqual(self.s.estc("enroll", "gw").status, harness.DONE)
        self.assertEqual(self.s.show("gw")["certificate"]["subject"], "CN=other")
        self.assertFalse(self.candidate.is_symlink())

    def test_the_network_dies_between_issue_and_proof(self):
        self.start()
        before = self.enrolled()
        self.gate.after_issuing = lambda: setattr(self.gate, "deaf", True)
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.UNREACHABLE, done)
        self.assert_kept(before, "sren", 1)
        self.s.daemon.stop()
        self.gate.deaf = False
        waiting = self.candidate.resolve()
        self.s.start_daemon()  # which knows from the disk that something is to be done
        done = self.s.estc("enroll", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.s.current("gw").resolve(), waiting)
        self.assertEqual(self.gate.count("sren"), 1)

    def test_retry_proves_the_same_one_again(self):
        self.start()
        before = self.enrolled()
        self.gate.refusing = True
        self.assertNotEqual(self.s.estc("renew", "gw", "--force").status, harness.DONE)
        self.assert_kept(before, "sren", 1)
        waiting = self.candidate.resolve()
        self.assertNotEqual(self.s.estc("retry", "gw").status, harness.DONE)
        self.assertEqual(self.candidate.resolve(), waiting)
        self.gate.refused.clear()
        self.gate.refusing = False
        self.assertEqual(self.s.estc("retry", "gw").status, harness.DONE)
        self.assertEqual(self.s.current("gw").resolve(), waiting)
        self.assertEqual(self.gate.count("sren"), 1)

    def refused_renewal(self, *command):
        self.enrolled()
        self.gate.refusing = True
        self.assertEqual(self.s.estc(*command, "gw").status, harness.REJECTED)
        self.gate.refusing = False

    def test_another_server_proves_it(self):
        self.start()
        self.refused_renewal("renew", "--force")
        self.gate.refused.clear()
        self.write_config(url=[f"coaps://localhost:{harness.free_port()}",
                               f"coaps://localhost:{self.gate.port}"])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assert_taken("sren", 1)

    def test_the_wish_for_another_key_outlives_an_old_candidate(self):
        self.start(rekey=False)
        self.refused_renewal("renew", "--force")
        key = (self.s.current("gw") / "key.pem").read_bytes()
        self.assertEqual((self.candidate / "key.pem").read_bytes(), key)
        # That one ends before a new candidate takes the place of the old one.
        self.gate.deaf = True
        self.assertEqual(self.s.estc("rekey", "gw").status, harness.UNREACHABLE)
        self.gate.deaf = False
        self.gate.refused.clear()
        self.assertEqual(self.s.estc("retry", "gw").status, harness.DONE)
        self.assertNotEqual((self.s.current("gw") / "key.pem").read_bytes(), key)

    def test_by_a_fingerprint_alone(self):
        """The anchors are gone, so the candidate's attempt has to find them again."""
        self.start()
        self.write_config(trust=None, fingerprint=rogue.pki.fingerprint(self.gate.authority.cert))
        self.refused_renewal("renew", "--force")
        self.gate.refused.clear()
        shutil.rmtree(self.s.state / "identities/gw/trust")
        self.assert_taken("sren", 1)

    def test_the_first_one_is_refused(self):
        """Nothing works before it, so nothing is lost by it."""
        self.start()
        self.gate.refusing = True
        self.enrolled()
        self.assertEqual(self.gate.count("sen"), 1)
        self.assertRegex(self.s.daemon.log(), "tried in vain in a handshake: .*refused us")
        self.assertFalse(self.candidate.is_symlink())
        self.s.assert_consistent("gw")

    def test_always(self):
        self.start(prove="always")
        self.gate.refusing = True
        self.s.start_daemon()
        self.s.wait_state("gw", "failing")
        self.assert_kept(None, "sen", 1)
        self.assertFalse(self.s.current("gw").exists())
        self.s.daemon.stop()
        self.gate.refused.clear()
        self.s.start_daemon()
        self.assert_taken("sen", 1)

    def test_never(self):
        self.start(prove="never")
        self.gate.refusing = True
        before = self.enrolled()
        self.assertEqual(len(set(self.gate.client_keys)), 1, "one handshake")
        self.assertNotIn("in vain", self.s.daemon.log())
        self.gate.refused.clear()
        self.gate.refusing = True
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertNotEqual(self.s.show("gw")["certificate"]["serial"], before["serial"])

    def test_the_old_one_expires_meanwhile(self):
        self.start(life=9 * harness.PATIENCE, renew_at="50%")
        before = self.enrolled()
        self.gate.refusing = True
        shown = self.s.wait_serial("gw", before["serial"], 30)
        self.assertGreater(shown["issued_at"], before["issued_at"])
        self.assertEqual(self.gate.count("sren"), 1)
        self.assertEqual(self.gate.count("sen"), 1, "only the first")
        self.assertRegex(self.s.daemon.log(), "not put in force before it has been tried")
        self.assertRegex(self.s.daemon.log(), "put in force, since there is none that works")

    def test_a_candidate_that_is_broken(self):
        self.start()
        self.enrolled()
        self.gate.refusing = True
        self.s.estc("renew", "gw", "--force")
        self.gate.refusing = False
        (self.candidate / "cert.pem").write_bytes((self.s.dir / "birth.pem").read_bytes())
        done = self.s.estc("renew", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.gate.count("sren"), 2)
        self.assertTrue(self.candidate.with_name("candidate.foreign-1").is_symlink())
        self.assertRegex(self.s.daemon.log(), "candidate.*do not belong together")
        self.s.assert_consistent("gw")


if __name__ == "__main__":
    harness.main()
