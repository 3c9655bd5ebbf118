#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The whole tree builds with clang without a warning; gcc has just built it, as strictly."""
import os

from tree import BUILD, ROOT, Tap, run


def main():
    tap = Tap()
    folder = BUILD.parent / "build-clang"
    environment = dict(os.environ, CC="clang")
    status, output = 0, ""
    if not (folder / "build.ninja").exists():
        status, output = run("meson", "setup", str(folder), str(ROOT), env=environment)
    if status == 0:
        status, output = run("meson", "compile", "-C", str(folder), env=environment)
    tap.point(status == 0, "clang builds everything without a warning", output[-20000:])
    tap.finish()


if __name__ == "__main__":
    main()
