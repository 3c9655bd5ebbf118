# SPDX-License-Identifier: BSD-2-Clause
"""What the integration tests share: a site of its own for each test (folder, ports, the real
programs), waiting with deadlines, and unittest printing TAP. Standard library and pki.py only.

A site ends all that it has started, whatever becomes of the test; the logs of its programs are
printed when the test fails.
"""
import ctypes
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import pki

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MESON_BUILD_ROOT", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "tests"))

from tap_unittest import has_failed, main  # noqa: E402,F401  for those who import this

ESTCD = BUILD / "src/estcd/estcd"
ESTC = BUILD / "src/estc-cli/estc"
REGISTRAR = BUILD / "src/est-registrar/est-registrar"

# Set by tools/asan.sh: everything is slower, and a preload has to stand behind the runtime.
SANITIZED = bool(os.environ.get("ESTC_TEST_SANITIZED"))
PATIENCE = 4 if SANITIZED else 1
# Or by `./dev cover`: in any case the programs are larger than they are.
INSTRUMENTED = SANITIZED or bool(os.environ.get("ESTC_TEST_COVERAGE"))

# Exit codes (src/common/exitcode.h).
DONE, FAILED, REJECTED, UNREACHABLE, BAD_CONFIG, WORKING = range(6)
BAD_USAGE, NO_DAEMON, NOT_ALLOWED, CONFIG_TEXT = 64, 69, 77, 78

IS_ROOT = os.geteuid() == 0
needs_root = unittest.skipUnless(IS_ROOT, "needs root")

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def private_mounts():
    """True when this process now has mounts of its own, which end with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return (IS_ROOT and libc.unshare(CLONE_NEWNS) == 0 and
            libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0)


def preload(name):
    """The environment that puts a library of tests/integration/preload into a program."""
    libraries = [str(BUILD / "tests/integration" / f"lib{name}.so")]
    if SANITIZED:
        libraries.insert(0, os.environ["ESTC_TEST_LIBASAN"])
    return {"LD_PRELOAD": ":".join(libraries)}


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(predicate, what, timeout=15):
    """The first true value of predicate(); AssertionError with `what` when there is none in time."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout * PATIENCE} s: {what}")
        time.sleep(0.05)


def libconfig(value, depth=0):
    """A Python value in libconfig's notation; a dict is a group, a list of dicts a list."""
    inner = "    " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{key} = {libconfig(item, depth + 1)};\n" for key, item in value.items()]
        return "{\n" + "".join(lines) + "    " * depth + "}"
    if isinstance(value, (list, tuple)):
        items = ", ".join(libconfig(item, depth + 1) for item in value)
        return f"({items})" if value and isinstance(value[0], dict) else f"[{items}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def libconfig_file(settings):
    return "".join(f"{key} = {libconfig(value)};\n" for key, value in settings.items())


class Result:
    """What a program that has ended left behind."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"status {self.status}\nstdout: {self.out}\nstderr: {self.err}"


def run(*command, timeout=60, env=None, user=None, groups=(), stdin=None, stdout=subprocess.PIPE):
    """Runs a program to its end; user is (uid, gid), groups its supplementary groups."""
    identity = {}
    if user is not None:
        identity = {"user": user[0], "group": user[1], "extra_groups": list(groups)}
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL if stdin is None else None,
        input=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=timeout * PATIENCE,
        env={**os.environ, "NO_COLOR": "1", **(env or {})}, **identity)
    return Result(done)


def nobody():
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def is_running(pid):
    """False for a zombie too: who inherits an orphan may take its time to reap it."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


