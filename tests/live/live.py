# SPDX-License-Identifier: BSD-2-Clause
"""What the live tests share, inside of the machine that boot.py boots: the installed programs as
they come up by their units, systemctl, the journal."""
import json
import pathlib
import pwd
import re
import shutil
import sys
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

import harness  # noqa: E402
from harness import run, wait_for  # noqa: E402,F401
from tap_unittest import has_failed  # noqa: E402
from tap_unittest import main as run_tests  # noqa: E402

CONF = pathlib.Path("/etc/estcd/estcd.conf")
STATE = pathlib.Path("/var/lib/estcd")
SITE = pathlib.Path("/etc/est-registrar")
BIRTH = pathlib.Path("/etc/estcd/birth")
SETTINGS = pathlib.Path("/etc/systemd/system")


def systemctl(*arguments):
    return run("systemctl", *arguments)


def prop(unit, name):
    """One property of a unit, as systemd has it now."""
    return systemctl("show", "--property", name, "--value", unit).out.strip()


def main_pid(unit):
    """Of a running unit; never 0, which kill() would take for ourselves."""
    return wait_for(lambda: int(prop(unit, "MainPID")), f"{unit} has a main process")


def journal(*matches):
    """Entries of this boot that match, oldest first, as dicts."""
    run("journalctl", "--sync")
    done = run("journalctl", "--no-pager", "--output=json", *matches)
    return [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]


def messages(*matches):
    """What a unit has written, or what matches, line by line."""
    if len(matches) == 1 and "=" not in matches[0]:
        matches = ("--unit", *matches)
    return "\n".join(str(entry.get("MESSAGE")) for entry in journal(*matches))


def setting(unit, text):
    """Adds to a unit what an operator would with `systemctl edit`; "" takes it away again."""
    folder = SETTINGS / f"{unit}.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "live.conf").write_text(text)
    assert systemctl("daemon-reload").status == 0


def since(begun):
    return time.monotonic() - begun


def write_config(identities, **settings):
    """estcd.conf with these identities: {id: settings}."""
    top = {"log_level": "debug", "start_spread": "0s", **settings}
    listed = [
        {"id": name, "url": "coaps://localhost", "trust": "/etc/estcd/trust.pem",
         "subject": f"CN=gateway-1-{name}",
         "birth": {"certificate": f"{BIRTH}/cert.pem", "key": f"{BIRTH}/key.pem"}, **more}
        for name, more in identities.items()]
    if listed:
        top["identities"] = listed
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text(harness.libconfig_file(top))


def install_users():
    for command in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
        done = run(*command)
        assert done.status == 0, done


def install_birth():
    """What the maker of the gateway has put in it."""
    user = pwd.getpwnam("estcd")
    BIRTH.mkdir(parents=True)
    for name, mode in (("cert.pem", 0o644), ("key.pem", 0o400)):
        shutil.copy(SITE / "devices/gateway-1" / name, BIRTH / name)
        (BIRTH / name).chmod(mode)
        shutil.chown(BIRTH / name, user.pw_uid, user.pw_gid)
    shutil.copy(SITE / "trust.pem", CONF.parent / "trust.pem")


def manual_commands(page):
    """The commands that a manual tells an operator to type, each block of them as it stands."""
    text = (harness.ROOT / "man" / page).read_text()
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def start_registrar(short="1h"):
    """A CA on this machine, as its manual says; short: how long a certificate of that label lives."""
    block, = [b for b in manual_commands("est-registrar.8.scd") if "runuser" in b]
    done = run("sh", "-e", "-c", block)
    assert done.status == 0, done
    conf = SITE / "est-registrar.conf"
    conf.write_text(conf.read_text().replace('lifetime = "1h"', f'lifetime = "{short}"'))
    done = systemctl("start", "est-registrar")
    assert done.status == 0, (done, messages("est-registrar"))


def states():
    """{id: state} by the daemon's own word."""
    done = run("estc", "list", "--json")
    return {entry["id"]: entry["state"] for entry in json.loads(done.out or "[]")}


def show(name):
    done = run("estc", "show", name, "--json")
    value = json.loads(done.out)
    return value[0] if isinstance(value, list) else value


def wait_valid(*names):
    wait_for(lambda: all(states().get(name) == "valid" for name in names),
             f"{', '.join(names)} are valid")


def serial(name):
    """Of the certificate in force, by openssl's word."""
    done = run("openssl", "x509", "-noout", "-serial", "-in",
               STATE / "identities" / name / "current/cert.pem")
    return done.out.strip()


class LiveTest(unittest.TestCase):
    """Tests that share one machine, prepared by start(). The journals of both units are printed
    when one fails."""

    maxDiff = None
    UNITS = ("estcd", "est-registrar")

    @classmethod
    def start(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        try:
            install_users()
            cls.start()
        except BaseException:
            cls.tell()
            raise

    @classmethod
    def tell(cls):
        for unit in cls.UNITS:
            print(f"== {unit}\n{run('systemctl', 'status', unit).out}\n{messages(unit)}",
                  file=sys.stderr)

    def tearDown(self):
        if has_failed(self):
            self.tell()

    def succeed(self, done):
        self.assertEqual(done.status, 0, done)
        return done


def main():
    print("# the machine is up", flush=True)
    run_tests()
