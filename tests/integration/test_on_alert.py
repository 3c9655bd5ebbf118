#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""on_alert: a program that is told when the alert of an identity changes, once each time and over
restarts, with a bare environment; when it fails it is told again, and nothing waits for it."""
import os
import pathlib

import harness


class OnAlert(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()
        self.told = self.s.dir / "told"
        self.told.mkdir()

    def trust(self, name):
        """A file that is missing until mend(): the identity has a critical alert as long as that."""
        return str(self.s.dir / f"{name}.pem")

    def mend(self, name):
        new = self.s.dir / "new.pem"
        new.write_bytes((self.s.site / "trust.pem").read_bytes())
        new.rename(self.trust(name))

    def start(self, script, *names):
        """The script is run for each alert; $T is the folder for what it has to say."""
        self.program = self.s.dir / "program"
        self.program.write_text(f"#!/bin/sh\nT={self.told}\n{script}\n")
        self.program.chmod(0o755)
        self.s.write_config([self.s.identity(name, trust=self.trust(name)) for name in names],
                            on_alert=[str(self.program), "first", "second argument"])
        self.s.start_daemon(env={"WATCHDOG_USEC": "180000000", "SECRET": "x"})

    def lines(self, name="all"):
        path = self.told / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_lines(self, n, name="all"):
        return harness.wait_for(lambda: len(lines := self.lines(name)) >= n and lines,
                                f"{n} lines in {name}")

    def record_file(self, name):
        return self.s.state / "identities" / name / "attempts.json"

    def record(self, name):
        return self.record_file(name).read_text()

    def wait_recorded(self, name, level):
        harness.wait_for(lambda: self.record_file(name).exists() and
                         (f'"alert_told": {level}' in self.record(name)
                          if level else "alert_told" not in self.record(name)),
                         "what was told is on disk")

    def test_it_is_told_once_and_over_restarts(self):
        self.start('echo "$ESTC_ID $ESTC_EVENT $ESTC_ALERT $ESTC_STATE: $ESTC_ALERT_TEXT" >> $T/all',
                   "gw")
        self.assertEqual(self.wait_lines(1), [
            "gw alert critical config: a file is missing or unfit, and nothing is tried until it "
            "changes"])
        self.wait_recorded("gw", 2)
        self.s.daemon.stop()
        self.s.start_daemon()
        self.s.wait_state("gw", "config")
        self.mend("gw")
        self.s.wait_state("gw", "valid")
        lines = self.wait_lines(2)
        self.assertEqual(lines[1:], ["gw alert-cleared none valid: the alert is over"])
        self.wait_recorded("gw", 0)
        self.s.daemon.stop()
        self.s.start_daemon()
        self.s.estc("reload")
        self.s.daemon.stop()
        self.assertEqual(len(self.lines()), 2)

    def test_it_gets_nothing_but_what_it_is_told(self):
        self.start('env > $T/env; pwd > $T/pwd; echo "$#:$1:$2" > $T/args; ls /proc/self/fd > $T/fds;'
                   ' grep -E "^Sig(Blk|Ign)" /proc/self/status > $T/signals; cat > $T/input;'
                   ' echo x >> $T/all', "gw")
        self.wait_lines(1)
        environment = dict(line.split("=", 1) for line in self.lines("env"))
        for shells in ("PWD", "OLDPWD", "_", "SHLVL"):
            environment.pop(shells, None)
        self.assertEqual(set(environment), {"PATH", "LANG", "ESTC_ID", "ESTC_EVENT", "ESTC_ALERT",
                                            "ESTC_ALERT_TEXT", "ESTC_STATE"})
        self.assertEqual(self.lines("args"), ["2:first:second argument"])
        self.assertEqual(self.lines("pwd"), ["/"])
        self.assertEqual(self.lines("input"), [])
        self.assertLessEqual(len(self.lines("fds")), 4)  # and the one that ls has opened
        for line in self.lines("signals"):
            self.assertEqual(int(line.split()[1], 16), 0, line)
        self.mend("gw")
        self.s.wait_state("gw", "valid")
        self.wait_lines(2)
        environment = dict(line.split("=", 1) for line in self.lines("env"))
        certificate = self.s.show("gw")["certificate"]
        self.assertEqual((environment["ESTC_NOT_AFTER"], environment["ESTC_SERIAL"]),
                         (certificate["not_after"], certificate["serial"]))

    def test_a_failure_is_logged_and_told_again(self):
        self.start('echo "no way: \033[31m"; echo x >> $T/all; test -e $T/mended', "gw")
        self.wait_lines(1)
        harness.wait_for(lambda: "gw: on_alert was not told of the alert: " in self.s.daemon.log(),
                         "it is logged")
        log = self.s.daemon.log()
        self.assertIn(f"{self.program} ended with status 1; again after 30 s", log)
        self.assertIn("gw: no way: ?[31m", log)
        self.assertNotIn("alert_told", self.record("gw"))
        (self.told / "mended").touch()
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.wait_lines(2)
        self.wait_recorded("gw", 2)

    def test_a_program_that_is_not_there_harms_nobody(self):
        self.start("exit 0", "gw")
        self.wait_recorded("gw", 2)
        self.program.unlink()
        self.mend("gw")
        self.s.wait_state("gw", "valid")
        harness.wait_for(lambda: "ended with status 127" in self.s.daemon.log(), "it is said")
        self.assertIn(f"cannot run {self.program}: No such file", self.s.daemon.log())
        done = self.s.check()
        self.assertEqual(done.status, harness.CONFIG_TEXT, done)
        self.assertIn(f"on_alert: cannot run {self.program}: No such file", done.err)

    def test_one_at_a_time_in_their_order(self):
        self.start('mkdir $T/busy || echo TWICE >> $T/all; echo $ESTC_ID >> $T/started;'
                   ' until [ -e $T/go ]; do sleep 0.05; done; echo $ESTC_ID >> $T/all;'
                   ' rmdir $T/busy', "a", "b", "c")
        self.wait_lines(1, "started")
        for name in "abc":
            self.s.wait_state(name, "config")
        self.mend("c")  # while another is told, what comes and goes is no news any more
        self.s.wait_state("c", "valid")
        self.assertEqual(len(self.lines("started")), 1)
        (self.told / "go").touch()
        lines = self.wait_lines(2)
        self.wait_recorded("a", 2)
        self.wait_recorded("b", 2)
        self.assertNotIn("TWICE", lines)
        self.assertEqual(self.lines(), self.lines("started"))

    def test_one_that_does_not_stop_talking_keeps_nobody(self):
        self.start("echo x > $T/started; exec yes", "gw")
        self.wait_lines(1, "started")
        harness.wait_for(lambda: "gw: says more than is logged" in self.s.daemon.log(), "it is bounded")
        before = self.processor_time()
        for _ in range(20):
            self.assertEqual(self.s.estc("list").status, harness.DONE)
        self.mend("gw")
        self.s.wait_state("gw", "valid")
        self.assertLess(self.processor_time() - before, 0.5 * harness.PATIENCE)
        self.assertLess(len(self.s.daemon.log()), 30000)

    def processor_time(self):
        fields = pathlib.Path(f"/proc/{self.s.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_the_end_of_the_daemon_is_its_end(self):
        self.start('trap "" TERM; (trap "" TERM; exec sleep 1000) & echo $! >> $T/pids;'
                   ' echo $$ >> $T/pids; sleep 1000', "gw")
        pids = [int(pid) for pid in self.wait_lines(2, "pids")]
        self.assertEqual(self.s.daemon.stop(), 0)
        for pid in pids:
            harness.wait_for(lambda: not harness.is_running(pid), f"{pid} is gone")
        self.assertNotIn("alert_told", self.record("gw"))

    def test_an_identity_that_goes_while_it_is_told(self):
        self.start("echo x >> $T/started; until [ -e $T/go ]; do sleep 0.05; done; echo x >> $T/all",
                   "gw")
        self.wait_lines(1, "started")
        self.s.write_config([self.s.identity("other")], on_alert=[str(self.program)])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        (self.told / "go").touch()
        self.wait_lines(1)
        self.s.wait_state("other", "valid")

    def test_its_path_is_absolute(self):
        self.s.write_config([self.s.identity("gw")], on_alert=["mail", "root"])
        done = self.s.check()
        self.assertEqual(done.status, harness.CONFIG_TEXT, done)
        self.assertIn("on_alert: 'mail' is not an absolute path: no search for programs", done.err)


if __name__ == "__main__":
    harness.main()
