#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estcd.socket: systemd holds the control socket. Somebody who asks is what starts the daemon, and
nobody is turned away while it is replaced."""
import os
import signal
import threading

import live
from live import prop, run, systemctl, wait_for

CONTROL = live.pathlib.Path("/run/estcd/control")


class Socket(live.LiveTest):
    UNITS = ("estcd", "estcd.socket")

    @classmethod
    def start(cls):
        live.write_config({})
        for name, groups in (("stranger", ""), ("reader", "estc"), ("admin", "estc,estc-admin")):
            done = run("useradd", "--no-create-home", "--groups", groups, name)
            assert done.status == 0, done
        done = systemctl("start", "estcd.socket")
        assert done.status == 0, done

    def setUp(self):
        systemctl("stop", "estcd.service")
        systemctl("reset-failed", "estcd.service")  # five starts in ten seconds are the limit
        self.assertEqual(prop("estcd.socket", "ActiveState"), "active")

    @staticmethod
    def as_user(name, *arguments):
        return run("runuser", "-u", name, "--", "estc", *arguments)

    def test_who_asks_first_starts_the_daemon(self):
        self.assertEqual(prop("estcd", "ActiveState"), "inactive")
        self.succeed(run("estc", "list", "--json"))
        self.assertEqual(prop("estcd", "ActiveState"), "active")

    def test_the_socket_outlives_the_daemon(self):
        self.succeed(run("estc", "list"))
        inode = CONTROL.stat().st_ino
        self.succeed(systemctl("stop", "estcd.service"))
        self.assertEqual(CONTROL.stat().st_ino, inode)
        self.succeed(run("estc", "list"))
        os.kill(live.main_pid("estcd"), signal.SIGKILL)
        self.succeed(run("estc", "list"))
        self.assertEqual(CONTROL.stat().st_ino, inode)

    def test_nobody_is_turned_away_while_the_daemon_is_replaced(self):
        self.succeed(run("estc", "list"))
        done, results = threading.Event(), []

        def ask():
            while not done.is_set():
                results.append(run("estc", "list"))
        asking = threading.Thread(target=ask)
        asking.start()
        pid = live.main_pid("estcd")
        try:
            self.succeed(systemctl("restart", "estcd.service"))
            replaced = len(results)
            wait_for(lambda: any(r.status == 0 for r in results[replaced + 1:]),
                     "answers of the new daemon")
        finally:
            done.set()
            asking.join()
        self.assertNotEqual(live.main_pid("estcd"), pid)
        # The old one may have taken a call that it did not come to answer.
        bad = [r for r in results if r.status != 0]
        self.assertLessEqual(len(bad), 1, bad)
        self.assertEqual([r for r in bad if "closed the connection" not in r.err], [])

    def test_groups_decide_as_they_do_without_it(self):
        stat = CONTROL.stat()
        self.assertEqual((CONTROL.owner(), CONTROL.group(), stat.st_mode & 0o7777),
                         ("root", "estc", 0o660))
        self.assertEqual(self.as_user("stranger", "list").status, live.harness.NOT_ALLOWED)
        self.assertEqual(self.as_user("reader", "list").status, 0)
        self.assertEqual(self.as_user("reader", "reload").status, live.harness.NOT_ALLOWED)
        self.assertEqual(self.as_user("admin", "reload").status, 0)

    def test_the_folder_stays_the_daemons_own(self):
        folder = CONTROL.parent
        self.assertEqual((folder.owner(), folder.group(), folder.stat().st_mode & 0o7777),
                         ("estcd", "estc", 0o2755))

    def test_a_wrong_configuration_ends_in_a_failure_and_not_in_a_loop(self):
        text = live.CONF.read_text()
        live.CONF.write_text("nonsense\n")
        try:
            run("estc", "list")
            wait_for(lambda: prop("estcd.socket", "ActiveState") == "failed",
                     "systemd gives up starting what cannot start")
            starts = live.messages("estcd").count("syntax error")
            self.assertLessEqual(starts, 6)
        finally:
            live.CONF.write_text(text)
            systemctl("reset-failed", "estcd.socket", "estcd.service")
            self.succeed(systemctl("start", "estcd.socket"))
        self.succeed(run("estc", "list"))


if __name__ == "__main__":
    live.main()
