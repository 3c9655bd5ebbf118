#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Files of an identity that are missing or unfit: state `config` for that one, all others run."""
import os
import shutil

import harness
import pki


class IdentityFiles(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        cls.birth = site.device("gateway-1")
        cls.folder = site.dir / "files"
        cls.folder.mkdir()
        other_key, _ = pki.Authority("x").leaf("x")

        def copy(name):
            files = {part: cls.folder / f"{name}.{part}" for part in ("certificate", "key", "trust")}
            shutil.copy(cls.birth["certificate"], files["certificate"])
            shutil.copy(cls.birth["key"], files["key"])
            shutil.copy(site.site / "trust.pem", files["trust"])
            files["key"].chmod(0o600)
            return files

        # name -> (what breaks it, what the text must say)
        def replace_key(files):
            pki.write_key(files["key"], other_key)

        def encrypt(files):
            harness.run("openssl", "pkey", "-in", cls.birth["key"], "-aes256", "-passout",
                        "pass:secret", "-out", files["key"])
            files["key"].chmod(0o600)

        cls.cases = {
            "no-key": (lambda f: f["key"].unlink(), "no-key.key.*no such file"),
            "no-cert": (lambda f: f["certificate"].unlink(), "no-cert.certificate.*no such file"),
            "no-trust": (lambda f: f["trust"].unlink(), "no-trust.trust.*no such file"),
            "no-pair": (replace_key, "no-pair.*(match|belong|pair)"),
            "group-key": (lambda f: f["key"].chmod(0o640), "group-key.key.*chmod 600"),
            "world-key": (lambda f: f["key"].chmod(0o604), "world-key.key.*chmod 600"),
            "garbage-key": (lambda f: f["key"].write_text("hello"), "garbage-key.key"),
            "encrypted": (encrypt, "encrypted.key"),
            "empty-trust": (lambda f: f["trust"].write_text(""), "empty-trust.trust"),
            "a-folder": (lambda f: (f["key"].unlink(), f["key"].mkdir()), "a-folder.key"),
            "a-pipe": (lambda f: (f["trust"].unlink(), os.mkfifo(f["trust"])), "a-pipe.trust"),
        }
        cls.files, identities = {}, [site.identity("healthy")]
        for name, (break_it, _) in cls.cases.items():
            files = cls.files[name] = copy(name)
            break_it(files)
            identities.append(site.identity(
                name, trust=str(files["trust"]), subject=f"CN=gateway-1-{name}",
                birth={"certificate": str(files["certificate"]), "key": str(files["key"])}))
        site.write_config(identities)
        site.start_daemon()

    def test_1_each_is_named_and_the_others_run(self):
        self.shared.wait_state("healthy", "valid")
        for name, (_, text) in self.cases.items():
            with self.subTest(name=name):
                shown = self.shared.wait_state(name, "config")
                self.assertEqual(shown["exit_code"], harness.BAD_CONFIG)
                self.assertRegex(shown["last_error"], text)
                self.assertEqual(self.shared.estc("show", name).status, harness.DONE)

    def test_2_check_reports_them(self):
        checked = self.shared.check()
        self.assertEqual(checked.status, harness.CONFIG_TEXT, checked)
        for name, (_, text) in self.cases.items():
            with self.subTest(name=name):
                self.assertRegex(checked.err, text)
        self.assertNotIn("healthy", checked.err)

    def test_3_enroll_says_so(self):
        done = self.shared.estc("enroll", "no-key")
        self.assertEqual(done.status, harness.BAD_CONFIG, done)
        self.assertRegex(done.err, "no-key.key")

    def test_4_mended_files_are_seen_without_a_restart(self):
        for name in ("group-key", "no-pair", "no-cert"):
            files = self.files[name]
            shutil.copy(self.birth["key"], files["key"])
            files["key"].chmod(0o600)
            shutil.copy(self.birth["certificate"], files["certificate"])
        for name in ("group-key", "no-pair", "no-cert"):
            with self.subTest(name=name):
                self.shared.wait_state(name, "valid")


class UnreadableKey(harness.TestCase):
    @harness.needs_root
    def test_a_key_of_somebody_else(self):
        """The daemon as an ordinary user, the key root's own."""
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        public = site.dir / "public"
        public.mkdir()
        shutil.copy(site.device("gateway-1")["certificate"], public / "cert.pem")
        shutil.copy(site.site / "trust.pem", public / "trust.pem")
        shutil.copy(site.device("gateway-1")["key"], public / "key.pem")
        for name in ("cert.pem", "trust.pem"):
            (public / name).chmod(0o644)
        (public / "key.pem").chmod(0o600)
        user = harness.nobody()
        run = site.dir / "run"
        run.mkdir()
        os.chown(run, *user)
        site.state, site.socket = run / "state", run / "control"
        site.write_config([site.identity("gw", trust=str(public / "trust.pem"), birth={
            "certificate": str(public / "cert.pem"), "key": str(public / "key.pem")})])
        site.start_daemon(user=user)
        shown = site.wait_state("gw", "config")
        self.assertRegex(shown["last_error"], "public/key.pem.*permission denied")
        os.chown(public / "key.pem", *user)
        site.wait_state("gw", "valid")


if __name__ == "__main__":
    harness.main()
