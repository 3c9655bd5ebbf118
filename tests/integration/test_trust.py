#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whom the daemon believes: two sets of anchors, a CA that changes its key, and fingerprints."""
import shutil

import harness
import pki
import rogue
from cryptography import x509

HERE = ("localhost", "127.0.0.1")
CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")
RA = (pki.ExtendedKeyUsageOID.SERVER_AUTH, CMC_RA)


def sha256(cert):
    return pki.fingerprint(cert).split(":")[1].upper()


class Scene(harness.TestCase):
    """A daemon and a server that a test can make into another one, on the same port."""

    def scene(self, **settings):
        site = self.site()
        site.ca, _ = rogue.authority(site)
        site.stranger = pki.Authority("Somebody else's root")
        self.serve(site, site.ca)
        site.entry = rogue.identity(site, "gw", site.server.port, **{"obey": ["none"], **settings})
        site.write_config([site.entry])
        return site

    def serve(self, site, issuer, *, sans=HERE, usages=None, crts=None, chain=(), answer=None):
        """The server from now on: its certificate from issuer, its /crts, what it issues."""
        options = {} if usages is None else {"usages": usages}
        key, cert = issuer.leaf("server", sans, **options)
        behaviours = {"": lambda asked: self.honest(site, asked)}
        site.crts = [site.ca.cert] if crts is None else crts
        site.answer = answer
        old = getattr(site, "server", None)
        if old is None:
            site.server = rogue.Server(site.ca, key, [cert, *chain], behaviours)
            self.addCleanup(lambda: site.server.close())
            return
        # The same socket goes on: an address that a client knows.
        fresh = rogue.dtls.context(rogue.SSL.DTLS_SERVER_METHOD, key, [cert, *chain])
        old.context = fresh
        old.sessions.clear()
        old.requests.clear()
        old.hellos.clear()

    @staticmethod
    def honest(site, asked):
        if asked.op == "crts" and site.answer is not None:
            return site.answer
        if asked.op == "crts":
            return rogue.Answer(205, pki.certs_only(*site.crts))
        return rogue.honest(asked)

    def renew(self, site, status):
        done = site.estc("renew", "gw", "--force", "--json")
        self.assertEqual(done.status, status, done)
        return site.show("gw")

    def started(self, **settings):
        site = self.scene(**settings)
        site.start_daemon()
        shown = site.wait_state("gw", "valid")
        return site, shown

    @staticmethod
    def trust_folder(site):
        return site.state / "identities/gw/trust"


