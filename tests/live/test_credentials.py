#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Credentials of systemd: what the daemon is given by name, encrypted at rest or not, and the whole
configuration as one of them. What others can read of the machine's files holds no key."""
import os
import pathlib
import shutil

import live
from live import prop, run, systemctl, wait_for

DEVICE = live.SITE / "devices/gateway-1"
STORE = pathlib.Path("/etc/credstore")
SEALED = pathlib.Path("/etc/credstore.encrypted")
GIVEN = pathlib.Path("/run/credentials/estcd.service")
NAMED = {"birth": {"certificate": "credential:estcd.birth-certificate",
                   "key": "credential:estcd.birth-key"},
         "trust": "credential:estcd.trust"}


class Credentials(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar()

    def setUp(self):
        systemctl("stop", "estcd")
        systemctl("reset-failed", "estcd")
        live.setting("estcd.service", "")
        for folder in (STORE, SEALED, live.STATE):
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def keep(name, source):
        STORE.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(source, STORE / name)
        (STORE / name).chmod(0o400)

    def keep_all(self):
        self.keep("estcd.birth-certificate", DEVICE / "cert.pem")
        self.keep("estcd.birth-key", DEVICE / "key.pem")
        self.keep("estcd.trust", live.SITE / "trust.pem")

    def assert_enrols(self):
        self.succeed(systemctl("start", "estcd"))
        live.wait_valid("gw")

    def test_what_lies_in_the_credential_store_is_enough(self):
        self.keep_all()
        live.write_config({"gw": NAMED})
        self.assert_enrols()
        key = GIVEN / "estcd.birth-key"
        self.assertEqual(os.stat(key).st_mode & 0o007, 0)
        # The worker's cage lets it read its own; the state folder has no copy of it.
        found = run("grep", "-rlF", (DEVICE / "key.pem").read_text().splitlines()[1], live.STATE)
        self.assertEqual((found.status, found.out), (1, ""))

    def test_a_key_may_be_encrypted_at_rest(self):
        self.keep("estcd.birth-certificate", DEVICE / "cert.pem")
        self.keep("estcd.trust", live.SITE / "trust.pem")
        SEALED.mkdir(mode=0o700)
        self.succeed(run("systemd-creds", "encrypt", "--with-key=host", "--name=estcd.birth-key",
                         DEVICE / "key.pem", SEALED / "estcd.birth-key"))
        self.assertNotIn("PRIVATE KEY", (SEALED / "estcd.birth-key").read_text())
        live.setting("estcd.service", "[Service]\nLoadCredentialEncrypted=estcd.birth-key\n")
        live.write_config({"gw": NAMED})
        self.assert_enrols()

    def test_the_configuration_may_be_one(self):
        secret = pathlib.Path("/etc/secret.conf")
        live.write_config({"gw": {"birth": {"certificate": "estcd.birth-certificate",
                                            "key": "estcd.birth-key"}, "trust": "estcd.trust"}})
        live.CONF.rename(secret)
        secret.chmod(0o400)
        self.keep_all()
        live.setting("estcd.service", "[Service]\n"
                     f"LoadCredential=estcd.conf:{secret}\nExecStart=\n"
                     f"ExecStart={shutil.which('estcd')} -c %d/estcd.conf\n")
        self.assert_enrols()
        self.succeed(systemctl("reload", "estcd"))

    def test_one_that_is_not_there_is_named_with_the_remedy(self):
        live.write_config({"gw": NAMED})
        self.succeed(systemctl("start", "estcd"))
        wait_for(lambda: live.states()["gw"] == "config", "the identity waits for its files")
        self.assertIn("add LoadCredential=estcd.birth-key", live.messages("estcd"))
        self.assertEqual(prop("estcd", "ActiveState"), "active")


if __name__ == "__main__":
    live.main()
