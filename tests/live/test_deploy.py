#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A certificate's way to a real service: estcd.service, which may write nowhere else, asks; the path
unit starts root's estcd-deploy, which puts the files there and has systemd reload who uses them."""
import os
import pathlib
import pwd
import time

import live
from live import prop, run, systemctl, wait_for

FOLDER = pathlib.Path("/etc/consumer")
RELOADS = pathlib.Path("/run/consumer/reloads")
CONSUMER = """\
[Service]
Type=exec
RuntimeDirectory=consumer
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'openssl x509 -noout -serial -in /etc/consumer/cert.pem >>/run/consumer/reloads'
"""


def serial(file):
    return run("openssl", "x509", "-noout", "-serial", "-in", file).out.strip()


class Deploy(live.LiveTest):
    UNITS = ("estcd", "estcd-deploy", "est-registrar")

    @classmethod
    def start(cls):
        live.start_registrar(short="20s")
        live.install_birth()
        FOLDER.mkdir()
        (live.SETTINGS / "consumer.service").write_text(CONSUMER)
        live.write_config({"gw": {
            "label": "short",
            "install": [{"file": f"{FOLDER}/cert.pem", "content": "fullchain"},
                        {"file": f"{FOLDER}/key.pem", "content": "key", "owner": "nobody",
                         "mode": "0400"}],
            "reload": ["consumer.service"]}})
        assert systemctl("daemon-reload").status == 0
        for unit in ("consumer.service", "estcd-deploy.path", "estcd.service"):
            done = systemctl("start", unit)
            assert done.status == 0, done

    def reloads(self):
        return RELOADS.read_text().split() if RELOADS.exists() else []

    def test_each_certificate_reaches_the_service_that_uses_it(self):
        wait_for(lambda: len(self.reloads()) >= 2, "a first certificate and a renewal",
                 timeout=60)
        first, second = self.reloads()[:2]
        self.assertNotEqual(first, second)
        self.assertEqual(prop("consumer", "ActiveState"), "active")
        key = FOLDER / "key.pem"
        self.assertEqual((key.stat().st_uid, key.stat().st_mode & 0o7777),
                         (pwd.getpwnam("nobody").pw_uid, 0o400))
        self.assertEqual(run("openssl", "pkey", "-in", key, "-pubout").out,
                         run("openssl", "x509", "-in", FOLDER / "cert.pem", "-noout", "-pubkey").out)
        wait_for(lambda: live.show("gw")["deploy"]["state"] == "done", "the daemon has heard of it")

    def test_what_can_do_nothing_is_not_started_over_and_over(self):
        """The request stays where it is, and would start it again the moment it ends."""
        live.CONF.chmod(0o666)
        self.addCleanup(systemctl, "stop", "estcd-deploy.path", "estcd-deploy.service")
        self.addCleanup(live.CONF.chmod, 0o644)
        before = live.messages("estcd-deploy").count("Starting estcd-deploy.service")
        (live.STATE / "spool/deploy/gw").touch()
        wait_for(lambda: prop("estcd-deploy", "SubState") == "stop-post", "it has refused to work")
        time.sleep(3)  # of the ten seconds that it keeps still
        after = live.messages("estcd-deploy").count("Starting estcd-deploy.service")
        self.assertIn(after - before, (1, 2))
        self.assertEqual(prop("estcd-deploy", "SubState"), "stop-post", "it still keeps still")

    def test_the_daemon_itself_cannot_write_there(self):
        """It has the right to ask, and no other one."""
        status = pathlib.Path(f"/proc/{live.main_pid('estcd')}/status").read_text()
        self.assertIn("CapEff:\t0000000000000000", status)
        root = pathlib.Path(f"/proc/{live.main_pid('estcd')}/root")
        self.assertTrue(os.statvfs(root / "etc/consumer").f_flag & os.ST_RDONLY)


if __name__ == "__main__":
    live.main()
