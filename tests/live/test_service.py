#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The shipped units from their start to their stop: ready when they are, certificates that come and
are renewed by themselves, reloads that systemd waits for, an end within the second, and no restart
that cannot help."""
import os
import re
import signal
import time

import live
from live import prop, run, systemctl, wait_for

IDENTITIES = {"gw-a": {}, "gw-b": {}}


class Service(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar(short="15s")
        live.install_birth()
        live.write_config(IDENTITIES)
        done = systemctl("start", "estcd")
        assert done.status == 0, done

    def add(self, identities):
        """More identities for the time of a test."""
        live.write_config({**IDENTITIES, **identities})
        self.addCleanup(systemctl, "reload", "estcd")
        self.addCleanup(live.write_config, IDENTITIES)
        self.succeed(systemctl("reload", "estcd"))

    def test_both_units_are_exposed_to_little(self):
        for unit in ("estcd.service", "est-registrar.service"):
            done = self.succeed(run("systemd-analyze", "security", "--no-pager", unit))
            figure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.out).group(1))
            print(f"# {unit}: exposure {figure}")
            self.assertLessEqual(figure, 1.5, done.out)

    def test_systemd_finds_nothing_wrong_with_the_units(self):
        for unit in ("estcd.service", "estcd.socket", "estcd-deploy.path", "estcd-deploy.service",
                     "est-registrar.service"):
            done = run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual((done.status, done.out + done.err), (0, ""))

    def test_start_returns_with_the_control_socket_there(self):
        """READY=1 comes when estc is answered, and not before."""
        self.succeed(systemctl("restart", "estcd"))
        self.assertEqual(set(live.states()), set(IDENTITIES))
        self.assertEqual(prop("estcd", "ActiveState"), "active")
        self.assertEqual(prop("estcd", "User"), "estcd")

    def test_identities_enrol_and_the_unit_says_so(self):
        live.wait_valid(*IDENTITIES)
        wait_for(lambda: "none needs attention" in prop("estcd", "StatusText"),
                 "the unit's status says that all is well")
        self.assertRegex(prop("estcd", "StatusText"),
                         r"^2 identities, none needs attention; next: renew gw-[ab] ")
        for name in IDENTITIES:
            key = live.STATE / "identities" / name / "current/key.pem"
            self.assertEqual(os.stat(key).st_mode & 0o7777, 0o600)
            self.assertEqual(key.owner(), "estcd")

    def test_the_journal_has_an_entry_with_fields_for_each_certificate(self):
        live.wait_valid(*IDENTITIES)
        entry = wait_for(lambda: live.journal("ESTC_ID=gw-a", "ESTC_RESULT=ok"),
                         "the certificate of gw-a is in the journal")[-1]
        self.assertEqual(entry["SYSLOG_IDENTIFIER"], "estcd")
        self.assertEqual(entry["_SYSTEMD_UNIT"], "estcd.service")
        self.assertEqual(entry["PRIORITY"], "5")
        self.assertEqual((entry["ESTC_EVENT"], entry["MESSAGE_ID"]),
                         ("issued", "9ab3c0bd2fdc4be5b15f289fc4b85f35"))
        self.assertEqual("serial=" + entry["ESTC_SERIAL"], live.serial("gw-a"))
        self.assertEqual(entry["ESTC_SUBJECT"], "CN=gateway-1-gw-a")
        self.assertRegex(entry["ESTC_NOT_AFTER"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_the_catalogue_explains_what_the_journal_says(self):
        live.wait_valid(*IDENTITIES)
        self.succeed(run("journalctl", "--update-catalog"))
        run("journalctl", "--sync")
        done = self.succeed(run("journalctl", "--catalog", "--no-pager", "ESTC_ID=gw-a"))
        self.assertIn("Subject: A certificate was issued for gw-a", done.out)

    def test_reload_returns_with_the_new_configuration_in_force(self):
        pid = live.main_pid("estcd")
        self.add({"gw-new": {}})
        self.assertIn("gw-new", live.states())
        live.write_config(IDENTITIES)
        self.succeed(systemctl("reload", "estcd"))
        self.assertEqual(set(live.states()), set(IDENTITIES))
        self.assertEqual(live.main_pid("estcd"), pid)

    def test_reload_of_a_wrong_configuration_fails_and_the_old_one_stays(self):
        pid = live.main_pid("estcd")
        text = live.CONF.read_text()
        live.CONF.write_text(text + 'statedirectory = "/x";\n')
        try:
            done = systemctl("reload", "estcd")
            self.assertNotEqual(done.status, 0, done)
            self.assertEqual(set(live.states()), set(IDENTITIES))
            self.assertEqual((prop("estcd", "ActiveState"), live.main_pid("estcd")), ("active", pid))
            self.assertIn("did you mean 'state_directory'", live.messages("estcd"))
        finally:
            live.CONF.write_text(text)
        self.succeed(systemctl("reload", "estcd"))

    def test_certificates_are_renewed_without_being_asked_for(self):
        self.add({"gw-short": {"label": "short"}})
        live.wait_valid("gw-short")
        first = live.serial("gw-short")
        wait_for(lambda: live.serial("gw-short") != first, "a renewal", timeout=30)
        wait_for(lambda: len(live.journal("ESTC_ID=gw-short", "ESTC_RESULT=ok")) >= 2,
                 "both certificates are in the journal")
        self.assertEqual(live.journal("ESTC_ID=gw-short", "PRIORITY=4"), [])

    def test_stop_takes_less_than_a_second_with_an_attempt_under_way(self):
        self.add({"gw-far": {"url": "coaps://localhost:9"}})
        self.addCleanup(systemctl, "start", "estcd")
        wait_for(lambda: live.states()["gw-far"] == "working", "an attempt is under way")
        begun = time.monotonic()
        self.succeed(systemctl("stop", "estcd"))
        self.assertLess(live.since(begun), 1)
        self.assertEqual(prop("estcd", "Result"), "success")

    def test_the_registrar_stops_within_a_second_and_comes_back_with_its_ledger(self):
        live.wait_valid("gw-a")
        begun = time.monotonic()
        self.succeed(systemctl("stop", "est-registrar"))
        self.assertLess(live.since(begun), 1)
        self.assertEqual(prop("est-registrar", "Result"), "success")
        self.succeed(systemctl("start", "est-registrar"))
        self.succeed(run("estc", "renew", "--force", "gw-a"))

    def test_a_wrong_configuration_is_no_reason_to_start_again(self):
        text = live.CONF.read_text()
        live.setting("estcd.service", "[Service]\nRestartSec=100ms\n")
        self.addCleanup(systemctl, "start", "estcd")
        self.addCleanup(live.setting, "estcd.service", "")
        self.addCleanup(live.CONF.write_text, text)
        live.CONF.write_text("nonsense\n")
        done = systemctl("restart", "estcd")
        self.assertNotEqual(done.status, 0, done)
        self.assertEqual(prop("estcd", "ExecMainStatus"), "78")
        self.assertEqual((prop("estcd", "ActiveState"), prop("estcd", "NRestarts")),
                         ("failed", "0"))
        self.assertRegex(live.messages("estcd"), rf"{live.CONF}:\d+: syntax error")

    def test_any_other_end_is_a_reason_to_start_again(self):
        live.setting("estcd.service", "[Service]\nRestartSec=100ms\n")
        self.addCleanup(live.setting, "estcd.service", "")
        pid = live.main_pid("estcd")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: prop("estcd", "ActiveState") == "active"
                 and live.main_pid("estcd") != pid, "estcd runs again")
        self.assertEqual(set(live.states()), set(IDENTITIES))


if __name__ == "__main__":
    live.main()
