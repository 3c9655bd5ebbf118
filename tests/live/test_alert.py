#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""on_alert and identities made at run time, under the shipped unit: the program runs, as the daemon's
user and in the daemon's cage, and what is requested outlasts the daemon."""
import pathlib

import live
from live import run, systemctl, wait_for

PROGRAM = pathlib.Path("/usr/local/lib/estcd-alert")
TOLD = pathlib.Path("/run/estcd/told")
SCRIPT = f"""#!/bin/sh
exec >> {TOLD}
echo "$ESTC_ID $ESTC_ALERT by $(id -un) in $(pwd)"
grep NoNewPrivs /proc/self/status
(echo x > /etc/estcd-was-here) 2>/dev/null && echo "writes /etc"
ls /home/* /root 2>/dev/null | grep -q . && echo "sees homes"
ls -d /proc/1 2>/dev/null && echo "sees others"
env | grep -E "NOTIFY|WATCHDOG|LISTEN|CREDENTIALS|INVOCATION|JOURNAL"
echo "to the journal" >&2
echo end
"""


class Alert(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar()
        live.install_birth()
        PROGRAM.write_text(SCRIPT)
        PROGRAM.chmod(0o755)

    def configure(self, trust):
        live.write_config({"gw": {"trust": str(trust)}}, on_alert=str(PROGRAM),
                          defaults={"url": "coaps://localhost", "trust": "/etc/estcd/trust.pem",
                                    "birth": {"certificate": f"{live.BIRTH}/cert.pem",
                                              "key": f"{live.BIRTH}/key.pem"}})

    def told(self, n):
        def lines():
            found = TOLD.read_text().splitlines() if TOLD.exists() else []
            return found.count("end") == n and found
        return wait_for(lines, f"the program was told {n} times")

    def test_an_alert_reaches_the_program_in_its_cage(self):
        self.configure("/etc/estcd/missing.pem")
        self.succeed(systemctl("restart", "estcd"))
        self.assertEqual(self.told(1), ["gw critical by estcd in /", "NoNewPrivs:\t1", "end"])
        self.assertIn("gw: to the journal", live.messages("estcd"))
        entry = live.journal("ESTC_EVENT=alert", "ESTC_ID=gw")[-1]
        self.assertEqual((entry["ESTC_ALERT"], entry["MESSAGE_ID"]),
                         ("critical", "4f40beac38844bbd83c7bdca69d90b8b"))
        self.succeed(systemctl("restart", "estcd"))
        self.configure("/etc/estcd/trust.pem")
        self.succeed(systemctl("reload", "estcd"))
        live.wait_valid("gw")
        self.assertEqual(self.told(2)[3], "gw none by estcd in /")

    def test_what_is_requested_outlasts_the_daemon(self):
        self.configure("/etc/estcd/trust.pem")
        self.succeed(systemctl("restart", "estcd"))
        self.succeed(run("estc", "request", "extra", "--subject", "CN=gateway-1-extra"))
        self.succeed(systemctl("restart", "estcd"))
        self.assertEqual(live.states()["extra"], "valid")
        self.succeed(run("estc", "forget", "--purge", "extra"))
        self.succeed(systemctl("restart", "estcd"))
        self.assertNotIn("extra", live.states())
        events = [entry["ESTC_EVENT"] for entry in live.journal("ESTC_ID=extra")
                  if "ESTC_EVENT" in entry]
        self.assertEqual((events[0], events[-1]), ("requested", "forgotten"))


if __name__ == "__main__":
    live.main()
