#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar ca renew and rollover, as their output says, with devices that were there or away."""
import pathlib
import shutil

from cryptography.hazmat.primitives.asymmetric import ec

import harness
import pki

class Rollover(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        self.conf = self.s.site / "est-registrar.conf"

    def ca(self, *arguments, status=harness.DONE):
        done = harness.run(harness.REGISTRAR, "ca", *arguments)
        self.assertEqual(done.status, status, done)
        return done

    def replace(self, names):
        """Names other files in the configuration, and starts the registrar anew."""
        text = self.conf.read_text()
        for old, new in names.items():
            self.assertIn(f'"{old}"', text)
            text = text.replace(f'"{old}"', f'"{new}"')
        self.conf.write_text(text)
        self.s.registrar.stop()
        self.s.start_registrar()

    def anchors(self, name):
        return [anchor["sha256"] for anchor in self.s.show(name)["trust"]["anchors"]]

    def renew(self, name):
        done = self.s.estc("renew", name, "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.s.assert_consistent(name)

    def devices(self):
        self.s.start_registrar()
        self.s.write_config([
            self.s.identity("here"),
            self.s.identity("away", birth=self.s.device("gateway-2"), subject="CN=gateway-2-away")])
        self.s.start_daemon()
        for name in ("here", "away"):
            self.s.wait_state(name, "valid")

    def sha256(self, path):
        cert, = pki.load_certs(self.s.site / path)
        return pki.fingerprint(cert).split(":")[1].upper()

    def verify(self, trust, untrusted, leaf):
        return harness.run("openssl", "verify", "-x509_strict", "-CAfile", self.s.site / trust,
                           "-untrusted", untrusted, leaf)

    def test_c05_x05_a_root_rolls_over(self):
        self.devices()
        before = {path: path.read_bytes() for path in self.s.site.rglob("*.key")}
        done = self.ca("rollover", self.s.site)
        for text in ("offline/root-2.key", 'certificate = "server/cert-2.pem"',
                     'certificate = "ca/issuing-2.pem"; chain = "ca/chain-2.pem"'):
            self.assertIn(text, done.out)
        self.assertEqual({path: path.read_bytes() for path in before}, before)
        self.assertEqual((self.s.site / "offline/root-2.key").stat().st_mode & 0o777, 0o600)
        # Either root leads to the server, in openssl's opinion, with what the server sends.
        leaf = pki.write_certs(self.s.dir / "leaf.pem",
                               pki.load_certs(self.s.site / "server/cert-2.pem")[0])
        for trust in ("trust.pem", "trust-2.pem"):
            verified = self.verify(trust, self.s.site / "server/cert-2.pem", leaf)
            self.assertEqual(verified.status, 0, (trust, verified))
        old, new = self.sha256("ca/root.pem"), self.sha256("ca/root-2.pem")
        # At first the server shows what it had; who is there learns the new root.
        self.replace({"ca/issuing.pem": "ca/issuing-2.pem", "ca/root.pem": "ca/chain-2.pem"})
        self.renew("here")
        self.assertEqual((self.anchors("here"), self.anchors("away")), ([new], [old]))
        # Then it shows the new one; who was away gets there, too.
        self.replace({"server/cert.pem": "server/cert-2.pem"})
        for name in ("here", "away"):
            self.renew(name)
            self.assertEqual(self.anchors(name), [new])
        # A device that knows nothing but the new root.
        self.s.write_config([self.s.identity("new", subject="CN=gateway-1-new",
                                             trust=str(self.s.site / "trust-2.pem"))])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.s.wait_state("new", "valid")

    def test_it_goes_on_from_the_last_one(self):
        self.ca("rollover", self.s.site)
        safe = pathlib.Path(shutil.move(self.s.site / "offline/root-2.key", self.s.dir / "safe.key"))
        done = self.ca("rollover", self.s.site, status=harness.FAILED)
        self.assertIn("without --root-key: ", done.err)
        self.assertIn("root.key", done.err)
        self.assertFalse((self.s.site / "ca/root-3.pem").exists())
        self.ca("rollover", self.s.site, "--root-key", safe)
        chain = pki.load_certs(self.s.site / "ca/chain-3.pem")
        self.assertEqual(len(chain), 4)
        self.assertEqual(chain[0], pki.load_certs(self.s.site / "ca/root-2.pem")[0])
        self.assertEqual(chain[3], pki.load_certs(self.s.site / "ca/root-3.pem")[0])
        # A renewal of the issuing CA after it keeps the way from the old root.
        self.ca("renew", self.s.site)
        self.assertEqual(pki.load_certs(self.s.site / "server/cert-4.pem")[2], chain[2])
        for certificate, issuer in ((chain[1], chain[3]), (chain[2], chain[0])):
            issuer.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                       ec.ECDSA(certificate.signature_hash_algorithm))

    def test_half_of_it_is_in_nobodys_way(self):
        key = self.s.site / "offline/root-2.key"
        key.write_text("precious")
        done = self.ca("rollover", self.s.site, status=harness.FAILED)
        self.assertIn("offline/root-2.key", done.err)
        self.assertEqual(key.read_text(), "precious")
        self.assertFalse((self.s.site / "ca/root-2.pem").exists())

    def test_the_issuing_ca_is_renewed(self):
        self.devices()
        old = self.sha256("ca/root.pem")
        done = self.ca("renew", self.s.site, "--root-key", self.s.site / "offline/root.key")
        self.assertNotIn("chain", done.out)
        first, = pki.load_certs(self.s.site / "ca/issuing.pem")
        second, = pki.load_certs(self.s.site / "ca/issuing-2.pem")
        self.assertEqual(first.public_key().public_numbers(), second.public_key().public_numbers())
        self.assertEqual(first.subject, second.subject)
        self.assertGreaterEqual(second.not_valid_after, first.not_valid_after)
        self.replace({"ca/issuing.pem": "ca/issuing-2.pem", "server/cert.pem": "server/cert-2.pem"})
        for name in ("here", "away"):
            self.renew(name)
            self.assertEqual(self.anchors(name), [old])

    def test_wrong_usage(self):
        for arguments in ((), ("renew",), ("revolve", "x"), ("renew", "a", "b"),
                          ("renew", "x", "--bad")):
            self.ca(*arguments, status=harness.BAD_USAGE)
        self.assertIn("offline/root.key", self.ca("renew", self.s.dir, status=harness.FAILED).err)


if __name__ == "__main__":
    harness.main()
