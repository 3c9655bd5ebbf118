#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estc bootstrap: a birth credential or trust that a person brings stands before what is configured."""
import array
import json
import os
import socket
import stat

import harness
import pki


class Bootstrap(harness.TestCase):
    def world(self, **settings):
        """A daemon whose configured birth certificate is of a factory that the registrar does not
        know, so that it is rejected; the one of gateway-1 would do."""
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        self.good = site.site / "devices/gateway-1"
        key, cert = pki.Authority("Nobody").leaf("gateway-1")
        pki.write_key(site.dir / "birth.key", key)
        pki.write_certs(site.dir / "birth.pem", cert)
        birth = {"certificate": str(site.dir / "birth.pem"), "key": str(site.dir / "birth.key")}
        site.write_config([site.identity("gw", **{"birth": birth, **settings})])
        site.start_daemon()
        self.s = site
        return site

    def bring(self, *arguments, **options):
        return self.s.estc("bootstrap", "gw", *arguments, **options)

    def kept(self):
        return self.s.state / "identities/gw/bootstrap"

    def together(self):
        """Certificate and key in one file, only its owner's."""
        path = self.s.dir / "both.pem"
        path.write_bytes((self.good / "cert.pem").read_bytes() +
                         (self.good / "key.pem").read_bytes())
        path.chmod(0o600)
        return path

    def refused(self, text, *arguments):
        before = self.s.show("gw")
        done = self.bring(*arguments)
        self.assertNotIn(done.status, (harness.DONE, harness.WORKING), done)
        self.assertIn(text, done.err)
        after = self.s.show("gw")
        for member in ("state", "failures", "last_error", "bootstrapped"):
            self.assertEqual(after.get(member), before.get(member), member)

    def test_a_birth_credential_that_helps(self):
        site = self.world()
        site.wait_state("gw", "failing")
        done = self.bring("--birth", self.together())
        self.assertEqual(done.status, harness.DONE, done)
        shown = site.show("gw")
        self.assertEqual((shown["state"], shown["bootstrapped"]), ("valid", True))
        self.assertIn("estc bootstrap", site.estc("show", "gw").out)
        for file in self.kept().iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        # It is there after a restart, and goes when somebody says so.
        site.daemon.stop()
        site.start_daemon()
        self.assertEqual(site.estc("enroll", "gw", "--force").status, harness.DONE)
        self.assertNotEqual(self.bring("--reset").status, harness.DONE)
        self.assertFalse(self.kept().exists())
        self.assertFalse(site.show("gw")["bootstrapped"])
        self.assertTrue(site.current("gw").exists(), "what is in force stays")

    def test_key_and_certificate_apart_from_where_the_daemon_cannot_read(self):
        site = self.world()
        site.wait_state("gw", "failing")
        hidden = site.dir / "hidden"
        hidden.mkdir(mode=0o700)
        for name in ("cert.pem", "key.pem"):
            (hidden / name).write_bytes((self.good / name).read_bytes())
        done = self.bring("--birth", hidden / "cert.pem", "--birth-key", hidden / "key.pem", "--json")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertTrue(done.json()[0]["bootstrapped"])

    def test_trust_that_helps(self):
        other = pki.Authority("Another root")
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        pki.write_certs(site.dir / "wrong.pem", other.cert)
        site.write_config([site.identity("gw", trust=str(site.dir / "wrong.pem"))])
        site.start_daemon()
        self.s = site
        site.wait_state("gw", "failing")
        self.refused("exclude", "--trust", site.site / "trust.pem", "--fingerprint", "SHA256:00")
        self.refused("fingerprint", "--fingerprint", "SHA256:00")
        done = self.bring("--trust", site.site / "trust.pem")
        self.assertEqual(done.status, harness.DONE, done)
        root = pki.load_certs(site.site / "trust.pem")[0]
        digest = root.fingerprint(pki.hashes.SHA256()).hex()
        done = self.bring("--fingerprint", f"SHA256:{digest}")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(sorted(p.name for p in self.kept().iterdir()), ["fingerprint"])

    def test_what_is_unfit_changes_nothing(self):
        site = self.world()
        site.wait_state("gw", "failing")
        self.assertEqual(self.bring("--birth", self.together()).status, harness.DONE)
        kept = {p.name: p.read_bytes() for p in self.kept().iterdir()}
        garbage = site.dir / "garbage"
        garbage.write_bytes(b"\0\xff" * 1000)
        large = site.dir / "large"
        large.write_bytes(b"-" * (1 << 20))
        fifo = site.dir / "fifo"
        os.mkfifo(fifo)
        for path, text in ((garbage, "no usable private key"), (large, "birth"), (fifo, "regular"),
                           (site.dir, "regular"), (self.good / "cert.pem", "key"),
                           ("/dev/zero", "regular")):
            self.refused(text, "--birth", path)
        self.refused("do not belong together", "--birth", self.good / "cert.pem", "--birth-key",
                     site.dir / "birth.key")
        self.refused("nothing is brought")
        self.refused("brings nothing", "--reset", "--birth", garbage)
        self.assertEqual({p.name: p.read_bytes() for p in self.kept().iterdir()}, kept)
        missing = self.bring("--birth", site.dir / "none")
        self.assertIn("none cannot be opened: No such file", missing.err)

    def call(self, parameters, fds, method="org.estcd.control.Bootstrap"):
        """A call by hand, with descriptors."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(str(self.s.socket))
            text = json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"
            client.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                           if fds else [])
            answer = client.recv(65536)
            return json.loads(answer.rstrip(b"\0")) if answer else None

    def test_descriptors_that_do_not_fit_the_call(self):
        site = self.world()
        site.wait_state("gw", "failing")
        before = len(os.listdir(f"/proc/{site.daemon.pid}/fd"))
        file = os.open(self.good / "cert.pem", os.O_RDONLY)
        self.addCleanup(os.close, file)
        for parameters, fds in (({"id": "gw", "files": ["birth"]}, []),
                                ({"id": "gw", "files": ["birth", "trust"]}, [file]),
                                ({"id": "gw", "files": ["birth", "birth"]}, [file, file]),
                                ({"id": "gw", "files": ["key"]}, [file]),
                                ({"id": "gw"}, [file]),
                                ({"id": "gw", "files": ["trust"], "fingerprint": "x"}, [file])):
            answer = self.call(parameters, fds)
            self.assertEqual(answer["error"], "org.varlink.service.InvalidParameter", parameters)
        # A method that takes none, and more than there may be.
        self.assertNotIn("error", self.call({}, [file] * 4, "org.estcd.control.List"))
        self.assertIsNone(self.call({}, [file] * 5, "org.estcd.control.List"))
        self.assertEqual(self.call({"id": "none", "reset": True}, [])["error"].split(".")[-1],
                         "NoSuchIdentity")
        harness.wait_for(lambda: len(os.listdir(f"/proc/{site.daemon.pid}/fd")) == before,
                         "no descriptor is left")

    @harness.needs_root
    def test_who_may_only_read_brings_nothing(self):
        site = self.world()
        site.socket.chmod(0o666)
        done = self.bring("--reset", user=(65534, 65534))
        self.assertEqual(done.status, harness.NOT_ALLOWED, done)


if __name__ == "__main__":
    harness.main()
