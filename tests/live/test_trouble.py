#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What happens to the unit in the middle of its work: it hangs, it is killed, it is replaced by
another version. The key that was made goes on to be certified, once."""
import os
import pathlib
import shutil
import signal
import sqlite3
import time

import live
from live import prop, run, systemctl, wait_for

LEDGER = "/var/lib/est-registrar/ledger.sqlite"
STALL = live.harness.BUILD / "tests/integration/libstall-at-step.so"
SOON = "[Service]\nRestartSec=100ms\n"


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def public_key(file):
    """Of a certificate or a private key, as PEM."""
    if "cert" in file.name:
        return run("openssl", "x509", "-in", file, "-noout", "-pubkey").out
    return run("openssl", "pkey", "-in", file, "-pubout").out


class Trouble(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar()
        live.install_birth()

    def setUp(self):
        systemctl("stop", "estcd")
        systemctl("reset-failed", "estcd")
        shutil.rmtree(live.STATE, ignore_errors=True)

    def stand_still(self, name, step):
        """The unit runs, and its first attempt stands still behind that step: (daemon, worker)."""
        live.write_config({name: {}})
        live.setting("estcd.service", f"{SOON}Environment=LD_PRELOAD={STALL} ESTC_TEST_STEP={step}\n")
        self.succeed(systemctl("start", "estcd"))
        pid = live.main_pid("estcd")
        run_now = f"_SYSTEMD_INVOCATION_ID={prop('estcd', 'InvocationID')}"
        wait_for(lambda: "worker stands still" in live.messages(run_now),
                 f"the attempt comes to {step}")
        live.setting("estcd.service", SOON)
        worker, = children(pid)
        return pid, worker

    def assert_certified_once(self, name, public):
        """The key that was pending is the one that is in force, and the CA has signed it once."""
        live.wait_valid(name)
        current = live.STATE / "identities" / name / "current"
        self.assertEqual(public_key(current / "cert.pem"), public)
        self.assertEqual(public_key(current / "key.pem"), public)
        with sqlite3.connect(f"file:{LEDGER}?mode=ro", uri=True) as ledger:
            count, = ledger.execute("SELECT count(*) FROM certificates WHERE subject LIKE ?",
                                    (f"%{name}%",)).fetchone()
        self.assertEqual(count, 1)

    def pending(self, name):
        return public_key(live.STATE / "identities" / name / "pending/key.pem")

    def test_one_that_hangs_is_started_again(self):
        live.write_config({"gw-hang": {}})
        live.setting("estcd.service", f"{SOON}WatchdogSec=2s\n")
        self.addCleanup(live.setting, "estcd.service", "")
        self.succeed(systemctl("start", "estcd"))
        live.wait_valid("gw-hang")
        pid = live.main_pid("estcd")
        time.sleep(3)  # longer than the watchdog waits: it is being fed
        self.assertEqual(live.main_pid("estcd"), pid)
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: prop("estcd", "NRestarts") == "1" and live.states(), "it runs again")
        self.assertNotEqual(live.main_pid("estcd"), pid)
        self.assertIn("Watchdog timeout", live.messages("estcd"))
        self.assertEqual(live.states(), {"gw-hang": "valid"})

    def test_killed_when_the_ca_has_signed_it_takes_up_what_was_signed(self):
        pid, worker = self.stand_still("gw-killed", "enroll")
        public = self.pending("gw-killed")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{worker}"), "the worker does not go on alone")
        self.assert_certified_once("gw-killed", public)
        self.assertEqual(prop("estcd", "NRestarts"), "1")

    def test_an_upgrade_in_the_middle_of_an_attempt_loses_nothing(self):
        pid, _ = self.stand_still("gw-new", "csr")
        public = self.pending("gw-new")
        program = pathlib.Path(shutil.which("estcd"))
        new = program.with_suffix(".dpkg-new")  # another file takes the place, as packages do it
        new.write_bytes(program.read_bytes() + b"\0")
        new.chmod(0o755)
        new.rename(program)
        self.assertIn("(deleted)", os.readlink(f"/proc/{pid}/exe"))
        self.succeed(run("estc", "list"))
        begun = time.monotonic()
        self.succeed(systemctl("restart", "estcd"))
        self.assertLess(live.since(begun), 2)
        self.assertEqual(os.readlink(f"/proc/{live.main_pid('estcd')}/exe"), str(program))
        self.assert_certified_once("gw-new", public)


if __name__ == "__main__":
    live.main()
