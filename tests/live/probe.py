#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""probe.py STATE RUN: tries what a unit's sandbox is there to forbid, and what it has to allow, and
prints one line of JSON: {probe: name of the errno, "ok", or what was found}. Runs in the place of the
daemon, as its user, within all that the unit says of it."""
import ctypes
import errno
import json
import mmap
import os
import pathlib
import platform
import resource
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"x86_64": {"bpf": 321, "init_module": 175, "perf_event_open": 298, "ptrace": 101,
                    "swapon": 167, "syslog": 103},
         "aarch64": {"bpf": 280, "init_module": 105, "perf_event_open": 241, "ptrace": 117,
                     "swapon": 224, "syslog": 116}}.get(platform.machine(), {})
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
ADDR_NO_RANDOMIZE, PTRACE_TRACEME = 0x40000, 0
PROT_WX = mmap.PROT_WRITE | mmap.PROT_EXEC
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def checked(value):
    if value == -1:
        raise OSError(ctypes.get_errno(), "")
    return value


def call(name, *arguments):
    return checked(libc.syscall(CALLS[name], *arguments))


def write(path):
    file = pathlib.Path(path)
    existed = file.exists()
    with open(file, "a", encoding="ascii"):
        pass
    if not existed:
        file.unlink()


def make_setuid(folder):
    file = pathlib.Path(folder) / "probe-setuid"
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def make_executable():
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_WRITE, ANONYMOUS, -1, 0)
    checked(libc.mprotect(ctypes.c_void_p(page), mmap.PAGESIZE, mmap.PROT_EXEC))


def as_child(function):
    """What would change us, tried by a child: raises what it has raised."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "")


def status(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.split()[1]
    return None


def probes(state, run):
    """name -> function; what it gives back is what was found, None is "ok"."""
    found = {f"write {path}": (lambda path=path: write(f"{path}/probe"))
             for path in ("/etc", "/usr", "/var/lib", "/var/log", "/run", "/run/lock", state, run)}
    found |= {f"socket {name}": (lambda name=name: socket.socket(getattr(socket, name),
                                                                socket.SOCK_RAW).close())
              for name in ("AF_PACKET", "AF_NETLINK")}
    found |= {f"socket {name}": (lambda name=name: socket.socket(getattr(socket, name),
                                                                socket.SOCK_DGRAM).close())
              for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_VSOCK", "AF_ALG")}
    found |= {f"see {path}": (lambda path=path: os.stat(path) and None)
              for path in ("/proc/1", "/proc/cpuinfo", "/tmp/of-somebody-else", "/dev/kmsg",
                           "/dev/fuse", "/dev/urandom")}
    found |= {
        "list /root": lambda: os.listdir("/root") and None,
        "list /home": lambda: os.listdir("/home") and None,
        "write /proc/sys": lambda: write("/proc/sys/net/ipv4/ip_forward"),
        "write /sys/fs/cgroup": lambda: os.mkdir("/sys/fs/cgroup/probe"),
        "mount": lambda: as_child(lambda: checked(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))),
        "new user namespace": lambda: as_child(lambda: checked(libc.unshare(CLONE_NEWUSER))),
        "new mount namespace": lambda: as_child(lambda: checked(libc.unshare(CLONE_NEWNS))),
        "new network namespace": lambda: as_child(lambda: checked(libc.unshare(CLONE_NEWNET))),
        "map for writing and running": lambda: mmap.mmap(-1, mmap.PAGESIZE, ANONYMOUS,
                                                         PROT_WX).close(),
        "make memory runnable": make_executable,
        "set the host's name": lambda: socket.sethostname(socket.gethostname()),
        "set the personality": lambda: as_child(lambda: checked(
            libc.personality(ADDR_NO_RANDOMIZE))),
        "become real-time": lambda: as_child(
            lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        "set the setuid bit": lambda: make_setuid(state),
        "become root": lambda: as_child(lambda: os.setuid(0)),
        "trace": lambda: as_child(lambda: call("ptrace", PTRACE_TRACEME, 0, 0, 0)),
        "load a module": lambda: call("init_module", 0, 0, 0),
        "read the kernel's log": lambda: call("syslog", 2, 0, 0),
        "count the kernel's events": lambda: call("perf_event_open", 0, 0, -1, -1, 0),
        "use bpf": lambda: call("bpf", 0, 0, 0),
        "swap": lambda: call("swapon", 0, 0),
        "capabilities": lambda: [status(f) for f in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no new privileges": lambda: status("NoNewPrivs"),
        "seccomp": lambda: status("Seccomp"),
        "umask": lambda: oct(os.umask(0o77)),
        "core": lambda: resource.getrlimit(resource.RLIMIT_CORE)[1],
        "ids": lambda: [os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())],
    }
    return found


def main():
    results = {}
    for name, probe in probes(*sys.argv[1:3]).items():
        try:
            value = probe()
            results[name] = "ok" if value is None else value
        except OSError as error:
            results[name] = errno.errorcode.get(error.errno, str(error.errno))
        except KeyError:
            results[name] = "unknown"  # the number of a system call, on this processor
    print(json.dumps(results))


if __name__ == "__main__":
    main()
