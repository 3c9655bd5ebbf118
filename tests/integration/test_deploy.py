#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What estcd-deploy does as root with a certificate of a daemon that is not: files for others,
units, programs; and how the daemon hears of it, asks again, and shows it."""
import json
import os
import stat
import subprocess

import harness

DEPLOY = harness.BUILD / "src/estcd-deploy/estcd-deploy"
DAEMON = (61234, 61235)   # nobody's on this machine
SERVICE = (61236, 61237)
MOUNTS = harness.private_mounts()


def facts_of(path):
    info = path.stat()
    return stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid


@harness.needs_root
class Deploy(harness.ClassSite):
    """One identity of a daemon with a user of its own; each test says what is to be done with it."""

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        own = site.dir / "daemon"   # the daemon's: state folder and socket
        own.mkdir()
        os.chown(own, *DAEMON)
        site.state, site.socket = own / "state", own / "control"
        for path in (site.site / "devices").rglob("*"):
            os.chown(path, *DAEMON)
        site.write_config([site.identity("gw")])
        site.start_daemon(user=DAEMON)
        site.wait_state("gw", "valid")

    def setUp(self):
        self.s = self.shared
        self.out = self.s.dir / self.id().rsplit(".", 1)[1]
        self.out.mkdir()
        self.spool = self.s.state / "spool/deploy"

    def configure(self, **settings):
        """What is to be done; the daemon asks for it."""
        self.s.write_config([self.s.identity("gw", **settings)])
        done = self.s.estc("reload")
        self.assertEqual(done.status, harness.DONE, done)
        self.wait_request()

    def wait_request(self):
        harness.wait_for(lambda: (self.spool / "gw").exists(), "the daemon asks")

    def deploy(self, *arguments):
        return harness.run(DEPLOY, "-c", self.s.conf, *arguments,
                           env={"RUNTIME_DIRECTORY": str(self.s.dir / "run")})

    def deployed(self):
        done = self.deploy()
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.s.show("gw")["deploy"]["state"], "done")
        return done

    def undeployed(self, text):
        done = self.deploy()
        self.assertEqual(done.status, harness.FAILED, done)
        shown = self.s.show("gw")
        self.assertEqual((shown["deploy"]["state"], shown["state"]), ("failed", "valid"))
        self.assertIn(text, shown["deploy"]["last_error"])
        return done

    def script(self, text, name="hook"):
        """A program of root's that a hook can be."""
        path = self.out / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)

    def openssl(self, *arguments):
        done = harness.run("openssl", *arguments)
        self.assertEqual(done.status, 0, done)
        return done.out

    def test_files_with_owner_and_mode(self):
        crt, key, new = self.out / "a.crt", self.out / "a.key", self.out / "b.key"
        crt.write_text("old")
        os.chmod(crt, 0o666)
        (self.out / "elsewhere").write_text("not to be touched")
        key.symlink_to(self.out / "elsewhere")
        self.configure(install=[
            {"file": str(crt), "content": "fullchain"},
            {"file": str(key), "content": "key", "mode": "0400", "owner": str(SERVICE[0])},
            {"file": str(new), "content": "key", "group": str(SERVICE[1])}])
        self.assertEqual(self.s.show("gw")["deploy"]["state"], "waiting")
        self.deployed()
        self.assertEqual(list(self.spool.iterdir()), [], "what is done is asked for no more")
        current = self.s.current("gw")
        self.assertEqual(crt.read_bytes(), (current / "fullchain.pem").read_bytes())
        self.assertEqual(key.read_bytes(), (current / "key.pem").read_bytes())
        self.assertEqual(facts_of(crt), (0o644, 0, 0))
        self.assertFalse(key.is_symlink(), "a link is replaced, not followed")
        self.assertEqual(facts_of(key), (0o400, SERVICE[0], 0))
        self.assertEqual(facts_of(new), (0o640, 0, SERVICE[1]))
        self.assertEqual((self.out / "elsewhere").read_text(), "not to be touched")
        self.assertIn("done, generation", self.s.estc("show", "gw").out)

    def test_formats_as_openssl_reads_them(self):
        password = self.out / "password"
        password.write_text("geheim\n")
        password.chmod(0o600)
        self.configure(install=[
            {"file": str(self.out / "cert"), "content": "cert", "format": "der"},
            {"file": str(self.out / "key"), "content": "key", "format": "der"},
            {"file": str(self.out / "cas"), "content": "cacerts"},
            {"file": str(self.out / "all"), "content": "combined"},
            {"file": str(self.out / "p12"), "content": "pkcs12", "password": str(password)},
            {"file": str(self.out / "open.p12"), "content": "pkcs12"}])
        self.deployed()
        current = self.s.current("gw")
        public = self.openssl("pkey", "-in", current / "key.pem", "-pubout")
        self.assertEqual(self.openssl("x509", "-inform", "DER", "-in", self.out / "cert", "-noout",
                                      "-pubkey"), public)
        self.assertEqual(self.openssl("pkey", "-inform", "DER", "-in", self.out / "key", "-pubout"),
                         public)
        for name in ("cas", "all"):
            self.openssl("x509", "-in", self.out / name, "-noout")
        for name, word in (("p12", "geheim"), ("open.p12", "")):
            text = self.openssl("pkcs12", "-in", self.out / name, "-passin", f"pass:{word}",
                                "-nodes")
            self.assertIn("friendlyName: gw", text)
            (self.out / "unpacked").write_text(text)
            self.assertEqual(self.openssl("pkey", "-in", self.out / "unpacked", "-pubout"), public)
            self.assertEqual(self.openssl("x509", "-in", self.out / "unpacked", "-noout",
                                          "-pubkey"), public)
            self.assertEqual(facts_of(self.out / name)[0], 0o600)
        self.assertNotEqual(harness.run("openssl", "pkcs12", "-in", self.out / "p12", "-passin",
                                        "pass:", "-nodes").status, 0)

    def test_a_program_and_its_environment(self):
        hook = self.script(f'env > {self.out}/env; cp -r "$ESTC_DIRECTORY" {self.out}/seen\n'
                           f'cmp "$ESTC_CERT" "$ESTC_DIRECTORY/cert.pem" || exit 1\n'
                           f'printf "%s|" "$@" > {self.out}/args; umask > {self.out}/umask\n'
                           f'ls /proc/self/fd > {self.out}/fds; echo "a word"; cat\n')
        self.configure(exec=[{"command": [hook, "one two", "$HOME;"]}])
        done = self.deployed()
        self.assertIn("gw: a word", done.err)
        self.assertEqual((self.out / "args").read_text(), "one two|$HOME;|", "no shell reads it")
        found = dict(line.split("=", 1) for line in (self.out / "env").read_text().splitlines())
        shown = self.s.show("gw")["certificate"]
        found.pop("PWD")   # the shell's own
        directory = found.pop("ESTC_DIRECTORY")
        self.assertEqual(found, {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8", "ESTC_ID": "gw", "ESTC_SERIAL": shown["serial"],
            "ESTC_NOT_AFTER": shown["not_after"], "ESTC_CERT": directory + "/cert.pem",
            "ESTC_GENERATION": str(shown["generation"]),
            "ESTC_EVENT": "issued" if shown["generation"] == 1 else "renewed"})
        self.assertEqual(sorted(os.listdir(self.out / "seen")),
                         ["cacerts.pem", "cert.pem", "chain.pem", "combined.pem", "fullchain.pem",
                          "key.pem"])
        self.assertEqual((self.out / "seen/key.pem").read_bytes(),
                         (self.s.current("gw") / "key.pem").read_bytes())
        self.assertEqual(facts_of(self.out / "seen/key.pem"), (0o600, 0, 0))
        self.assertEqual(os.listdir(self.s.dir / "run"), ["lock"], "the copies are gone")
        self.assertEqual((self.out / "fds").read_text().split(), ["0", "1", "2", "3"])

    def test_a_renewal_is_deployed(self):
        self.configure(install=[{"file": str(self.out / "a.crt"), "content": "cert"}],
                       exec=[{"command": [self.script(f'echo $ESTC_EVENT >> {self.out}/events\n')]}])
        self.deployed()
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.wait_request()
        self.deployed()
        self.assertEqual((self.out / "a.crt").read_bytes(),
                         (self.s.current("gw") / "cert.pem").read_bytes())
        self.assertEqual((self.out / "events").read_text().split()[-1], "renewed")

    def test_a_failed_program_is_shown_and_tried_again(self):
        flag = self.out / "flag"
        self.configure(exec=[
            {"command": [self.script(f"test -e {flag} || exit 3\n")]},
            {"command": [self.script(f"echo >> {self.out}/others\n", "other")]}])
        self.undeployed("hook ended with status 3")
        self.assertTrue((self.out / "others").exists(), "the others have their turn")
        self.assertIn("not deployed: ", self.s.estc("list").out)
        self.assertIn("1 needs attention", self.s.estc("list").out)
        self.assertRegex(self.s.estc("status").out, r"(?m)^gw +valid, but not deployed: .*status 3")
        self.assertIn("failed, 1 in a row; again ", self.s.estc("show", "gw").out)
        self.assertFalse((self.spool / "gw").exists(), "not at once")
        # A failure is no reason to hold up a renewal, and the next certificate begins anew.
        done = self.s.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.wait_request()
        self.undeployed("status 3")
        self.assertEqual(self.s.show("gw")["deploy"]["failures"], 1)
        self.wait_for_its_time()
        self.undeployed("status 3")
        self.assertEqual(self.s.show("gw")["deploy"]["failures"], 2)
        flag.touch()
        self.wait_for_its_time()
        self.deployed()
        self.assertIn("none needs attention", self.s.estc("list").out)

    def test_a_person_asks_again_when_it_is_mended(self):
        flag = self.out / "flag"
        self.configure(exec=[{"command": [self.script(f"test -e {flag} || exit 3\n")]}])
        self.undeployed("hook ended with status 3")
        flag.touch()
        done = self.s.estc("retry", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("the deployment is asked for again: 'estc show gw' says what comes", done.err)
        self.wait_request()
        self.deployed()
        done = self.s.estc("retry", "gw")
        self.assertIn("not due: ", done.err)
        self.assertFalse((self.spool / "gw").exists(), "what is done is not done again")
        done = self.deploy()
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("nothing to do: estcd has asked for nothing", done.err)

    def test_a_state_folder_that_is_not_there(self):
        conf = self.s.dir / "elsewhere.conf"
        conf.write_text(self.s.conf.read_text().replace(str(self.s.state), "/nowhere/estcd"))
        conf.chmod(0o600)
        done = self.deploy("-c", conf)
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("the state folder /nowhere/estcd does not exist: start estcd", done.err)

    def wait_for_its_time(self):
        """The daemon asks again when its wait is over, over a restart as well."""
        record = self.s.state / "identities/gw/deploy.json"
        self.s.daemon.stop()
        value = json.loads(record.read_text())
        self.assertGreater(value["next"], 0)
        value["next"] = 1
        record.write_text(json.dumps(value))
        self.s.start_daemon(user=DAEMON)
        self.wait_request()

    def test_a_program_that_hangs_is_ended_with_all_it_started(self):
        pids = self.out / "pids"
        self.configure(exec=[{"command": [self.script(
            f'trap "" TERM\necho $$ >> {pids}\n(trap "" TERM; exec sleep 1000) & '
            f"echo $! >> {pids}\nsleep 1000\n")], "timeout": "1s"}])
        self.undeployed("hung and was ended after 1 s")
        ended = [int(pid) for pid in pids.read_text().split()]
        self.assertEqual(len(ended), 2)
        for pid in ended:
            harness.wait_for(lambda: not harness.is_running(pid), f"{pid} is gone")

    def test_what_a_program_leaves_running_is_ended(self):
        pids = self.out / "pids"
        self.configure(exec=[{"command": [self.script(f"sleep 1000 & echo $! > {pids}\n")]}])
        self.deployed()
        harness.wait_for(lambda: not harness.is_running(int(pids.read_text())), "it is gone")

    def test_output_is_bounded(self):
        self.configure(exec=[{"command": [self.script("yes | head -100000\nprintf '\\033[31mred'\n")]}])
        done = self.deployed()
        self.assertIn("says more than is logged", done.err)
        self.assertLess(len(done.err), 20000)
        self.assertNotIn("\033", done.err)

    @harness.unittest.skipUnless(MOUNTS, "needs root and mount namespaces")
    def test_units_are_reloaded_and_restarted(self):
        fake = self.script(f'echo "$@" >> {self.out}/calls; test "$3" != bad.service\n')
        subprocess.run(["mount", "--bind", fake, "/usr/bin/systemctl"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/usr/bin/systemctl"], check=True)
        self.configure(reload=["bad.service", "nginx.service"], restart=["mqtt@1.service"])
        self.undeployed("try-reload-or-restart bad.service: systemctl ended with status 1")
        self.assertEqual((self.out / "calls").read_text().splitlines(), [
            "try-reload-or-restart -- bad.service", "try-reload-or-restart -- nginx.service",
            "try-restart -- mqtt@1.service"])

    def test_a_file_that_cannot_be_written_stops_the_rest(self):
        self.configure(install=[{"file": str(self.out / "missing/a.crt"), "content": "cert"}],
                       exec=[{"command": [self.script(f"touch {self.out}/ran\n")]}])
        self.undeployed("no such file or folder")
        self.assertFalse((self.out / "ran").exists())
        done = self.deploy("-n")
        self.assertEqual(done.status, harness.CONFIG_TEXT, done)
        self.assertIn("missing/a.crt", done.err)

    def test_an_owner_who_is_not_there(self):
        for who in ("owner", "group"):
            with self.subTest(who):
                self.configure(install=[{"file": str(self.out / who), "content": "key",
                                         who: "no-such-name"}])
                self.undeployed(f"there is no {who.replace('owner', 'user')} 'no-such-name'")
                self.assertFalse((self.out / who).exists())

    def test_a_passphrase_of_nothing(self):
        secret = self.out / "secret"
        secret.write_text("\nsecond line\n")
        secret.chmod(0o600)
        self.configure(install=[{"file": str(self.out / "a.p12"), "content": "pkcs12",
                                 "password": str(secret)}])
        self.undeployed("holds no passphrase: write it into the first line")
        done = self.deploy("-n")
        self.assertEqual(done.status, harness.CONFIG_TEXT, done)
        self.assertIn("gw: password: ", done.err)
        self.assertIn("holds no passphrase: write it into the first line", done.err)

    def test_a_configuration_that_others_can_write_is_not_obeyed(self):
        self.configure(exec=[{"command": [self.script(f"touch {self.out}/ran\n")]}])
        more = self.s.dir / "conf.d"
        for path, spoil in ((self.s.conf, lambda: os.chown(self.s.conf, *DAEMON)),
                            (self.s.conf, lambda: self.s.conf.chmod(0o664)),
                            (self.s.dir, lambda: self.s.dir.chmod(0o777)),
                            (more, lambda: (more.mkdir(), more.chmod(0o757)))):
            before = facts_of(path) if path.exists() else None
            spoil()
            done = self.deploy()
            if before:
                os.chown(path, *before[1:])
                path.chmod(before[0])
            else:
                path.rmdir()
            self.assertEqual(done.status, harness.CONFIG_TEXT, done)
            self.assertIn("says what root is to do", done.err)
        self.assertFalse((self.out / "ran").exists())
        self.deployed()


if __name__ == "__main__":
    harness.main()