class Anchors(Scene):

    def test_c09_x01_the_anchors_are_kept_and_shown(self):
        site, shown = self.started()
        trust = shown["trust"]
        self.assertEqual(trust["origin"], "file")
        self.assertEqual(trust["url"], site.entry["url"])
        anchor, = trust["anchors"]
        self.assertEqual(anchor["sha256"], sha256(site.ca.cert))
        self.assertEqual(trust["until"],
                         site.ca.cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"))
        kept, = pki.load_certs(self.trust_folder(site) / "current/anchors.pem")
        self.assertEqual(kept, site.ca.cert)
        text = site.estc("show", "gw").out
        self.assertIn("by the configured anchors", text)
        self.assertIn(sha256(site.ca.cert), text)
        # The same set again is no new one.
        after = self.renew(site, harness.DONE)
        self.assertEqual(after["trust"], trust)

    def test_s02_s03_x02_a_registration_authority_passes_by_explicit_anchors_alone(self):
        site = self.scene()
        self.serve(site, site.ca, sans=["ra.example"], usages=RA)
        site.start_daemon()
        site.wait_state("gw", "failing")
        self.assertIn("is for DNS:ra.example, not for 'localhost'", site.show("gw")["last_error"])
        self.serve(site, site.ca)
        done = site.estc("enroll", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.serve(site, site.ca, sans=["ra.example"], usages=RA)
        self.renew(site, harness.DONE)
        # Without the mark the name is all that counts.
        self.serve(site, site.ca, sans=["ra.example"])
        shown = self.renew(site, harness.FAILED)
        self.assertEqual(shown["last_result"], "untrusted")

    def test_x03_implicit_anchors_count_no_more(self):
        both = self.scene()
        pki.write_certs(both.dir / "trust.pem", both.ca.cert, both.stranger.cert)
        both.start_daemon()
        both.wait_state("gw", "valid")
        self.serve(both, both.stranger)
        shown = self.renew(both, harness.FAILED)
        self.assertEqual(shown["last_result"], "untrusted")
        self.assertEqual(both.server.requests, [])
        self.assertEqual(shown["trust"]["anchors"][0]["sha256"], sha256(both.ca.cert))

    def test_x01_implicit_anchors_may_stay(self):
        site = self.scene(implicit_trust="always")
        pki.write_certs(site.dir / "trust.pem", site.ca.cert, site.stranger.cert)
        site.start_daemon()
        site.wait_state("gw", "valid")
        # Another CA altogether, of whose server the configuration knows.
        site.server.authority = site.ca = site.stranger
        self.serve(site, site.stranger)
        shown = self.renew(site, harness.DONE)
        self.assertEqual(shown["trust"]["anchors"][0]["sha256"], sha256(site.stranger.cert))
        self.assertEqual(shown["trust"]["origin"], "file")

    def test_x01_explicit_anchors_by_configuration(self):
        site = self.scene(implicit_trust="never")
        self.serve(site, site.ca, sans=["ra.example"], usages=RA)
        site.start_daemon()
        site.wait_state("gw", "valid")

    def test_s01_a_stranger_gets_no_request(self):
        site = self.scene()
        self.serve(site, site.stranger)
        site.start_daemon()
        site.wait_state("gw", "failing")
        self.assertEqual(site.server.requests, [])
        self.assertFalse((self.trust_folder(site) / "current").exists())

    def test_c07_x04_a_set_by_which_the_server_does_not_pass_is_not_taken(self):
        site, shown = self.started()
        self.serve(site, site.ca, crts=[site.stranger.cert])
        after = self.renew(site, harness.FAILED)
        self.assertEqual(after["last_result"], "untrusted")
        self.assertIn("by the CA certificates that the server itself sent", after["last_error"])
        self.assertEqual(after["trust"], shown["trust"])
        self.assertEqual(after["certificate"], shown["certificate"])
        self.assertEqual([op for op, _ in site.server.requests if op != "core"], ["crts"])
        self.serve(site, site.ca)
        self.renew(site, harness.DONE)

    def test_c11_x05_a_crts_that_fails_changes_nothing(self):
        site, shown = self.started()
        vector = harness.ROOT / "tests/vectors/7030-A1-cacerts-response.p7.der"
        for answer in (rogue.Answer(404, b"gone", None), rogue.Answer(503, b"", None),
                       rogue.Answer(205, b"garbage"), rogue.Answer(205, b""),
                       rogue.Answer(205, pki.certs_only()),
                       rogue.Answer(205, vector.read_bytes())):
            with self.subTest(answer=answer.code, size=len(answer.payload)):
                self.serve(site, site.ca, answer=answer)
                after = self.renew(site, harness.REJECTED if answer.code == 404
                                   else harness.FAILED)
                self.assertEqual(after["trust"], shown["trust"])
                self.assertEqual(after["certificate"], shown["certificate"])
                self.assertEqual([op for op, _ in site.server.requests if op != "core"], ["crts"])
        self.serve(site, site.ca)
        self.renew(site, harness.DONE)

    def test_x05_another_configured_trust_counts_again(self):
        site, _ = self.started()
        site.ca = site.server.authority = site.stranger
        self.serve(site, site.stranger)
        self.renew(site, harness.FAILED)  # missed for good
        pki.write_certs(site.dir / "trust.pem", site.stranger.cert)
        done = site.estc("enroll", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("the configuration trusts something else", site.daemon.log())
        self.assertEqual(site.show("gw")["trust"]["anchors"][0]["sha256"],
                         sha256(site.stranger.cert))

    def test_x05_the_folder_removed_begins_anew(self):
        site, _ = self.started()
        broken = self.trust_folder(site) / "current/anchors.pem"
        broken.write_text("nothing\n")
        shown = self.renew(site, harness.BAD_CONFIG)
        self.assertIn("remove the folder", shown["last_error"])
        shutil.rmtree(self.trust_folder(site))
        shown = self.renew(site, harness.DONE)
        self.assertEqual(shown["trust"]["origin"], "file")

    def test_e15_an_issued_certificate_that_does_not_chain_has_crts_asked_again(self):
        site, shown = self.started()
        roll = pki.Rollover("Another root")
        site.server.authority = roll.new  # issues with a key that /crts does not know
        site.server.requests.clear()
        after = self.renew(site, harness.FAILED)
        self.assertEqual(after["certificate"], shown["certificate"])
        self.assertEqual([op for op, _ in site.server.requests if op != "core"],
                         ["crts", "sren", "crts"])


class Rollovers(Scene):
    """RFC 4210 section 4.4."""

    def rolled(self):
        site = self.scene()
        site.roll = pki.Rollover()
        site.ca = site.server.authority = site.roll.old
        pki.write_certs(site.dir / "trust.pem", site.roll.old.cert)
        self.serve(site, site.roll.old)
        site.start_daemon()
        site.wait_state("gw", "valid")
        return site

    def assert_new(self, site, shown, origin="explicit"):
        anchor, = shown["trust"]["anchors"]
        self.assertEqual(anchor["sha256"], sha256(site.roll.new.cert))
        self.assertEqual(shown["trust"]["origin"], origin)
        helpers = pki.load_certs(self.trust_folder(site) / "current/helpers.pem")
        self.assertIn(site.roll.old_with_new, helpers)

    def test_c05_c06_x05_a_rollover_while_it_runs(self):
        site = self.rolled()
        # First the server goes on with the old key, and then it has a certificate of the new one.
        self.serve(site, site.roll.old, crts=site.roll.all)
        site.server.authority = site.roll.new
        self.assert_new(site, self.renew(site, harness.DONE))
        self.serve(site, site.roll.old, crts=site.roll.all)
        self.renew(site, harness.DONE)  # still the old key, by OldWithNew
        self.serve(site, site.roll.new, crts=site.roll.all)
        self.renew(site, harness.DONE)
        site.assert_consistent("gw")

    def test_x03_the_anchor_in_force_is_announced(self):
        site = self.rolled()
        self.assertNotIn(3, site.server.hellos[0].extensions)  # implicit anchors are not
        self.serve(site, site.roll.old, crts=site.roll.all)
        site.server.authority = site.roll.new
        for root in (site.roll.old, site.roll.new):
            site.server.hellos.clear()
            self.renew(site, harness.DONE)
            digest = root.cert.fingerprint(pki.hashes.SHA1())
            self.assertEqual(site.server.hellos[0].extensions[3],
                             b"\x00\x15\x03" + digest)

    def test_x05_a_rollover_while_it_was_away(self):
        site = self.rolled()
        site.server.authority = site.roll.new
        # Without NewWithOld there is no way to the new key.
        self.serve(site, site.roll.new, crts=site.roll.all)
        shown = self.renew(site, harness.FAILED)
        self.assertEqual(shown["last_result"], "untrusted")
        self.assertEqual(shown["trust"]["anchors"][0]["sha256"], sha256(site.roll.old.cert))
        self.serve(site, site.roll.new, crts=site.roll.all, chain=[site.roll.new_with_old])
        self.assert_new(site, self.renew(site, harness.DONE))


class Fingerprints(Scene):

    def bootstrap(self, fingerprint, **settings):
        return self.scene(trust=None, fingerprint=fingerprint, **settings)

    def test_s05_s06_the_right_fingerprint(self):
        site = self.scene(trust=None)
        for kind in ("SHA256", "SHA512"):
            with self.subTest(kind=kind):
                site.entry["fingerprint"] = pki.fingerprint(site.ca.cert, kind)
                site.write_config([site.entry])
                shutil.rmtree(site.state, ignore_errors=True)
                site.server.requests.clear()
                site.server.sessions.clear()
                site.start_daemon()
                shown = site.wait_state("gw", "valid")
                self.assertEqual(shown["trust"]["origin"], "fingerprint")
                operations = [op for op, _ in site.server.requests if op != "core"]
                self.assertEqual(operations, ["crts", "crts", "sen"])
                # Two connections: what was asked on the first one is all that was asked there.
                first, second = list(site.server.sessions.values())[:2]
                asked = {id(s): [m.path[-1] for t, m in site.server.messages if t is s]
                         for s in (first, second)}
                self.assertEqual(set(asked[id(first)]), {"crts"})
                self.assertIn("sen", asked[id(second)])
                self.assertIn("by the configured fingerprint", site.estc("show", "gw").out)
                # Explicit from now on: no bootstrap again.
                site.server.requests.clear()
                self.renew(site, harness.DONE)
                operations = [op for op, _ in site.server.requests if op != "core"]
                self.assertEqual(operations, ["crts", "sren"])
                site.daemon.stop()

    def test_s05_the_wrong_fingerprint(self):
        site = self.bootstrap("SHA256:" + "5a" * 32)
        site.start_daemon()
        shown = site.wait_state("gw", "failing")
        self.assertEqual(shown["last_result"], "untrusted")
        self.assertIn("has the configured fingerprint", shown["last_error"])
        self.assertEqual({op for op, _ in site.server.requests}, {"crts"})
        self.assertFalse((self.trust_folder(site) / "current").exists())

    def test_s06_a_man_in_the_middle_has_the_certificate_but_not_the_key(self):
        """It hands out the right root; the new connection finds it out."""
        site = self.scene(trust=None)
        site.entry["fingerprint"] = pki.fingerprint(site.ca.cert)
        site.write_config([site.entry])
        self.serve(site, site.stranger)
        site.start_daemon()
        shown = site.wait_state("gw", "failing")
        self.assertEqual(shown["last_result"], "untrusted")
        self.assertEqual([op for op, _ in site.server.requests], ["crts"])


class Keys(harness.TestCase):
    """What a renewal does with the key, against the real registrar."""

    def test_e12_a_renewal_that_keeps_the_key(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw", rekey=False)])
        site.start_daemon()
        serials = {site.wait_state("gw", "valid")["certificate"]["serial"]}
        key = (site.current("gw") / "key.pem").read_bytes()
        for _ in range(3):
            done = site.estc("renew", "gw", "--force", "--json")
            self.assertEqual(done.status, harness.DONE, done)
            serials.add(site.show("gw")["certificate"]["serial"])
            self.assertEqual((site.current("gw") / "key.pem").read_bytes(), key)
            site.assert_consistent("gw")
        self.assertEqual(len(serials), 4)  # a later renewal is no repeated request


class Registrar(harness.TestCase):
    """The real registrar with a CA that gets another key."""

    def test_c04_c05_x06_the_registrar_rolls_over(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        roll = pki.Rollover()
        folder = site.site
        for name, authority in (("old", roll.old), ("new", roll.new)):
            pki.write_key(folder / f"{name}.key", authority.key)
            pki.write_certs(folder / f"{name}.pem", authority.cert)
        pki.write_certs(folder / "all.pem", *roll.all)
        pki.write_certs(folder / "trust.pem", roll.old.cert)
        conf = folder / "est-registrar.conf"
        template = conf.read_text()

        def configure(ca, server, sent=(), **more):
            key, cert = server.leaf("server", HERE)
            pki.write_key(folder / "server/key.pem", key)
            pki.write_certs(folder / "server/cert.pem", cert, *sent)
            settings = {"certificate": f"{ca}.pem", "key": f"{ca}.key", **more}
            begin = template.index("ca = {")
            end = template.index("};", begin) + 2
            conf.write_text(template[:begin] + f"ca = {harness.libconfig(settings)};" +
                            template[end:])
            if site.registrar:
                site.registrar.stop()
            site.start_registrar()

        configure("old", roll.old)
        site.write_config([site.identity("here"), site.identity("away")])
        site.start_daemon()
        for name in ("here", "away"):
            self.assertEqual(site.wait_state(name, "valid")["trust"]["anchors"][0]["sha256"],
                             sha256(roll.old.cert))
        configure("new", roll.old, chain="all.pem", previous="old.pem")
        done = site.estc("renew", "here", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        configure("new", roll.new, [roll.new_with_old], chain="all.pem", previous="old.pem")
        for name in ("here", "away"):
            done = site.estc("renew", name, "--force")
            self.assertEqual(done.status, harness.DONE, done)
            shown = site.show(name)
            self.assertEqual(shown["trust"]["anchors"][0]["sha256"], sha256(roll.new.cert))
            self.assertEqual(shown["trust"]["origin"], "explicit")
            site.assert_consistent(name)


if __name__ == "__main__":
    harness.main()
