#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""shellcheck over every shell script, and Python's own compiler over every Python file."""
from tree import ROOT, Tap, read, run, tracked


def main():
    tap = Tap()
    shell = [p for p in tracked("dev", "*.sh", ".ci/run")]
    for path in shell:
        status, output = run("shellcheck", "-x", str(path), cwd=ROOT)
        tap.point(status == 0, f"shellcheck {path}", output)
    found = []
    for path in tracked("*.py"):
        try:
            compile(read(path), str(path), "exec")
        except SyntaxError as error:
            found.append(f"{path}:{error.lineno}: {error.msg}")
        first = read(path).splitlines()[0]
        if first.startswith("#!") and first != "#!/usr/bin/python3":
            found.append(f"{path}: {first}: call Debian's own Python by its path")
    tap.problems("every Python file compiles and names Debian's interpreter", found)
    tap.finish()


if __name__ == "__main__":
    main()
