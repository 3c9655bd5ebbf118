#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rooms and floors of ARCHITECTURE.md, held against every #include of the tree."""
import re

from tree import Tap, read, tracked

# Room -> rooms that its files may include from, its own and the public headers apart.
ROOMS = {
    "examples": set(),
    "lib/include": set(),
    "lib/base": set(),
    "lib/pkix": {"lib/base"},
    "lib/coap": {"lib/base"},
    "lib/ctl": {"lib/base"},
    "lib/est": {"lib/base", "lib/pkix", "lib/coap"},
    "src/common": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl"},
    "src/agent": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl", "src/common"},
    "src/estcd": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl", "src/common",
                  "src/agent"},
    "src/estcd-deploy": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl", "src/common",
                         "src/agent"},
    "src/estc-cli": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl", "src/common"},
    "src/est-registrar": {"lib/base", "lib/pkix", "lib/coap", "lib/est", "lib/ctl", "src/common"},
}
# Headers of other projects -> the only places that may use them.
FOREIGN = {
    r"coap\d*/": ("lib/coap/",),
    r"systemd/": ("src/",),
    r"libconfig": ("src/",),
    r"sqlite3": ("src/est-registrar/",),
    r"libpq": ("src/est-registrar/",),
    r"curl/": ("src/est-registrar/",),
    r"seccomp|linux/landlock": ("src/estcd/",),
    r"jansson": ("lib/ctl/", "src/"),
    r"cbor": ("lib/est/",),
}
# These two are meant to build where there is no POSIX.
PORTABLE = ("lib/pkix/", "lib/est/")
STANDARD_C = {
    "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h",
}
PORTABLE_BASE = {
    # clock: for its text forms; the clocks themselves are what a port supplies.
    "buf", "clock", "error", "text", "log", "cleanup", "cleanup_estc", "cleanup_ossl", "transport",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def room_of(path):
    return next((room for room in ROOMS if str(path).startswith(room + "/")), None)


def target_of(path, name):
    """The room in which an #include of our own ends, or None for a header of somebody else."""
    if name.startswith("estc/"):
        return "lib/include"
    if "/" not in name:
        return room_of(path)
    for top in ("lib", "src"):
        if f"{top}/{name.split('/')[0]}" in ROOMS:
            return f"{top}/{name.split('/')[0]}"
    return None


def own(path, bracket, name):
    """Problems of an #include of ours."""
    room, target = room_of(path), target_of(path, name)
    if target is None:
        return [f'{path}: "{name}" is in no room that ARCHITECTURE.md knows']
    if (bracket == "<") != (target == "lib/include"):
        return [f"{path}: {name}: <> is for public headers, quotes are for all others"]
    if target not in ("lib/include", room) and target not in ROOMS[room]:
        return [f"{path}: {room} must not include from {target} ({name})"]
    if str(path).startswith(PORTABLE) and target == "lib/base":
        if name.split("/")[-1].removesuffix(".h") not in PORTABLE_BASE:
            return [f"{path}: {name} needs POSIX, which {room} does without"]
    return []


def foreign(path, name):
    """Problems of an #include of another project's header."""
    found = []
    for pattern, places in FOREIGN.items():
        if re.match(pattern, name) and not str(path).startswith(places):
            found.append(f"{path}: <{name}> belongs to {' and '.join(places)} only")
    if str(path).startswith(PORTABLE):
        if name not in STANDARD_C and not name.startswith(("openssl/", "cbor")):
            found.append(f"{path}: <{name}> is neither standard C nor OpenSSL nor libcbor")
    return found


def check(path, text):
    found = []
    for bracket, name in INCLUDE.findall(text):
        if bracket == '"' or name.startswith("estc/"):
            found += own(path, bracket, name)
        else:
            found += foreign(path, name)
    return found


def self_test(tap):
    """The check bites: each of these must be a problem."""
    bad = {
        "lib/base/x.c": '#include "pkix/ossl.h"',
        "lib/pkix/x.c": '#include "coap/dtls.h"',
        "lib/pkix/y.c": "#include <unistd.h>",
        "lib/est/x.c": '#include "base/fs.h"',
        "lib/ctl/x.c": "#include <systemd/sd-event.h>",
        "lib/est/y.c": "#include <coap3/coap.h>",
        "src/estcd/x.c": '#include "est-registrar/ledger.h"',
        "src/common/x.c": '#include "agent/config.h"',
        "src/est-registrar/x.c": '#include "agent/config.h"',
        "src/estcd-deploy/x.c": '#include "estcd/store.h"',
        "src/agent/x.c": '#include "estcd/store.h"',
        "src/estcd/y.c": "#include <sqlite3.h>",
        "src/estcd/w.c": "#include <curl/curl.h>",
        "lib/coap/x.c": "#include <libconfig.h>",
        "src/estcd/z.c": '#include "nowhere/x.h"',
    }
    for path, text in bad.items():
        tap.point(len(check(path, text)) > 0, f"bites: {path} with {text.replace('#', '')}")


def main():
    tap = Tap()
    self_test(tap)
    for room in ROOMS:
        files = tracked(f"{room}/*.c", f"{room}/*.h")
        tap.problems(f"{room}: {len(files)} files include only from below",
                     [p for path in files for p in check(path, read(path))])
    tap.finish()


if __name__ == "__main__":
    main()
