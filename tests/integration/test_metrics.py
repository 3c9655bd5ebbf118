#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is measured, read by a parser that takes nothing but what the formats allow."""
import calendar
import os
import re
import time
import unittest

import harness

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,(?=[a-zA-Z_])|(?=}))')
SUFFIXES = {"counter": "_total", "info": "_info", "gauge": "", "stateset": ""}


class Family:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.unit = self.help = None
        self.samples = {}  # labels as a sorted tuple of pairs -> value


def parse_labels(text):
    labels, at = {}, 1
    while text[at:] != "}":
        found = LABEL.match(text, at)
        if not found or found.group(1) in labels:
            raise ValueError(f"labels: {text}")
        labels[found.group(1)] = re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else
                                        m.group(1), found.group(2))
        at = found.end()
    if not labels:
        raise ValueError(f"no label in braces: {text}")
    return tuple(sorted(labels.items()))


def parse_comment(line, families, current, strict):
    """The family that the line begins or goes on with."""
    found = re.fullmatch(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)", line)
    if not found:
        raise ValueError(line)
    what, name, text = found.groups()
    if what == "TYPE":
        if name in families or text not in (SUFFIXES if strict else ("gauge", "counter")):
            raise ValueError(line)
        families[name] = Family(name, text)
        return families[name]
    if not current or current.name != name or current.samples:
        raise ValueError(f"not before the samples of its family: {line}")
    if what == "UNIT":
        if not strict or current.unit or not name.endswith("_" + text):
            raise ValueError(line)
        current.unit = text
    else:
        current.help = text
    return current


def parse_sample(line, current, strict):
    found = re.fullmatch(rf"({NAME})({{.*}})? (-?\d+)", line)
    if not found or not current:
        raise ValueError(line)
    name, labels, value = found.groups()
    if name != current.name + (SUFFIXES[current.kind] if strict else ""):
        raise ValueError(f"in the family {current.name}: {line}")
    key = parse_labels(labels) if labels else ()
    value = int(value)
    if key in current.samples or (current.kind == "counter" and value < 0) or \
            (current.kind == "info" and value != 1) or \
            (current.kind == "stateset" and (value not in (0, 1)
                                             or current.name not in dict(key))):
        raise ValueError(line)
    current.samples[key] = value


def parse(text, strict=True):
    """strict: OpenMetrics 1.0; otherwise the text format of Prometheus."""
    families, current = {}, None
    if not text.endswith("# EOF\n" if strict else "\n"):
        raise ValueError("no end")
    for line in text.removesuffix("# EOF\n").splitlines():
        if line.startswith("#"):
            current = parse_comment(line, families, current, strict)
        else:
            parse_sample(line, current, strict)
    return families


class Parser(unittest.TestCase):
    def test_the_parser_is_strict(self):
        good = '# TYPE a gauge\n# HELP a x\na{b="c\\"}"} 1\n# EOF\n'
        self.assertEqual(parse(good)["a"].samples, {(("b", 'c"}'),): 1})
        for bad in (good.removesuffix("# EOF\n"), good.replace("gauge", "gouge"),
                    good.replace("} 1", "} 1.5.5"), good.replace('\\"', '"'),
                    good.replace("a{", "b{"), good.replace("# EOF", "a 1\na 2\n# EOF"),
                    good.replace("gauge", "counter"), good.replace("# EOF", "# EOF\n"),
                    good.replace("# HELP a x", "# UNIT a seconds"), good.replace('"}"}', '"}",}')):
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                parse(bad)


class Metrics(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        cls.file = site.dir / "estcd.prom"
        site.write_config([site.identity("gw"),
                           site.identity("no-file", trust="/nonexistent/trust.pem"),
                           site.identity("refused", subject="CN=somebody-else")],
                          metrics_file=str(cls.file))
        site.start_daemon()
        for name, state in (("gw", "valid"), ("no-file", "config"), ("refused", "failing")):
            site.wait_state(name, state)

    def value(self, families, name, **labels):
        return families[name].samples.get(tuple(sorted(labels.items())))

    def test_openmetrics_by_the_command(self):
        done = self.shared.estc("metrics")
        self.assertEqual((done.status, done.err), (harness.DONE, ""), done)
        families = parse(done.out)
        for family in families.values():
            self.assertTrue(family.help, family.name)
            self.assertEqual(family.unit == "seconds", family.name.endswith("_seconds"))
        shown = self.shared.estc("show", "gw", "--json").json()
        end = calendar.timegm(time.strptime(shown["certificate"]["not_after"],
                                            "%Y-%m-%dT%H:%M:%SZ"))
        self.assertEqual(self.value(families, "estcd_certificate_not_after_timestamp_seconds",
                                    id="gw"), end)
        self.assertIsNone(self.value(families, "estcd_certificate_not_after_timestamp_seconds",
                                     id="refused"))
        self.assertEqual(self.value(families, "estcd_identities"), 3)
        self.assertEqual(self.value(families, "estcd_clock_trusted"), 1)
        states = families["estcd_identity_state"].samples
        self.assertEqual({dict(k)["id"]: dict(k)["estcd_identity_state"]
                          for k, v in states.items() if v},
                         {"gw": "valid", "no-file": "config", "refused": "failing"})
        self.assertEqual(self.value(families, "estcd_identity_alert", id="gw"), 0)
        self.assertEqual(self.value(families, "estcd_identity_alert", id="no-file"), 2)
        self.assertEqual(self.value(families, "estcd_identity_attempts", id="gw", result="ok"), 1)
        self.assertEqual(self.value(families, "estcd_identity_last_attempt", id="refused",
                                    action="enroll", result="rejected"), 1)
        self.assertEqual(self.shared.estc("metrics", "--json").json().keys(), {"openmetrics"})

    def test_the_file_follows_what_happens(self):
        def tries():
            families = parse(self.file.read_text(encoding="ascii"), strict=False)
            return self.value(families, "estcd_identity_attempts_total", id="gw", result="ok")
        before = harness.wait_for(tries, "gw's first attempt is in the file")
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o644)
        self.assertEqual(self.shared.estc("renew", "gw", "--force").status, harness.DONE)
        harness.wait_for(lambda: tries() == before + 1, "the renewal is in the file")

    def test_alerts_are_shown(self):
        done = self.shared.estc("list")
        self.assertRegex(done.out, r"(?m)^no-file +config ! ")
        self.assertRegex(done.out, r"(?m)^gw +valid  ")
        self.assertRegex(self.shared.estc("show", "no-file").out,
                         r"(?m)^Alert +critical: a file is missing or unfit")
        shown = self.shared.estc("show", "gw", "--json").json()
        self.assertNotIn("alert", shown)


class End(harness.TestCase):
    def test_the_file_goes_with_the_daemon_and_moves_with_the_configuration(self):
        site = self.site()
        first, second = site.dir / "one.prom", site.dir / "two.prom"
        identities = [site.identity("gw", url="coaps://localhost:5684",
                                    trust="/nonexistent/trust.pem")]
        site.write_config(identities, metrics_file=str(first))
        site.start_daemon()
        harness.wait_for(first.exists, "the file is there")
        site.write_config(identities, metrics_file=str(second))
        self.assertEqual(site.estc("reload").status, harness.DONE)
        harness.wait_for(lambda: second.exists() and not first.exists(), "it has moved")
        site.daemon.stop()
        self.assertFalse(second.exists())


if __name__ == "__main__":
    harness.main()
