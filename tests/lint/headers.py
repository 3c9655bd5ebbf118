#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each public header compiles by itself, as C and as C++, and twice in one file."""
import shlex
import subprocess

from tree import ROOT, Tap, run, tracked


def main():
    tap = Tap()
    flags = shlex.split(subprocess.run(["pkg-config", "--cflags", "libcrypto"], check=True,
                                       capture_output=True, text=True).stdout)
    for header in tracked("lib/include/estc/*.h"):
        name = f"estc/{header.name}"
        for language, compiler, standard in (("c", "gcc", "c17"), ("c++", "g++", "c++17")):
            status, output = run(
                compiler, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra",
                "-Werror", "-I", str(ROOT / "lib/include"), *flags, "-",
                input=f"#include <{name}>\n#include <{name}>\n")
            tap.point(status == 0, f"<{name}> alone in {language}", output)
    tap.finish()


if __name__ == "__main__":
    main()
