#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estc as scripts and people meet it: exit codes, JSON, what goes to stdout and what to stderr."""
import json
import os
import pty
import signal
import subprocess
import time

import harness

COMMANDS = ("list", "status", "needs-renewal", "retry", "show", "enroll", "renew", "cacerts", "reload", "events", "version")


class Cli(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([
            site.identity("gw"), site.identity("gw-two"),
            site.identity("no-file", trust="/nonexistent/trust.pem"),
            site.identity("refused", subject="CN=somebody-else"),
            site.identity("lost", url=f"coaps://localhost:{harness.free_port()}",
                          attempt_timeout="10s")])
        site.start_daemon()
        for name in ("gw", "gw-two"):
            site.wait_state(name, "valid")
        site.wait_state("no-file", "config")

    def assert_done(self, done, status=harness.DONE):
        self.assertEqual(done.status, status, done)
        return done

    def test_list_is_a_table_with_a_footer(self):
        done = self.assert_done(self.shared.estc("list"))
        lines = done.out.splitlines()
        self.assertRegex(lines[0], r"^ID\s+STATE\s+EXPIRES\s+LEFT\s+NEXT ACTION\s+LAST RESULT")
        self.assertRegex(done.out, r"(?m)^gw +valid ")
        self.assertRegex(done.out, r"(?m)^no-file +(config|working) ")
        self.assertRegex(lines[-1], "5 identities")
        self.assertNotIn("\x1b", done.out)

    def test_list_as_json(self):
        identities = self.assert_done(self.shared.estc("list", "--json")).json()
        self.assertIsInstance(identities, list)
        self.assertEqual([i["id"] for i in identities],
                         ["gw", "gw-two", "lost", "no-file", "refused"])

    def test_json_of_every_command(self):
        for arguments in (["list"], ["show", "gw"], ["enroll", "gw"], ["renew", "gw"],
                          ["cacerts", "gw"], ["version"], ["reload"]):
            with self.subTest(arguments=arguments):
                done = self.assert_done(self.shared.estc(*arguments, "--json"))
                self.assertEqual(done.out.count("\n"), 1, "one line")
                value = done.json()
                self.assertIsInstance(
                    value, list if arguments[0] in ("list", "enroll", "renew") else dict)

    def test_no_data_on_stderr_no_prose_on_stdout(self):
        done = self.assert_done(self.shared.estc("show", "gw", "--json"))
        self.assertEqual(done.err, "")
        done = self.assert_done(self.shared.estc("cacerts", "gw"))
        self.assertTrue(done.out.startswith("-----BEGIN CERTIFICATE-----"))
        self.assertEqual(done.err, "")
        done = self.shared.estc("show", "nobody")
        self.assertEqual(done.out, "")
        self.assertIn("nobody", done.err)

    def test_progress_step_by_step(self):
        done = self.assert_done(self.shared.estc("renew", "gw-two", "--force"))
        text = done.out + done.err
        for part in ("DTLS", "CA certificates", "request", "certificate received", "in place"):
            self.assertIn(part, text)

    def test_no_wait(self):
        start = time.monotonic()
        self.assert_done(self.shared.estc("renew", "gw-two", "--force", "--no-wait"))
        self.assertLess(time.monotonic() - start, 5)
        self.shared.wait_state("gw-two", "valid")

    def test_exit_codes_of_identities(self):
        for name, status in (("no-file", harness.BAD_CONFIG), ("refused", harness.REJECTED),
                             ("lost", harness.UNREACHABLE)):
            with self.subTest(name=name):
                done = self.shared.estc("enroll", name)
                self.assertEqual(done.status, status, done)
                self.assertIn(name, done.err)

    def test_several_report_the_worst(self):
        # The stated order: 4, 2, 3, 1, 5, 0.
        self.assertEqual(self.shared.estc("enroll", "gw", "refused").status, harness.REJECTED)
        self.assertEqual(self.shared.estc("enroll", "refused", "gw", "no-file").status,
                         harness.BAD_CONFIG)
        self.assertEqual(self.shared.estc("enroll", "lost", "gw", "refused").status,
                         harness.REJECTED)

    def test_unknown_identity(self):
        for command in ("show", "enroll", "renew", "cacerts"):
            with self.subTest(command=command):
                done = self.shared.estc(command, "nobody")
                self.assertEqual(done.status, harness.FAILED, done)
                self.assertIn("nobody", done.err)
                self.assertIn("estc list", done.err)

    def test_no_certificate_yet(self):
        done = self.shared.estc("cacerts", "no-file")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("no-file", done.err)
        self.assertNotEqual(self.shared.estc("renew", "no-file").status, harness.DONE)

    def test_usage(self):
        for arguments in ([], ["explode"], ["show"], ["list", "--colour"], ["--socket"],
                          ["show", "gw", "--force"], ["version", "extra"]):
            with self.subTest(arguments=arguments):
                done = harness.run(harness.ESTC, *arguments)
                self.assertEqual(done.status, harness.BAD_USAGE, done)
                self.assertEqual(done.out, "")
                self.assertIn("estc", done.err)

    def test_help(self):
        done = self.assert_done(harness.run(harness.ESTC, "--help"))
        for command in COMMANDS:
            self.assertIn(command, done.out)
            helped = self.assert_done(harness.run(harness.ESTC, command, "--help"))
            self.assertIn(command, helped.out)
            self.assertEqual(helped.err, "")

    def test_no_daemon(self):
        for path in (self.shared.dir / "nothing", self.shared.conf):
            with self.subTest(path=path.name):
                done = harness.run(harness.ESTC, "--socket", path, "list")
                self.assertEqual(done.status, harness.NO_DAEMON, done)
                self.assertIn(str(path), done.err)

    def test_socket_by_environment(self):
        environment = {"ESTC_SOCKET": str(self.shared.socket)}
        self.assert_done(harness.run(harness.ESTC, "list", env=environment))
        done = harness.run(harness.ESTC, "--socket", "/nonexistent/s", "list", env=environment)
        self.assertEqual(done.status, harness.NO_DAEMON)

    def test_version(self):
        done = self.assert_done(self.shared.estc("version"))
        self.assertRegex(done.out, r"\d+\.\d+\.\d+")

    def test_full_disk_under_stdout(self):
        with open("/dev/full", "w") as full:
            for arguments in (["list"], ["show", "gw", "--json"], ["cacerts", "gw"]):
                with self.subTest(arguments=arguments):
                    done = self.shared.estc(*arguments, stdout=full)
                    self.assertEqual(done.status, harness.FAILED, done)
                    self.assertIn("No space left", done.err)

    def test_a_reader_that_goes_away(self):
        done = harness.run("sh", "-c", 'exec "$@" | true', "sh", harness.ESTC, "--socket",
                           self.shared.socket, "list")
        self.assertEqual(done.status, 0, done)
        self.assertNotIn("rror", done.err)

    def test_events_are_followed(self):
        # A file, since select() does not see what Python has buffered of a pipe.
        out = self.shared.dir / "events.json"
        with out.open("w") as file:
            process = subprocess.Popen([harness.ESTC, "--socket", self.shared.socket, "events",
                                        "--json"], stdout=file, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        time.sleep(0.3 * harness.PATIENCE)
        self.shared.estc("renew", "gw", "--force")

        def told():
            events = [json.loads(line) for line in out.read_text().splitlines(True)
                      if line.endswith("\n")]
            # Others may be at work as well.
            kinds = [event["kind"] for event in events if event.get("id") == "gw"]
            return kinds and kinds[-1] == "issued" and kinds

        kinds = harness.wait_for(told, "the events of a renewal")
        self.assertEqual(kinds[0], "started")
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(10), (0, 130, -signal.SIGINT))

    def test_colour_on_a_terminal_only(self):
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        environment["TERM"] = "xterm"
        command = [harness.ESTC, "--socket", str(self.shared.socket), "list"]
        main, side = pty.openpty()
        subprocess.run(command, stdout=side, stderr=side, env=environment, check=True, timeout=20)
        os.close(side)
        on_terminal = os.read(main, 65536).decode()
        os.close(main)
        self.assertIn("\x1b[", on_terminal)
        piped = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True,
                               timeout=20, text=True).stdout
        self.assertNotIn("\x1b", piped)


class DaemonGoesAway(harness.TestCase):
    def test_while_estc_waits(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.write_config([site.identity("gw", attempt_timeout="30s")])
        site.start_daemon()
        process = subprocess.Popen([harness.ESTC, "--socket", site.socket, "enroll", "gw"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        time.sleep(0.5)
        site.daemon.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, harness.NO_DAEMON, err)
        self.assertTrue(err)

    def test_a_clean_end(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.write_config([site.identity("gw", attempt_timeout="30s")])
        site.start_daemon()
        start = time.monotonic()
        self.assertEqual(site.daemon.stop(), 0)
        self.assertLess(time.monotonic() - start, 5 * harness.PATIENCE)
        self.assertFalse(site.socket.exists(), "no socket is left behind")


if __name__ == "__main__":
    harness.main()
