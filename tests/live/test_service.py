#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The shipped units from their start to their stop: ready when they are, certificates that come and
are renewed by themselves, reloads that systemd waits for, a stop within the second."""
import json
import os
import re
import time

import live
from live import prop, run, systemctl, wait_for


class Service(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar()
        live.install_birth()
        live.write_config({"gw-a": {}, "gw-b": {}})
        done = systemctl("start", "estcd")
        assert done.status == 0, done

    def test_both_units_are_exposed_to_little(self):
        for unit in ("estcd.service", "est-registrar.service"):
            done = self.succeed(run("systemd-analyze", "security", "--no-pager", unit))
            figure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.out).group(1))
            self.assertLessEqual(figure, 1.5, done.out)

    def test_systemd_finds_nothing_wrong_with_the_units(self):
        for unit in ("estcd.service", "est-registrar.service"):
            done = run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual((done.status, done.out + done.err), (0, ""))

    def test_start_returns_with_the_control_socket_there(self):
        """READY=1 comes when estc is answered, and not before."""
        self.succeed(systemctl("restart", "estcd"))
        self.assertEqual(set(live.states()), {"gw-a", "gw-b"})
        self.assertEqual(prop("estcd", "ActiveState"), "active")
        self.assertEqual(prop("estcd", "User"), "estcd")

    def test_identities_enrol_and_the_unit_says_so(self):
        live.wait_valid("gw-a", "gw-b")
        wait_for(lambda: "none needs attention" in prop("estcd", "StatusText"),
                 "the unit's status says that all is well")
        text = prop("estcd", "StatusText")
        self.assertRegex(text, r"^2 identities, none needs attention; next: renew gw-[ab] ")
        for name in ("gw-a", "gw-b"):
            key = live.STATE / "identities" / name / "current/key.pem"
            self.assertEqual(os.stat(key).st_mode & 0o7777, 0o600)
            self.assertEqual(key.owner(), "estcd")

    def test_stop_takes_less_than_a_second_with_an_attempt_under_way(self):
        live.write_config({"gw-a": {}, "gw-b": {}, "gw-far": {"url": "coaps://localhost:9"}})
        self.succeed(systemctl("reload", "estcd"))
        wait_for(lambda: live.states()["gw-far"] == "working", "an attempt is under way")
        begun = time.monotonic()
        self.succeed(systemctl("stop", "estcd"))
        self.assertLess(live.since(begun), 1)
        self.assertEqual(prop("estcd", "Result"), "success")
        live.write_config({"gw-a": {}, "gw-b": {}})
        self.succeed(systemctl("start", "estcd"))


if __name__ == "__main__":
    live.main()
