# SPDX-License-Identifier: BSD-2-Clause
"""The two machines of the world: a registrar whose clock is right, and a gateway. The programs are the
real ones; what happens to them is the driver's to say, and what is known of them comes from the
registrar's ledger, from the files in force and from /proc.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import pki  # noqa: E402
from verdict import Certificate  # noqa: E402

REGISTRAR, GATEWAY = 0, 1  # machines
DEPLOY = harness.BUILD / "src/estcd-deploy/estcd-deploy"
# A service's reload, which may be broken: it gets on by what is installed for it.
RELOAD = """#!/bin/sh
test ! -e {folder}/broken && cp {folder}/installed.crt {folder}/served.crt
"""
HERE = ["localhost", "127.0.0.1"]
CA_DAYS = 20 * 366


def fast_folder():
    """Ten years write a lot: to memory where there is some."""
    memory = pathlib.Path("/dev/shm")
    return str(memory) if os.access(memory, os.W_OK) else None


class Ledger:
    """What the registrar has issued."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def certificates(self):
        """serial number -> (subject, Certificate)"""
        rows = self.db.execute("SELECT subject, serial, issued_at, not_before, not_after"
                               " FROM certificates").fetchall()
        return {int(row[1], 16): (row[0], Certificate(*row[1:])) for row in rows}

    def count(self):
        return self.db.execute("SELECT count(*) FROM certificates").fetchone()[0]


