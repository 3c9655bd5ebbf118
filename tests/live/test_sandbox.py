#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the units forbid, tried from inside by probe.py, as what the unit starts before the daemon.
The same probes without a sandbox show that it is the unit that forbids, and not this machine."""
import ctypes
import json
import pathlib
import pwd

import live
from live import run, systemctl

PROBE = f"/usr/bin/python3 {live.harness.ROOT}/tests/live/probe.py"

# What each unit refuses, and how.
UNKNOWN = "unknown"  # what probe.py says where a processor has no such number
REFUSED = {
    "write /etc": "EROFS", "write /usr": "EROFS", "write /var/lib": "EROFS",
    "write /var/log": "EROFS", "write /run": "EROFS", "write /run/lock": "EROFS",
    "list /root": "EACCES", "list /home": "EACCES",
    "see /proc/1": "ENOENT", "see /proc/cpuinfo": "ENOENT",
    "see /tmp/of-somebody-else": "ENOENT", "see /dev/kmsg": "ENOENT", "see /dev/fuse": "ENOENT",
    "write /proc/sys": "ENOENT", "write /sys/fs/cgroup": "EROFS",
    "socket AF_PACKET": "EAFNOSUPPORT", "socket AF_VSOCK": "EAFNOSUPPORT",
    "socket AF_ALG": "EAFNOSUPPORT",
    "mount": "EPERM", "new user namespace": "EPERM", "new mount namespace": "EPERM",
    "new network namespace": "EPERM", "map for writing and running": "EPERM",
    "make memory runnable": "EPERM", "set the host's name": "EPERM",
    "set the personality": "EPERM", "become real-time": "EPERM", "set the setuid bit": "EPERM",
    "become root": "EPERM", "trace": "EPERM", "load a module": "EPERM",
    "read the kernel's log": "EPERM", "count the kernel's events": "EPERM", "use bpf": "EPERM",
    "swap": "EPERM",
}
# What this machine forbids to everybody, or has not got: nothing is shown by these.
WITHOUT_MEANING = {"write /proc/sys", "write /sys/fs/cgroup", "load a module", "swap",
                   "read the kernel's log", "count the kernel's events", "use bpf",
                   "become real-time", "see /dev/fuse", "see /dev/kmsg", "socket AF_VSOCK",
                   "socket AF_ALG"}


class Sandbox(live.LiveTest):
    @classmethod
    def start(cls):
        live.start_registrar()
        live.write_config({})
        pathlib.Path("/tmp/of-somebody-else").touch()

    def probe(self, unit):
        """What the probes find where the unit's daemon runs."""
        live.setting(f"{unit}.service",
                     f"[Service]\nExecStartPre={PROBE} /var/lib/{unit} /run/{unit}\n")
        self.succeed(systemctl("restart", unit))
        live.setting(f"{unit}.service", "")
        line, = [m for m in live.messages(unit).splitlines() if m.startswith("{")]
        return json.loads(line)

    def assert_caged(self, unit, also_refused):
        found = self.probe(unit)
        user = pwd.getpwnam(unit)
        refused = {**REFUSED, **also_refused}
        allowed = {f"write /var/lib/{unit}", f"write /run/{unit}", "see /dev/urandom",
                   "socket AF_UNIX", "socket AF_INET", "socket AF_INET6", "socket AF_NETLINK"}
        expected = {**dict.fromkeys(allowed, "ok"), **refused,
                    "capabilities": ["0" * 16] * 5, "no new privileges": "1", "seccomp": "2",
                    "umask": "0o77", "core": 0,
                    "ids": [user.pw_uid, user.pw_uid, user.pw_gid, [user.pw_gid]]}
        self.assertEqual({name: found.get(name) for name in {*found, *expected}
                          if found.get(name) not in (expected.get(name), UNKNOWN)}, {})

    def test_estcd_can_do_nothing_but_its_work(self):
        self.assert_caged("estcd", {})

    def test_est_registrar_can_do_nothing_but_its_work(self):
        self.assert_caged("est-registrar", {"socket AF_NETLINK": "EAFNOSUPPORT"})

    def test_the_probes_find_what_no_sandbox_forbids(self):
        found = json.loads(run(*PROBE.split(), "/var/lib", "/run").out)
        hidden = {name for name in REFUSED if found.get(name) not in ("ok", UNKNOWN)}
        self.assertEqual(hidden - WITHOUT_MEANING, set(), found)

    def test_workers_have_their_narrower_cage_inside_of_the_units(self):
        """The unit's filter lets through what the worker's own is made of."""
        create_ruleset, version = 444, 1
        has_it = ctypes.CDLL(None).syscall(create_ruleset, None, 0, version) > 0
        self.succeed(systemctl("restart", "estcd"))
        self.assertEqual("no Landlock here" in live.messages("estcd"), not has_it)


if __name__ == "__main__":
    live.main()