class Process:
    """A daemon in the background; its output goes to a log, its readiness comes by sd_notify."""

    def __init__(self, name, command, folder, env=None, user=None):
        self.name = name
        self.log_path = folder / f"{name}.log"
        notify = folder / f"{name}.notify"
        notify.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(notify))
        os.chmod(notify, 0o666)
        self.messages = []
        threading.Thread(target=self._listen, daemon=True).start()
        self.log_file = open(self.log_path, "ab")
        identity = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
        self.popen = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self.log_file,
            stderr=self.log_file, start_new_session=True,
            env={**os.environ, "NOTIFY_SOCKET": str(notify), **(env or {})}, **identity)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def _listen(self):
        """Nobody waits for a notification to be read, so that sd_notify() never blocks."""
        while True:
            try:
                self.messages += self.notify.recv(65536).decode(errors="replace").splitlines()
            except OSError:
                return

    def notified(self, word):
        """True once a message with that line has come."""
        return word in self.messages

    def notified_part(self, part):
        """True once a message has come with that in a line."""
        return any(part in message for message in self.messages)

    def wait_ready(self, timeout=15):
        wait_for(lambda: self.notified("READY=1") or self.popen.poll() is not None,
                 f"{self.name} is ready", timeout)
        if self.popen.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()}")
        return self

    def wait_exit(self, timeout=15):
        return self.popen.wait(timeout * PATIENCE)

    def children(self):
        """Process ids of the running children, zombies left out."""
        try:
            text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except FileNotFoundError:
            return []
        return [int(pid) for pid in text.split() if is_running(pid)]

    def send_signal(self, number):
        self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Ends it; the exit status, negative for a signal."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout * PATIENCE)
        finally:
            self.end()

    def ask_to_end(self):
        if self.popen.poll() is None:
            self.popen.terminate()

    def end(self, grace=0):
        """Whatever is left of it and its children goes, after so many seconds at the latest."""
        try:
            self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        try:
            self.notify.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.notify.close()
        self.log_file.close()