class Stage:
    """lives: label -> seconds that its certificates live; each is one identity of the gateway. The
    certificates of the second are for a service, which gets them by estcd-deploy."""

    def __init__(self, world, lives):
        self.world, self.lives = world, lives
        tempfile.tempdir = fast_folder()
        self.site = harness.Site()
        self.files = {}  # identity -> (serial, bytes of cert.pem) last found in force
        self.service = self.site.dir / "service"
        self.served = list(lives)[:2][-1]
        self.asleep = False
        pki.now = lambda: self.date(world.real)
        with self.machine(REGISTRAR):
            self.site.init_registrar("--device", "gateway-1")
        self.roots = [self.authority()]
        self.links = []
        self.serve_with(self.roots[0], [self.roots[0].cert])
        self.start_registrar()
        self.ledger = Ledger(self.site.ledger())
        self.configure_gateway()

    @staticmethod
    def date(real):
        return pki.datetime.datetime.fromtimestamp(real, pki.datetime.timezone.utc).replace(
            tzinfo=None)

    @contextlib.contextmanager
    def machine(self, number):
        """Programs that run here and end, on a machine."""
        before = dict(os.environ)
        os.environ.update(self.world.environment(number))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def close(self):
        self.site.close()

    def replace(self, process):
        """Forgets a process that has ended."""
        if process:
            process.end()
            self.site.processes.remove(process)

    # --- the registrar --------------------------------------------------------------------------

    def authority(self):
        return pki.Authority("Site root", days=CA_DAYS)

    def roll_ca(self):
        """The CA gets a new key and issues by it; the server still has its certificate of the old."""
        old, new = self.roots[-1], self.authority()
        self.roots.append(new)
        self.links = [pki.certify(old, new.key, new.subject, CA_DAYS),
                      pki.certify(new, old.key, old.subject, CA_DAYS)]
        self.serve_with(new, [old.cert, *self.links, new.cert], old, server=old)
        self.start_registrar()

    def roll_server(self):
        """And the server gets a certificate of the new key: whoever was away comes by NewWithOld."""
        old, new = self.roots[-2:]
        self.serve_with(new, [old.cert, *self.links, new.cert], old, sent=self.links[:1])
        self.start_registrar()

    def serve_with(self, root, chain, previous=None, server=None, sent=()):
        """The registrar issues by root; its own certificate is by server, followed by sent."""
        folder = self.site.site
        key, cert = (server or root).leaf("server", HERE, life=CA_DAYS * pki.DAY / 2)
        pki.write_key(folder / "server/key.pem", key)
        pki.write_certs(folder / "server/cert.pem", cert, *sent)
        pki.write_key(folder / "root.key", root.key)
        pki.write_certs(folder / "root.pem", root.cert)
        pki.write_certs(folder / "all.pem", *chain)
        ca = {"certificate": "root.pem", "key": "root.key", "chain": "all.pem"}
        if previous:
            pki.write_certs(folder / "previous.pem", previous.cert)
            ca["previous"] = "previous.pem"
        rules = [{"name": label, "client_ca": "factory", "label": label,
                  "subject": {"CN": ["${CN}", "${CN}-*"]}, "lifetime": f"{life}s"}
                 for label, life in self.lives.items()]
        settings = {"address": "127.0.0.1", "port": self.site.port, "ledger": "ledger.sqlite",
                    "control_socket": "control", "log_level": "notice",
                    "server": {"certificate": "server/cert.pem", "key": "server/key.pem"}, "ca": ca,
                    "client_cas": [{"name": "factory", "certificate": "factory/ca.pem"}],
                    "rules": rules}
        (folder / "est-registrar.conf").write_text(harness.libconfig_file(settings))

    def start_registrar(self):
        self.replace(self.site.registrar)
        self.site.registrar = None
        self.site.start_registrar(env=self.world.environment(REGISTRAR))

    def stop_registrar(self):
        self.site.registrar.end()
        self.world.poke()

    # --- the gateway ----------------------------------------------------------------------------

    def configure_gateway(self):
        pki.write_certs(self.site.site / "trust.pem", self.roots[0].cert)
        self.service.mkdir()
        hook = self.service / "reload"
        hook.write_text(RELOAD.format(folder=self.service))
        hook.chmod(0o755)
        deploying = {"install": [{"file": str(self.service / "installed.crt"), "content": "cert"}],
                     "exec": [{"command": [str(hook)]}]}
        self.site.write_config(
            [self.site.identity(label, url=f"{self.site.url}/.well-known/est/{label}",
                                **(deploying if label == self.served else {}))
             for label in self.lives], log_level="info")

    def start_gateway(self):
        self.replace(self.site.daemon)
        self.site.daemon = None
        self.site.start_daemon(env=self.world.environment(GATEWAY))

    def cut_power(self):
        self.site.daemon.end()
        self.world.poke()

    def stop_gateway(self):
        self.site.daemon.stop()

    def reload_gateway(self):
        self.site.daemon.send_signal(signal.SIGHUP)
        self.world.poke()

    def suspend(self, sleeps):
        self.world.suspend(GATEWAY, sleeps)
        self.asleep = sleeps

    def break_service(self, broken):
        mark = self.service / "broken"
        mark.touch() if broken else mark.unlink()

    def deploy(self):
        """What estcd-deploy.path does; it ends before time goes on."""
        if self.runs() and not self.asleep and any((self.site.state / "spool/deploy").iterdir()):
            harness.run(DEPLOY, "-c", self.site.conf, env={
                "RUNTIME_DIRECTORY": str(self.site.dir / "run"), **self.world.environment(GATEWAY)})

    # --- what can be seen -----------------------------------------------------------------------

    def behind(self):
        """Whether the service has another certificate than the one in force."""
        served = self.service / "served.crt"
        if self.in_force(self.served) is None:
            return False
        return not served.exists() or served.read_bytes() != self.files[self.served][1]

    def hindered(self):
        """Whether nothing can be deployed."""
        return not self.runs() or self.asleep or (self.service / "broken").exists()

    def in_force(self, label):
        """The serial number of the certificate that services of the gateway read now, or None.
        AssertionError when what they read is no pair."""
        folder = self.site.current(label)
        if not folder.exists():
            return None
        folder = folder.resolve()
        data = (folder / "cert.pem").read_bytes()
        serial, known = self.files.get(label, (None, None))
        if data != known:
            cert, = pki.load_certs(folder / "cert.pem")
            key = pki.load_key(folder / "key.pem")
            same = key.public_key().public_numbers() == cert.public_key().public_numbers()
            assert same, f"{label}: key and certificate differ"
            serial = cert.serial_number
            self.files[label] = serial, data
        return serial

    def daemons(self):
        """(name, process) of those that run."""
        both = ("the gateway's", self.site.daemon), ("the registrar's", self.site.registrar)
        return [(name, p) for name, p in both if p and p.popen.poll() is None]

    def runs(self):
        """Whether the gateway's daemon does."""
        return self.site.daemon.popen.poll() is None

    @staticmethod
    def size(process):
        """What a daemon has: kB of memory, descriptors."""
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        memory = int(status.split("VmRSS:")[1].split()[0])
        return memory, len(os.listdir(f"/proc/{process.pid}/fd"))

    def n_files(self):
        """Files of the gateway's state."""
        return sum(len(names) for _, _, names in os.walk(self.site.state))

    def keep_logs(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for log in self.site.dir.glob("*.log"):
            shutil.copy(log, folder)
        shutil.copy(self.site.ledger(), folder)

