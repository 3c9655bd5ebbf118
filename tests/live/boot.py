#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""boot.py TEST.py [ARGUMENT]...: runs a live test in a machine with a systemd of its own.

The machine is a container (systemd-nspawn) whose / is a throw-away overlay of this machine's own,
with this build installed in it as `meson install` does; nothing of it outlasts the test. The test
runs inside as root, prints TAP, and its exit status is ours. Where no such machine comes up, that is
one skipped point with the reason, or a failed one with ESTC_LIVE_REQUIRED in the environment.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

import harness  # noqa: E402
from tap import Tap  # noqa: E402

SYSTEMD = "/lib/systemd/systemd"
TIME_LIMIT = 150
STARTED = "# the machine is up"  # what a test prints first; without it there was no machine

# What nspawn forbids, and systemd and our own workers make their sandboxes of.
MORE_CALLS = "bpf @keyring landlock_create_ruleset landlock_add_rule landlock_restrict_self"

UNIT = """\
[Unit]
Description=A live test
Wants=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=exec
RuntimeMaxSec={limit}
ExecStart=/usr/bin/python3 /live/source/tests/live/{test} {arguments}
Environment=MESON_BUILD_ROOT=/live/build PYTHONDONTWRITEBYTECODE=1
StandardOutput=file:/live/out/log
StandardError=inherit
"""

# systemd in a container of cgroup v1 wants to write to controllers that nspawn mounts read-only.
INIT = f"""\
for c in memory pids cpu devices; do
    mount -o remount,bind,rw /sys/fs/cgroup/$c 2>/dev/null
done
exec {SYSTEMD} systemd.unit=live.service systemd.show_status=0
"""


class NoMachine(Exception):
    """There can be none here; the text says why."""


def run(*command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise NoMachine(f"{command[0]}: {' '.join(done.stdout.split())}")


def need():
    if not harness.IS_ROOT:
        raise NoMachine("only root can boot a container")
    for program in ("systemd-nspawn", SYSTEMD):
        if not shutil.which(program):
            raise NoMachine(f"{program} is not installed")
    if not harness.private_mounts():
        raise NoMachine("mounting a file system is not allowed here")


def control_groups():
    """The folder of our own control group in each hierarchy that we may divide."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        base = pathlib.Path("/sys/fs/cgroup")
        if number != "0":
            base /= controllers.removeprefix("name=")
        elif not (base / "cgroup.procs").exists():
            base /= "unified"
        group = base / path.lstrip("/")
        if os.access(group / "cgroup.procs", os.W_OK):
            yield group


class ControlGroups:
    """A group of our own below the present one in each hierarchy: what the machine makes is in it."""

    def __enter__(self):
        self.groups = []
        for parent in control_groups():
            mine = parent / f"estcd-live-{os.getpid()}"
            try:
                mine.mkdir()
                (mine / "cgroup.procs").write_text(str(os.getpid()))
                self.groups.append((parent, mine))
            except OSError:
                if mine.exists():
                    mine.rmdir()
        return self

    def __exit__(self, *_):
        for parent, mine in self.groups:
            (parent / "cgroup.procs").write_text(str(os.getpid()))
            for folder, _, _ in os.walk(mine, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # the machine's last process is still being buried


def make_root(folder):
    """The machine's /: ours, without what this machine runs, with this build."""
    for name in ("upper", "work", "root", "out"):
        (folder / name).mkdir()
    root = folder / "root"
    run("mount", "-t", "overlay", "-o",
        f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work", "overlay", root)
    for path in ("etc/systemd/system", "var/log/journal", "etc/estcd", "var/lib/estcd",
                 "etc/est-registrar", "var/lib/est-registrar"):
        shutil.rmtree(root / path, ignore_errors=True)
    (root / "etc/machine-id").write_text("")
    done = harness.run("meson", "install", "-C", harness.BUILD, "--no-rebuild", "--quiet",
                       "--destdir", root)
    if done.status:
        sys.exit(f"this build cannot be installed: {done}")
    return root


def boot(folder, test, arguments):
    """Runs the machine to its end: its exit status, and whether the test has begun."""
    root = make_root(folder)
    unit = root / "etc/systemd/system/live.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(UNIT.format(test=test, arguments=" ".join(arguments), limit=TIME_LIMIT))
    # nspawn wants one of its own there; it is seen in our mount namespace only.
    run("mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run")
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine=live{os.getpid()}",
               "--register=no", "--keep-unit", "--private-network",
               f"--system-call-filter={MORE_CALLS}", f"--bind={folder}/out:/live/out",
               f"--bind-ro={harness.ROOT}:/live/source", f"--bind-ro={harness.BUILD}:/live/build",
               "--console=pipe", "/bin/sh", "-c", INIT]
    with open(folder / "out/console", "wb") as console:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            status = machine.wait(TIME_LIMIT + 10)
        except subprocess.TimeoutExpired:
            status = 1
        finally:
            machine.kill()  # and with it all that is in the machine
            machine.wait()
    texts = [(folder / "out" / name).read_text(errors="replace")
             if (folder / "out" / name).exists() else "" for name in ("log", "console")]
    if STARTED not in texts[0]:
        last = " ".join(texts[1].split())[-300:]
        raise NoMachine(f"a container of systemd does not come up here: {last or status}")
    print(texts[0], end="")
    if status:
        print("\n".join(texts[1].splitlines()[-30:]), file=sys.stderr)
    return status


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is begun gets tidied up
    test, *arguments = sys.argv[1:]
    test = pathlib.Path(test).name
    try:
        need()
        with tempfile.TemporaryDirectory(prefix="estcd-live-") as name, ControlGroups():
            run("mount", "-t", "tmpfs", "-o", "mode=755", "live", name)
            try:
                sys.exit(boot(pathlib.Path(name), test, arguments))
            finally:
                run("umount", "--lazy", name)
    except NoMachine as reason:
        tap = Tap()
        if os.environ.get("ESTC_LIVE_REQUIRED"):
            tap.point(False, test, str(reason))
        else:
            tap.skip(test, str(reason).replace("#", ""))
        tap.finish()


if __name__ == "__main__":
    main()
