#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's user in somebody else's hand: estcd-deploy, as root, reads nothing of root's for him,
runs nothing, and ends in time, whatever lies in the state folder and the spool."""
import contextlib
import datetime
import os
import shutil
import socket

import harness
import pki

DEPLOY = harness.BUILD / "src/estcd-deploy/estcd-deploy"
DAEMON = (61234, 61235)   # nobody's on this machine
SERVICE = (61236, 61237)
SECRET = "what root alone may read\n"


@contextlib.contextmanager
def being(uid, gid):
    """As that user, for files."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@harness.needs_root
class Hostile(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.out = self.s.dir / "out"
        self.out.mkdir()
        self.secret = self.s.dir / "secret.pem"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        hook = self.s.dir / "hook"
        hook.write_text(f"#!/bin/sh\ntouch {self.out}/ran\n")
        hook.chmod(0o755)
        contents = ("cert", "key", "chain", "fullchain", "cacerts", "combined", "pkcs12")
        self.s.write_config([{
            "id": "gw", "url": "coaps://localhost", "trust": "trust.pem", "subject": "CN=gw",
            "birth": {"certificate": "birth.pem", "key": "birth.key"},
            "install": [{"file": str(self.out / word), "content": word} for word in contents],
            "exec": [{"command": [str(hook)]}]}])
        self.home = self.s.state / "identities/gw"
        self.spool = self.s.state / "spool/deploy"
        self.generation = self.home / "generations/1"
        for folder in (self.generation, self.spool):
            folder.mkdir(parents=True)
        self.ca = pki.Authority("Site root")
        self.fill(*self.ca.leaf())
        (self.home / "current").symlink_to("generations/1")
        for path in (self.s.state, *self.s.state.rglob("*")):
            os.chown(path, *DAEMON, follow_symlinks=False)
        (self.spool / "gw").touch()

    def fill(self, key, cert, cacert=None):
        """A generation as the daemon writes it."""
        pki.write_key(self.generation / "key.pem", key)
        pki.write_certs(self.generation / "cert.pem", cert)
        pki.write_certs(self.generation / "chain.pem")
        pki.write_certs(self.generation / "cacerts.pem", cacert or self.ca.cert)
        for name in ("key", "cert", "chain", "cacerts"):
            os.chown(self.generation / f"{name}.pem", *DAEMON)

    def deploy(self, timeout=50):
        return harness.run(DEPLOY, "-c", self.s.conf, timeout=timeout,
                           env={"RUNTIME_DIRECTORY": str(self.s.dir / "run")})

    def refused(self, *words):
        done = self.deploy()
        self.assertEqual(done.status, harness.FAILED, done)
        for word in words:
            self.assertIn(word, done.err)
        self.assertNotIn("which root alone", done.err + done.out)
        self.assertEqual(os.listdir(self.out), [], "nothing is installed, nothing run")

    def replace(self, name, make):
        """Something else of the daemon's user in the place of a file of the generation."""
        path = self.generation / name
        with being(*DAEMON):
            path.unlink()
            make(path)

    def test_the_honest_one_is_deployed(self):
        done = self.deploy()
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(len(os.listdir(self.out)), 8)
        self.assertIn("estcd was not told", done.err, "a daemon that is down is no failure")

    def test_links_to_files_of_roots(self):
        for name in ("key.pem", "cert.pem", "chain.pem", "cacerts.pem"):
            with self.subTest(name):
                kept = (self.generation / name).read_bytes()
                self.replace(name, lambda path: path.symlink_to(self.secret))
                self.refused("symbolic link")
                self.replace(name, lambda path: path.write_bytes(kept))
                (self.spool / "gw").touch()

    def test_a_hard_link_to_a_file_of_roots(self):
        path = self.generation / "chain.pem"
        path.unlink()
        os.link(self.secret, path)   # as where fs.protected_hardlinks is off
        self.refused("chain.pem", "permission denied")
        self.secret.chmod(0o644)
        (self.spool / "gw").touch()
        self.refused("belongs to another user")

    def test_current_leads_elsewhere(self):
        elsewhere = self.s.dir / "elsewhere"
        shutil.copytree(self.generation, elsewhere)
        with being(*DAEMON):
            (self.home / "generations/2").symlink_to(elsewhere)
        for target in (str(elsewhere), "../../../../elsewhere", "generations/../../gw/generations/1",
                       "generations/2", "generations/01", "generations/1/", "generations/-1",
                       "generations/99999999999999999999", "/proc/self/root"):
            with self.subTest(target):
                with being(*DAEMON):
                    (self.home / "current").unlink()
                    (self.home / "current").symlink_to(target)
                self.refused("gw: not deployed")
                (self.spool / "gw").touch()

    def test_folders_above_are_links(self):
        for path in (self.home, self.s.state / "identities", self.generation.parent):
            with self.subTest(str(path)):
                aside = path.with_name(path.name + "-aside")
                with being(*DAEMON):
                    path.rename(aside)
                    path.symlink_to(aside)
                self.refused("symbolic link")
                path.unlink()
                aside.rename(path)
                (self.spool / "gw").touch()

    def test_what_is_no_file(self):
        def unix_socket(path):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.bind(str(path))
        for make in (os.mkfifo, os.mkdir, unix_socket):
            with self.subTest(make.__name__):
                self.replace("cert.pem", make)
                self.refused("cert.pem")
                path = self.generation / "cert.pem"
                path.rmdir() if path.is_dir() else path.unlink()
                path.touch()
                os.chown(path, *DAEMON)
                (self.spool / "gw").touch()

    def test_a_file_that_never_ends(self):
        self.replace("chain.pem", lambda path: os.truncate(os.open(
            path, os.O_WRONLY | os.O_CREAT), 1 << 40))
        self.refused("larger than")

    def test_certificates_that_do_not_belong_here(self):
        other = pki.Authority("Somebody else")
        key, cert = self.ca.leaf()
        cases = {
            "do not belong together": (pki.new_key(), cert),
            "not deployed": other.leaf(),
            "expired": self.ca.leaf(start=-datetime.timedelta(days=9),
                                    life=datetime.timedelta(days=2)),
        }
        for word, (key, cert) in cases.items():
            with self.subTest(word):
                self.fill(key, cert)
                self.refused(word)
                (self.spool / "gw").touch()

    def test_text_around_a_certificate_is_not_installed(self):
        path = self.generation / "cert.pem"
        path.write_bytes(b"* * * * * root /bin/evil\n" + path.read_bytes() + b"evil\n")
        done = self.deploy()
        self.assertEqual(done.status, harness.DONE, done)
        for name in os.listdir(self.out):
            self.assertNotIn(b"evil", (self.out / name).read_bytes())

    def test_names_in_the_spool(self):
        (self.spool / "gw").unlink()
        with being(*DAEMON):
            for name in ("-rf", ".gw", "GW", "gw ", "$(touch ran)", "a" * 255, "\033[31m", "gw\n"):
                (self.spool / name).touch()
            (self.spool / "tree/of/folders").mkdir(parents=True)
            (self.spool / "tree/of/link").symlink_to(self.s.dir)
            (self.spool / "link").symlink_to(self.secret)
            os.mkfifo(self.spool / "fifo")
        done = self.deploy()
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(os.listdir(self.spool), [], "the path unit would start us for ever")
        self.assertEqual(os.listdir(self.out), [])
        self.assertEqual(self.secret.read_text(), SECRET, "no link in it was followed")
        self.assertTrue(self.generation.exists())
        self.assertNotIn("\033", done.err)

    def test_a_spool_that_leads_elsewhere(self):
        prey = self.s.dir / "prey"
        prey.mkdir()
        (prey / "gw").write_text("root's")
        for path in (self.spool, self.spool.parent):
            with self.subTest(str(path)):
                aside = path.with_name(path.name + "-aside")
                with being(*DAEMON):
                    path.rename(aside)
                    path.symlink_to(prey)
                done = self.deploy()
                self.assertEqual(done.status, harness.FAILED, done)
                self.assertEqual((prey / "gw").read_text(), "root's")
                self.assertEqual(os.listdir(self.out), [])
                path.unlink()
                aside.rename(path)

    def test_swapping_while_it_is_read(self):
        """A race, many times: nothing of root's is ever installed."""
        swapper = ("import os,sys\nos.setgid(%d); os.setuid(%d)\nos.chdir(%r)\n"
                   "while True:\n"
                   " os.symlink(%r,'x'); os.rename('x','chain.pem')\n"
                   " open('x','wb').close(); os.rename('x','chain.pem')\n"
                   % (DAEMON[1], DAEMON[0], str(self.generation), str(self.secret)))
        process = self.s.start("swapper", "/usr/bin/python3", "-c", swapper)
        statuses = []
        for _ in range(15):
            (self.spool / "gw").touch()
            statuses.append(self.deploy().status)
            for name in os.listdir(self.out):
                self.assertNotIn(SECRET.strip().encode(), (self.out / name).read_bytes())
        self.assertIsNone(process.popen.poll(), process.log())
        self.assertIn(harness.FAILED, statuses)
        process.end()

    def test_a_service_cannot_lead_a_file_of_its_own_elsewhere(self):
        """The folder of a target is the service's: a link on the way there is not followed."""
        theirs, prey = self.s.dir / "service", self.s.dir / "cron.d"
        theirs.mkdir()
        os.chown(theirs, *SERVICE)
        prey.mkdir()
        with being(*SERVICE):
            (theirs / "tls").symlink_to(prey)
        self.s.write_config([{
            "id": "gw", "url": "coaps://localhost", "trust": "trust.pem", "subject": "CN=gw",
            "birth": {"certificate": "birth.pem", "key": "birth.key"},
            "install": [{"file": str(theirs / "tls/gw.pem"), "content": "cert"}]}])
        done = self.deploy()
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("symbolic link", done.err)
        self.assertEqual(os.listdir(prey), [])


if __name__ == "__main__":
    harness.main()
