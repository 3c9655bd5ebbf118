#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""lib/pkix and lib/est compile where there is nothing but standard C, OpenSSL and libcbor: against a
folder of headers that holds these and no POSIX, as strict C17."""
import pathlib
import subprocess
import tempfile

from tree import ROOT, Tap, run, tracked

STANDARD_C = ("assert", "complex", "ctype", "errno", "fenv", "inttypes", "limits", "locale", "math",
              "setjmp", "signal", "stdint", "stdio", "stdlib", "string", "tgmath", "time", "uchar",
              "wchar", "wctype")
# What these are made of in glibc; none of it is for programs to include.
INSIDES = ("features.h", "features-time64.h", "stdc-predef.h", "asm-generic", "linux/errno.h")
INSIDES_OF_MACHINE = ("asm", "bits", "gnu", "sys/cdefs.h")
# What OpenSSL's own headers ask for, as a port without threads has it.
PORT = {"pthread.h": "typedef int pthread_once_t, pthread_key_t, pthread_t;\n",
        "sys/types.h": "#include <stddef.h>\ntypedef long ssize_t;\n"}
FLAGS = ("-std=c17", "-fsyntax-only", "-nostdinc", "-Wall", "-Wextra", "-Werror",
         "-Wno-missing-field-initializers", "-Ilib", "-Ilib/include")


def link(folder, name, target):
    if target.exists():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)


def fill(folder):
    """The headers of a system that has no more."""
    usr = pathlib.Path("/usr/include")
    machine = usr / subprocess.run(["gcc", "-print-multiarch"], check=True, capture_output=True,
                                   text=True).stdout.strip()
    for name in [f"{part}.h" for part in STANDARD_C] + list(INSIDES) + ["cbor.h", "cbor"]:
        link(folder, name, usr / name)
    for name in INSIDES_OF_MACHINE:
        link(folder, name, machine / name)
    # Those of a Debian package lie in two places.
    for header in [*(usr / "openssl").glob("*.h"), *(machine / "openssl").glob("*.h")]:
        link(folder, f"openssl/{header.name}", header)
    for name, text in PORT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def main():
    tap = Tap()
    builtin = subprocess.run(["gcc", "-print-file-name=include"], check=True, capture_output=True,
                             text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as temporary:
        headers = fill(pathlib.Path(temporary))
        compiler = ["gcc", *FLAGS, "-isystem", builtin, "-isystem", str(headers)]
        for source in tracked("lib/pkix/*.c", "lib/est/*.c"):
            status, output = run(*compiler, str(source), cwd=ROOT)
            tap.point(status == 0, f"{source} with standard C, OpenSSL and libcbor alone", output)
        for text in ("#include <unistd.h>", "#include <poll.h>", "#include <sys/socket.h>",
                     "#include <string.h>\nchar *f(void) { return strdup(\"\"); }"):
            status, _ = run(*compiler, "-x", "c", "-", input=text + "\n", cwd=ROOT)
            tap.point(status != 0, f"bites: {text.splitlines()[-1].replace('#', '')}")
    tap.finish()


if __name__ == "__main__":
    main()
