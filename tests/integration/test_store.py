#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A state folder that is full, read-only or littered: nothing is lost, and it mends by itself."""
import os
import shutil
import subprocess

import harness

MOUNTS = harness.private_mounts()
needs_mounts = harness.unittest.skipUnless(MOUNTS, "needs root and mount namespaces")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


class Store(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])

    def enrolled(self):
        self.s.start_daemon()
        return self.s.wait_state("gw", "valid")["certificate"]

    def assert_failed_renewal(self, before, text):
        folder = self.s.current("gw").resolve()
        done = self.s.estc("renew", "gw", "--force")
        self.assertNotEqual(done.status, harness.DONE, done)
        self.assertIn(text, self.s.show("gw")["last_error"])
        self.assertEqual(self.s.show("gw")["certificate"], before)
        self.assertEqual(self.s.current("gw").resolve(), folder)
        self.s.assert_consistent("gw")
        self.assertIsNone(self.s.daemon.popen.poll())

    def assert_mended(self, before):
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotEqual(self.s.show("gw")["certificate"]["serial"], before["serial"])
        self.s.assert_consistent("gw")

    @needs_mounts
    def test_disk_full(self):
        self.s.state.mkdir()
        mount("-t", "tmpfs", "-o", "size=256k,mode=750", "tmpfs", self.s.state)
        before = self.enrolled()
        ballast = self.s.state / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        self.assert_failed_renewal(before, "disk full")
        ballast.unlink()
        self.assert_mended(before)

    @needs_mounts
    def test_disk_full_from_the_start(self):
        self.s.state.mkdir()
        mount("-t", "tmpfs", "-o", "size=64k,nr_inodes=40,mode=750", "tmpfs", self.s.state)
        ballast = self.s.state / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        self.s.start_daemon(ready=False)
        harness.wait_for(lambda: "disk full" in self.s.daemon.log(), "the log says why")
        self.assertEqual(self.s.daemon.popen.wait(10 * harness.PATIENCE), 1)
        ballast.unlink()
        self.s.start_daemon()
        self.s.wait_state("gw", "valid")

    @needs_mounts
    def test_read_only(self):
        before = self.enrolled()
        folder = self.s.state / "identities" / "gw"
        mount("--bind", folder, folder)
        mount("-o", "remount,bind,ro", folder)
        self.assert_failed_renewal(before, "read-only")
        mount("-o", "remount,bind,rw", folder)
        self.assert_mended(before)

    def test_foreign_files_in_the_way(self):
        """Whatever lies where a folder or link of ours should be is set aside, not used."""
        identity = self.s.state / "identities" / "gw"
        identity.mkdir(parents=True)
        (identity / "generations").write_text("not a folder")
        (identity / "pending").write_text("not a folder")
        self.enrolled()
        self.s.assert_consistent("gw")
        aside = sorted(p.name for p in identity.iterdir() if ".foreign-" in p.name)
        self.assertEqual([name.split(".")[0] for name in aside], ["generations", "pending"])
        self.assertEqual((identity / aside[0]).read_text(), "not a folder")
        self.assertIn("foreign-", self.s.daemon.log())

    def test_a_foreign_folder_named_current(self):
        """It is no certificate of ours: it gives way to one, and nothing in it is lost."""
        current = self.s.current("gw")
        current.mkdir(parents=True)
        (current / "precious.txt").write_text("keep me")
        self.enrolled()
        self.s.assert_consistent("gw")
        self.assertTrue(current.is_symlink())
        aside = current.with_name("current.foreign-1")
        self.assertEqual((aside / "precious.txt").read_text(), "keep me")
        self.assertIn(aside.name, self.s.daemon.log())

    def test_links_that_lead_away(self):
        target = self.s.dir / "elsewhere"
        target.mkdir()
        identity = self.s.state / "identities" / "gw"
        identity.mkdir(parents=True)
        (identity / "pending").symlink_to(target)
        (identity / "generations").symlink_to(target)
        self.enrolled()
        self.assertEqual(list(target.iterdir()), [], "nothing is written through a link")

    def test_a_half_written_generation(self):
        before = self.enrolled()
        self.s.daemon.stop()
        generations = self.s.state / "identities/gw/generations"
        newest = max(int(p.name) for p in generations.iterdir())
        half = generations / str(newest + 1)
        half.mkdir(mode=0o700)
        (half / "key.pem").write_text("-----BEGIN PRIV")
        os.chmod(half / "key.pem", 0o600)
        (generations / ".estc-tmp-12345").mkdir()
        (self.s.state / "identities/gw/.estc-tmp-9").symlink_to("generations/99")
        self.s.start_daemon()
        self.assertEqual(self.s.show("gw")["certificate"], before)
        self.assert_mended(before)
        identity = self.s.state / "identities/gw"
        self.assertEqual([p for p in identity.rglob(".estc-tmp-*")], [])
        self.assertNotEqual(self.s.current("gw").resolve(), half.resolve(), "it is never used")

    def test_pending_files_that_are_garbage(self):
        self.s.start_daemon()
        before = self.s.wait_state("gw", "valid")["certificate"]
        self.s.daemon.stop()
        pending = self.s.state / "identities/gw/pending"
        pending.mkdir(exist_ok=True)
        (pending / "key.pem").write_bytes(b"\0\xff" * 100)
        (pending / "request.json").write_text('{"op": "sen", "csr": [')
        self.s.start_daemon()
        self.assert_mended(before)

    def test_facts_that_are_garbage(self):
        """The manager takes facts.json as hostile; the worker makes it good."""
        for text in ("", "[]", '{"not_after": "soon"}', '{"a":' * 500, "\0" * 100, "x" * 1000000):
            with self.subTest(text=text[:20]):
                before = self.enrolled()
                self.s.daemon.stop()
                (self.s.current("gw") / "facts.json").write_text(text)
                self.s.start_daemon()
                self.assertIn(self.s.show("gw")["state"], ("config", "working", "failing", "valid",
                                                           "new"))
                done = self.s.estc("enroll", "gw", "--force")
                self.assertEqual(done.status, harness.DONE, done)
                self.assertNotEqual(self.s.show("gw")["certificate"]["serial"], before["serial"])
                self.s.daemon.stop()

    def test_key_that_became_readable(self):
        self.enrolled()
        (self.s.current("gw") / "key.pem").chmod(0o644)
        self.s.daemon.stop()
        self.s.start_daemon()
        shown = self.s.wait_state("gw", "config")
        self.assertIn("key.pem", shown["last_error"])
        (self.s.current("gw").resolve() / "key.pem").chmod(0o600)
        self.s.wait_state("gw", "valid")

    def test_newer_format_is_refused(self):
        self.s.state.mkdir(mode=0o750)
        (self.s.state / "format").write_text("2\n")
        self.s.start_daemon(ready=False)
        self.assertNotEqual(self.s.daemon.wait_exit(), 0)
        self.assertIn("layout 2", self.s.daemon.log())
        self.assertEqual((self.s.state / "format").read_text(), "2\n")

    def test_one_daemon_at_a_time(self):
        self.enrolled()
        second = self.s.dir / "second.conf"
        second.write_text(self.s.conf.read_text().replace(str(self.s.socket),
                                                          str(self.s.dir / "other")))
        done = harness.run(harness.ESTCD, "-c", second)
        self.assertNotEqual(done.status, 0)
        self.assertIn(str(self.s.state), done.err)
        self.assertEqual(self.s.show("gw")["state"], "valid")

    def test_the_state_folder_is_removed_under_it(self):
        before = self.enrolled()
        shutil.rmtree(self.s.state)
        done = self.s.estc("enroll", "gw", "--force")
        self.assertIsNone(self.s.daemon.popen.poll(), done)
        if done.status != harness.DONE:
            self.s.daemon.stop()
            self.s.start_daemon()
        self.s.wait_state("gw", "valid")
        self.assertNotEqual(self.s.show("gw")["certificate"]["serial"], before["serial"])


if __name__ == "__main__":
    harness.main()
