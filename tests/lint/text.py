#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What every source file looks like: licence line, no unfinished business, format, size."""
import re

from tree import ROOT, Tap, read, run, tracked

SOURCES = ("*.c", "*.h", "*.py", "*.sh", "*.build", "*.map", "*.scd", "*.bt", "dev", ".ci/run")
# Split, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")
C_LINES_MAX = 400


def spdx(path):
    head = "\n".join(read(path).splitlines()[:2])
    return "SPDX-License-Identifier: BSD-2-Clause" in head


def main():
    tap = Tap()
    sources = tracked(*SOURCES)
    c_files = tracked("*.c", "*.h")
    tap.problems(f"{len(sources)} files name their licence in the first two lines",
                 [f"{p}: no SPDX line" for p in sources
                  if p.suffix != ".scd" and not spdx(p)])
    tap.problems("nothing is left to be done",
                 [f"{p}:{i}: {line.strip()}" for p in sources
                  for i, line in enumerate(read(p).splitlines(), 1) if UNFINISHED.search(line)])
    tap.problems("no line ends with white space, no file without a line feed",
                 [f"{p}:{i}: white space at the end" for p in sources
                  for i, line in enumerate(read(p).split("\n"), 1) if line != line.rstrip()] +
                 [f"{p}: no line feed at the end" for p in sources
                  if read(p) and not read(p).endswith("\n")])
    tap.problems(f"no file of lib/ and src/ is longer than {C_LINES_MAX} lines",
                 [f"{p}: {n} lines" for p in c_files if p.parts[0] in ("lib", "src")
                  and (n := len(read(p).splitlines())) > C_LINES_MAX])
    status, output = run("clang-format", "--dry-run", "-Werror", *map(str, c_files), cwd=ROOT)
    tap.point(status == 0, f"{len(c_files)} C files are formatted (./dev fmt)", output)
    tap.finish()


if __name__ == "__main__":
    main()
