#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The main job: from a configuration file to certificates on disk, and renewals without anybody."""
import os
import pathlib
import stat

import harness
import pki

FILES = {"key.pem": 0o600, "combined.pem": 0o600, "cert.pem": None, "chain.pem": None,
         "fullchain.pem": None, "cacerts.pem": None}


class Enroll(harness.ClassSite):
    """Two identities that live long."""

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([
            site.identity("gw-mqtt"),
            site.identity("gw-opcua", key_type="p384", subject_alt_names=["DNS:gateway-1"])])
        site.start_daemon()
        for name in ("gw-mqtt", "gw-opcua"):
            site.wait_state(name, "valid")

    def test_the_daemon_enrols_by_itself(self):
        for name in ("gw-mqtt", "gw-opcua"):
            with self.subTest(name=name):
                shown = self.shared.show(name)
                self.assertEqual(shown["last_result"], "ok")
                self.assertEqual(shown["exit_code"], harness.DONE)
                self.assertEqual(shown["next_action"], "renew")
                self.shared.assert_consistent(name)

    def test_openssl_agrees_with_what_is_shown(self):
        cert, = pki.load_certs(self.shared.current("gw-opcua") / "cert.pem")
        shown = self.shared.show("gw-opcua")["certificate"]
        self.assertEqual(int(shown["serial"], 16), cert.serial_number)
        self.assertEqual(shown["not_after"], cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.assertEqual(shown["key_type"], "p384")
        self.assertEqual(shown["sans"], ["DNS:gateway-1"])

    def test_the_registrar_marks_no_ca(self):
        text = harness.run("openssl", "x509", "-in", self.shared.current("gw-mqtt") / "cert.pem",
                           "-noout", "-text").out
        self.assertIn("CA:FALSE", text)
        self.assertIn("TLS Web Client Authentication", text)
        self.assertNotIn("1.3.6.1.5.5.7.3.28", text)

    def test_files_and_modes(self):
        folder = self.shared.current("gw-mqtt").resolve()
        for name, mode in FILES.items():
            with self.subTest(name=name):
                found = stat.S_IMODE((folder / name).stat().st_mode)
                if mode is None:
                    self.assertEqual(found & 0o133, 0, oct(found))
                else:
                    self.assertEqual(found, mode, oct(found))
        self.assertTrue(os.readlink(self.shared.current("gw-mqtt")).startswith("generations/"))
        read = {name: (folder / name).read_bytes() for name in FILES}
        self.assertEqual(read["fullchain.pem"], read["cert.pem"] + read["chain.pem"])
        self.assertIn(read["key.pem"], read["combined.pem"])
        self.assertIn(read["fullchain.pem"], read["combined.pem"])

    def test_no_key_is_readable_by_others_anywhere(self):
        for folder in (self.shared.state, self.shared.site):
            for file in pathlib.Path(folder).rglob("*"):
                if file.is_file() and b"PRIVATE KEY" in file.read_bytes():
                    self.assertEqual(file.stat().st_mode & 0o077, 0, file)

    def test_enrolling_what_is_valid_says_so(self):
        before = self.shared.show("gw-mqtt")["certificate"]
        done = self.shared.estc("enroll", "gw-mqtt")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("--force", done.out + done.err)
        self.assertEqual(self.shared.show("gw-mqtt")["certificate"], before)

    def test_renewing_what_is_not_due_says_so(self):
        done = self.shared.estc("renew", "gw-mqtt")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("--force", done.out + done.err)

    def test_renewing_by_force_keeps_names_and_changes_the_key(self):
        before = self.shared.show("gw-opcua")["certificate"]
        key = (self.shared.current("gw-opcua") / "key.pem").read_bytes()
        done = self.shared.estc("renew", "gw-opcua", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        after = self.shared.show("gw-opcua")["certificate"]
        self.assertNotEqual(after["serial"], before["serial"])
        for same in ("subject", "sans", "issuer", "key_type"):
            self.assertEqual(after[same], before[same])
        self.assertNotEqual((self.shared.current("gw-opcua") / "key.pem").read_bytes(), key)
        self.shared.assert_consistent("gw-opcua")

    def test_cacerts_prints_the_anchors(self):
        done = self.shared.estc("cacerts", "gw-mqtt")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(done.out, (self.shared.current("gw-mqtt") / "cacerts.pem").read_text())


class Renewal(harness.TestCase):
    """Certificates that live for seconds."""

    def test_renews_by_itself_again_and_again(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1", "--lifetime", "12s")
        site.start_registrar()
        site.write_config([site.identity("gw", renew_at="30%")])
        site.start_daemon()
        site.wait_state("gw", "valid")
        serials = [site.show("gw")["certificate"]["serial"]]
        for _ in range(2):
            serials.append(site.wait_serial("gw", serials[-1], 20)["serial"])
            site.assert_consistent("gw")
        self.assertEqual(len(set(serials)), 3)
        generations = sorted(int(p.name) for p in (site.state / "identities/gw/generations").iterdir())
        self.assertLessEqual(len(generations), 3)
        self.assertEqual(site.current("gw").resolve().name, str(generations[-1]))

    def test_an_expired_certificate_is_replaced_through_the_birth_certificate(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1", "--lifetime", "5s")
        site.start_registrar()
        site.write_config([site.identity("gw")])
        site.start_daemon()
        old = site.wait_state("gw", "valid")["certificate"]["serial"]
        self.assertEqual(site.daemon.stop(), 0)
        cert, = pki.load_certs(site.current("gw") / "cert.pem")
        harness.wait_for(lambda: pki.now() > cert.not_valid_after, "the certificate has run out")
        site.start_daemon()
        site.wait_serial("gw", old, 20)
        site.wait_state("gw", "valid")

    def test_a_registrar_that_comes_back(self):
        """Unreachable at first; the daemon goes on by itself, within its back-off."""
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.write_config([site.identity("gw", attempt_timeout="10s")])
        site.start_daemon()
        site.wait_state("gw", "failing")
        done = site.estc("enroll", "gw")
        self.assertEqual(done.status, harness.UNREACHABLE, done)
        site.start_registrar()
        done = site.estc("enroll", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(site.show("gw")["failures"], 0)
        site.assert_consistent("gw")

    def test_a_restart_changes_nothing(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw")])
        site.start_daemon()
        before = site.wait_state("gw", "valid")
        self.assertEqual(site.daemon.stop(), 0)
        site.start_daemon()
        after = site.show("gw")
        self.assertEqual(after["state"], "valid")
        for same in ("certificate", "next_due", "next_action"):
            self.assertEqual(after[same], before[same])

    def test_a_changed_request_is_enrolled_anew(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw")])
        site.start_daemon()
        old = site.wait_state("gw", "valid")["certificate"]["serial"]
        site.write_config([site.identity("gw", key_type="p384")])
        self.assertEqual(site.estc("reload").status, harness.DONE)
        self.assertEqual(site.wait_serial("gw", old)["key_type"], "p384")


if __name__ == "__main__":
    harness.main()