class Site:
    """A folder with a registrar, a daemon and whatever else a test needs."""

    def __init__(self):
        # Short: the path of a Unix socket has 107 bytes. World-searchable for tests of rights.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="estc-"))
        self.dir.chmod(0o755)
        self.processes = []
        self.registrar = None
        self.daemon = None
        self.socket = self.dir / "control"
        self.state = self.dir / "state"
        self.conf = self.dir / "estcd.conf"
        self.site = self.dir / "registrar"
        self.port = None

    def close(self):
        # In its own time, so that leaks and coverage of it are seen.
        for process in self.processes:
            process.ask_to_end()
        for process in self.processes:
            process.end(grace=3)
        shutil.rmtree(self.dir, ignore_errors=True)

    def logs(self):
        return "\n".join(f"--- {p.name}.log\n{p.log()[-8000:]}" for p in self.processes)

    def start(self, name, *command, env=None, user=None):
        process = Process(name, command, self.dir, env, user)
        self.processes.append(process)
        return process

    # --- the registrar --------------------------------------------------------------------------

    def init_registrar(self, *arguments):
        """est-registrar init, listening on a free port of 127.0.0.1."""
        done = run(REGISTRAR, "init", self.site, *arguments)
        assert done.status == 0, done
        self.port = self.port or free_port()
        self.set_registrar("address", "127.0.0.1")
        self.set_registrar("port", self.port)

    def set_registrar(self, key, value):
        """Changes one setting of the registrar's configuration."""
        file = self.site / "est-registrar.conf"
        text = file.read_text()
        line = f"{key} = {libconfig(value)};"
        changed = re.sub(rf"^#?\s*{key}\s*=[^;]*;", lambda _: line, text, count=1, flags=re.M)
        file.write_text(changed if line in changed else f"{line}\n{text}")

    def start_registrar(self, env=None):
        self.registrar = self.start("est-registrar", REGISTRAR, "-c",
                                    self.site / "est-registrar.conf", env=env)
        return self.registrar.wait_ready()

    def device(self, name):
        """birth settings of a device that est-registrar init has made."""
        folder = self.site / "devices" / name
        return {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}

    def birth(self, name="gateway-1"):
        """The same as objects of `cryptography`: (key, certificates)."""
        folder = self.site / "devices" / name
        return pki.load_key(folder / "key.pem"), pki.load_certs(folder / "cert.pem")

    def ledger(self):
        """Path of the registrar's sqlite file."""
        found, = [p for p in self.site.rglob("*") if p.is_file()
                  and p.open("rb").read(15) == b"SQLite format 3"]
        return found

    @property
    def url(self):
        return f"coaps://localhost:{self.port}"

    # --- the daemon -----------------------------------------------------------------------------

    def write_config(self, identities, **settings):
        """estcd.conf with these identities (dicts) and settings."""
        top = {"state_directory": str(self.state), "control_socket": str(self.socket),
               "log_level": "debug", "start_spread": "0s"}
        top.update(settings)
        if identities is not None:
            top["identities"] = identities
        self.conf.write_text(libconfig_file(top))

    def identity(self, name, **settings):
        """One identity at the site's registrar; settings add or replace, None removes."""
        entry = {"id": name, "url": self.url, "birth": self.device("gateway-1"),
                 "trust": str(self.site / "trust.pem"), "subject": f"CN=gateway-1-{name}"}
        entry.update(settings)
        return {key: value for key, value in entry.items() if value is not None}

    def start_daemon(self, env=None, ready=True, user=None):
        self.daemon = self.start("estcd", ESTCD, "-c", self.conf, env=env, user=user)
        return self.daemon.wait_ready() if ready else self.daemon

    def check(self):
        """estcd -n: the configuration is judged, nothing is started."""
        return run(ESTCD, "-c", self.conf, "-n")

    def estc(self, *arguments, **options):
        return run(ESTC, "--socket", self.socket, *arguments, **options)

    def show(self, name):
        """The identity as estc show --json has it."""
        done = self.estc("show", name, "--json")
        assert done.out, done
        value = done.json()
        return value[0] if isinstance(value, list) else value

    def wait_state(self, name, *states, timeout=20):
        return wait_for(lambda: (shown := self.show(name))["state"] in states and shown,
                        f"{name} is {' or '.join(states)}", timeout)

    def wait_serial(self, name, old, timeout=60):
        """Waits for a certificate with another serial number, and gives it."""
        def changed():
            certificate = self.show(name).get("certificate")
            return certificate and certificate["serial"] != old and certificate
        return wait_for(changed, f"{name} has another serial than {old}", timeout)

    def current(self, name):
        return self.state / "identities" / name / "current"

    def assert_consistent(self, name):
        """openssl's own opinion: key, certificate, chain and trust of an identity fit together."""
        folder = self.current(name).resolve()
        # A shell would say: the pair, resolved once.
        public = run("openssl", "pkey", "-in", folder / "key.pem", "-pubout")
        certified = run("openssl", "x509", "-in", folder / "cert.pem", "-noout", "-pubkey")
        assert public.status == 0 and certified.status == 0, (public, certified)
        assert public.out == certified.out, "key.pem and cert.pem are no pair"
        chain = folder / "chain.pem"
        untrusted = ["-untrusted", chain] if chain.stat().st_size else []
        verified = run("openssl", "verify", "-CAfile", folder / "cacerts.pem", *untrusted,
                       folder / "cert.pem")
        assert verified.status == 0, verified


class TestCase(unittest.TestCase):
    """A test with sites that end with it."""

    maxDiff = None

    def site(self):
        site = Site()
        self.addCleanup(site.close)
        self.addCleanup(self._show_logs, site)
        return site

    def _show_logs(self, site):
        if has_failed(self):
            print(site.logs(), file=sys.stderr)


class ClassSite(unittest.TestCase):
    """Tests that share one site, made in setUpClass() by start(site)."""

    maxDiff = None
    shared = None

    @classmethod
    def start(cls, site):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.shared = Site()
        cls.addClassCleanup(cls.shared.close)
        try:
            cls.start(cls.shared)
        except BaseException:
            print(cls.shared.logs(), file=sys.stderr)
            raise

    def tearDown(self):
        if has_failed(self):
            print(self.shared.logs(), file=sys.stderr)
