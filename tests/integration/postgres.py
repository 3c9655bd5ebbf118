# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL server of a test's own: in its folder, on a Unix socket, as Debian packages it."""
import os
import pathlib
import pwd
import shutil
import tempfile

import harness

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")


class Server:
    def __init__(self):
        # PostgreSQL refuses to be root; a socket's path has 107 bytes.
        self.user = None
        if harness.IS_ROOT:
            entry = pwd.getpwnam("postgres")
            self.user = entry.pw_uid, entry.pw_gid
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="estc-pg-"))
        self.dir.chmod(0o755)
        if self.user:
            os.chown(self.dir, *self.user)
        self.data = self.dir / "data"
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "estc", "-E", "UTF8",
                  "--locale=C", "--no-sync")
        self.start()

    def _run(self, program, *arguments):
        # Output to a file: the server inherits it, and a pipe would be waited for.
        with open(self.dir / f"{program}.log", "w+", encoding="utf-8") as log:
            done = harness.run(PROGRAMS / program, *arguments, user=self.user, stdout=log)
            log.seek(0)
            assert done.status == 0, (done, log.read())

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.dir / "server.log", "-o",
                  f"-k {self.dir} -c listen_addresses='' -c max_connections=20", "start")

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def create(self, database):
        """A new database, as a connection string."""
        self.sql(f"CREATE DATABASE {database}")
        return f"host={self.dir} user=estc dbname={database}"

    def sql(self, statement, database="postgres"):
        """Rows of columns, as text."""
        done = harness.run(PROGRAMS / "psql", "-h", self.dir, "-U", "estc", "-d", database, "-AtX",
                           "-F", "|", "-v", "ON_ERROR_STOP=1", "-c", statement)
        assert done.status == 0, done
        return [tuple(line.split("|")) for line in done.out.splitlines()]

    def close(self):
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
