#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The journal's catalogue and the table of events say the same, and journalctl can read it."""
import pathlib
import re
import shutil
import tempfile

from tree import Tap, read, run, tracked

CATALOG = "systemd/estcd.catalog"
TABLE = "src/estcd/catalog.h"
EVENT = re.compile(r'X\((CATALOG_\w+), "(\w+)", (\w+),\s+"([\w-]+)"\)')


def entries():
    """MESSAGE_ID -> (header lines, text)"""
    found = {}
    for block in re.split(r"^-- ", read(CATALOG), flags=re.MULTILINE)[1:]:
        number, _, rest = block.partition("\n")
        head, _, text = rest.partition("\n\n")
        found[number.strip()] = (head.splitlines(), text.strip())
    return found


def fields_of_code():
    """Names of fields that some entry can have."""
    code = "".join(read(p) for p in tracked("src/estcd/*.c"))
    return set(re.findall(r'"(ESTC_[A-Z0-9_]+)=', code))


def check_entry(number, head, text, known):
    titles = [line.split(":")[0] for line in head]
    for title in ("Subject", "Defined-By", "Documentation"):
        if titles.count(title) != 1:
            yield f"{number}: {titles.count(title)} lines {title}:"
    if len(text) < 80:
        yield f"{number}: no text that explains it"
    for name in re.findall(r"@(\w+)@", "\n".join(head) + text):
        if name not in known:
            yield f"{number}: no entry has the field {name}"
    for page, chapter in re.findall(r"man:([\w.-]+)\((\d)\)", "\n".join(head)):
        if not tracked(f"man/{page}.{chapter}.scd"):
            yield f"{number}: no manual {page}({chapter})"


def check_journalctl(tap, numbers):
    if not shutil.which("journalctl"):
        tap.skip("journalctl reads the catalogue", "journalctl is not installed")
        return
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root, "usr/lib/systemd/catalog")
        folder.mkdir(parents=True)
        pathlib.Path(root, "var/lib/systemd/catalog").mkdir(parents=True)
        (folder / "estcd.catalog").write_text(read(CATALOG), encoding="utf-8")
        status, output = run("journalctl", f"--root={root}", "--update-catalog")
        tap.point(status == 0 and not output, "journalctl takes the catalogue", output)
        status, output = run("journalctl", f"--root={root}", "--dump-catalog")
        tap.problems("journalctl knows each event",
                     [f"{n} is not in: {output}" for n in numbers if f"-- {n}\n" not in output])


def main():
    tap = Tap()
    table = EVENT.findall(read(TABLE))
    known = entries()
    numbers = [number for _, number, _, _ in table]
    tap.point(len(table) > 10 and len(table) == read(TABLE).count("X(CATALOG_"),
              "the table of events can be read")
    tap.problems("each event has one MESSAGE_ID of 128 bits, and a label of its own",
                 [f"{name}: {number}" for name, number, _, label in table
                  if not re.fullmatch(r"[0-9a-f]{32}", number) or numbers.count(number) != 1
                  or [l for *_, l in table].count(label) != 1])
    tap.problems("each event is in the catalogue",
                 [name for name, number, _, _ in table if number not in known])
    tap.problems("nothing else is in the catalogue", [n for n in known if n not in numbers])
    code = "".join(read(p) for p in tracked("src/estcd/*.c"))
    tap.problems("each event is logged somewhere",
                 [name for name, *_ in table if not re.search(rf"\b{name}\b", code)])
    fields = fields_of_code()
    tap.problems("each entry has a subject, a manual and an explanation",
                 [line for number, (head, text) in known.items()
                  for line in check_entry(number, head, text, fields)])
    manual = read("man/estcd.8.scd").replace("\\_", "_")
    tap.problems("estcd.8 names each event and each field",
                 [label for *_, label in table if f"*{label}*" not in manual] +
                 [field for field in sorted(fields) if field not in manual])
    check_journalctl(tap, numbers)
    tap.finish()


if __name__ == "__main__":
    main()
