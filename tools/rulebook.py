# SPDX-License-Identifier: BSD-2-Clause
"""tests/rules.txt, and the IDs that names of tests quote."""
import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "tests" / "rules.txt"
LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "REC", "NREC", "IMPL", "MAY", "PROF", "DRAFT")
OPTIONAL = ("MAY", "NREC", "PROF", "DRAFT")
# A name quotes IDs where it begins: "b02_b03_options", "Class.test_d04_waits", or in the name of a
# row of a table, "Class.test_answers (label='f10_wrong_format')".
QUOTED = re.compile(r"(?:^|[\s.\[('\"=])(?:test_)?((?:[a-z]\d\d_)+)(?=[a-z0-9])")


@dataclasses.dataclass
class Rule:
    id: str
    level: str
    who: str
    where: str
    text: str
    ruled_out: str = ""

    @property
    def needs_test(self):
        return not self.ruled_out and self.level not in OPTIONAL


def load(file=FILE):
    """ID -> Rule, in the order of the file. ValueError names a line that is none."""
    rules = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) not in (5, 6) or not re.fullmatch(r"[A-Z]-\d\d", fields[0]):
            raise ValueError(f"{file.name}:{number}: not a rule: {line}")
        rule = Rule(*fields)
        if rule.level not in LEVELS or rule.who not in tuple("CSBR") or rule.id in rules:
            raise ValueError(f"{file.name}:{number}: level, who or a second {rule.id}: {line}")
        rules[rule.id] = rule
    return rules


def quoted(name):
    """The IDs that the name of a test quotes: "Class.test_b02_x (label='f10_y')" -> B-02, F-10."""
    words = [word for run in QUOTED.findall(name) for word in run.strip("_").split("_")]
    return [f"{word[0].upper()}-{word[1:]}" for word in dict.fromkeys(words)]
