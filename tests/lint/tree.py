# SPDX-License-Identifier: BSD-2-Clause
"""The source tree as the lint checks see it: tracked files, and where the build is."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MESON_BUILD_ROOT", ROOT / "build"))
sys.path.insert(0, str(ROOT / "tests"))

from tap import Tap  # noqa: E402,F401  (for all checks)


def tracked(*patterns):
    """Paths, relative to ROOT, of the tracked files that match."""
    command = ["git", "-C", str(ROOT), "ls-files", "--", *patterns]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [pathlib.Path(line) for line in output.splitlines() if (ROOT / line).is_file()]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def run(*command, **options):
    """(exit status, output and errors as one text)"""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    return done.returncode, done.stdout
