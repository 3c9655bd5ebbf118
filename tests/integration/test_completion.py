#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `estc completion` prints, in the shells that it is for: commands, options, their values, and
the ids of a running daemon."""
import os
import pathlib
import pty
import select
import shutil
import time

import harness

FOLDER = pathlib.Path(harness.ESTC).parent
SCRIPTS = FOLDER / "completion"


class Completion(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw-mqtt"), site.identity("gw-opcua"),
                           site.identity("other")])
        site.start_daemon()

    def environment(self):
        return dict(os.environ, PATH=f"{FOLDER}:{os.environ['PATH']}", LC_ALL="C.UTF-8",
                    ESTC_SOCKET=str(self.shared.socket), HOME=str(self.shared.dir), TERM="dumb",
                    ESTC_REGISTRAR_SOCKET=str(self.shared.site / "control"))

    # What a line that ends in the word to be completed leads to: some of it, and none of it.
    CASES = (
        ("sho", ["show"], []),
        ("needs", ["needs-renewal"], []),
        ("show gw", ["gw-mqtt", "gw-opcua"], ["other"]),
        ("renew --force gw-m", ["gw-mqtt"], ["gw-opcua"]),
        ("enroll --timeout 5m oth", ["other"], []),
        ("request gw", [], ["gw-mqtt"]),
        ("renew --fo", ["--force"], ["--for"]),
        ("wait --fo", ["--for"], ["--force"]),
        ("wait gw-mqtt --for v", ["valid"], ["gw-mqtt"]),
        ("request x --key-type p", ["p256", "p384"], ["rsa2048"]),
        ("registrar app", ["approve"], []),
        ("completion f", ["fish"], []),
    )

    def check_cases(self, complete):
        for line, some, none in self.CASES:
            with self.subTest(line=line):
                offered = complete(f"estc {line}")
                self.assertEqual(set(some) - set(offered), set(), offered)
                self.assertEqual(set(none) & set(offered), set(), offered)
        here = self.shared.dir / "birth-file.pem"
        here.touch()
        offered = complete(f"estc request x --birth-certificate {self.shared.dir}/birth-f")
        self.assertTrue(any(word.endswith("birth-file.pem") for word in offered), offered)

    def test_bash(self):
        def complete(line):
            words = line.split(" ")
            done = harness.run("bash", "--norc", "-c", f"""
                source {SCRIPTS / 'estc'}
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
                _estc
                printf '%s\\n' "${{COMPREPLY[@]}}"
                """, "bash", *words, env=self.environment())
            self.assertEqual(done.status, 0, done)
            return done.out.split()

        self.check_cases(complete)

    @harness.unittest.skipUnless(shutil.which("fish"), "needs fish")
    def test_fish(self):
        def complete(line):
            done = harness.run("fish", "--no-config", "-c",
                               f"source {SCRIPTS / 'estc.fish'}; complete -C '{line}'",
                               env=self.environment())
            self.assertEqual(done.status, 0, done)
            return [row.split("\t")[0] for row in done.out.splitlines()]

        self.check_cases(complete)

    @harness.unittest.skipUnless(shutil.which("zsh"), "needs zsh")
    def test_zsh(self):
        """At a terminal, since zsh completes nowhere else."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.environment())
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, fd)

        def heard(mark):
            text, until = "", time.monotonic() + 10 * harness.PATIENCE
            while mark not in text:
                left = until - time.monotonic()
                self.assertTrue(left > 0 and select.select([fd], [], [], left)[0],
                                f"no {mark!r} in {text!r}")
                text += os.read(fd, 65536).decode(errors="replace")
            return text

        os.write(fd, (f"PS1=; unsetopt zle_bracketed_paste; fpath=({SCRIPTS} $fpath); "
                      "autoload -Uz compinit; compinit -u -D; echo rea''dy\n").encode())
        heard("ready")
        for line, whole in (("estc sho", "estc show"), ("estc needs", "estc needs-renewal"),
                            ("estc renew gw-m", "estc renew gw-mqtt"),
                            ("estc wait oth", "estc wait other"),
                            ("estc renew --forc", "estc renew --force"),
                            ("estc wait other --for va", "estc wait other --for valid"),
                            ("estc registrar app", "estc registrar approve"),
                            ("estc completion f", "estc completion fish")):
            with self.subTest(line=line):
                # What was completed is printed and not run: its words are those of echo.
                os.write(fd, f"{line}\t\x01echo '<' \x05'>'\n".encode())
                self.assertIn(f"< {whole}", " ".join(heard(f"< {whole}").split()))


if __name__ == "__main__":
    harness.main()
