"""The SQL text of a table, printed from its model: what a migration freezes, line by line and always the same.

`python -m db.ddl TABLE…` prints tables in the order of their keys; all of them when none is named. Policies and grants
are `db/policies.py`'s, functions and triggers `db/sql`'s.
"""

import re
import sys
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from db.base import ORGANIZATION
from db.models import metadata

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


def create_table_sql(table: Table) -> str:
    """CREATE TABLE, the storage of columns that ask for one, and the indexes by name."""
    text = str(CreateTable(table).compile(dialect=_DIALECT)).strip().replace("\t", "    ")
    text = re.sub(r"\n\)\n (?=WITH|PARTITION)", "\n) ", re.sub(r" +$", "", text, flags=re.MULTILINE))
    storage = [
        f"ALTER TABLE {table.fullname} ALTER COLUMN {column.name} SET STORAGE {column.info['storage']}"
        for column in table.c
        if "storage" in column.info
    ]
    statements = [text, *storage, *map(_create_index_sql, _by_name(table.indexes))]
    return "".join(f"{statement};\n" for statement in statements)


def enable_rls_sql(table: Table) -> str:
    """What follows CREATE TABLE: row-level security for the owner too, and, where Citus is, shards by organization."""
    key = "" if ORGANIZATION in table.c else ", 'id'"
    return (
        f"ALTER TABLE {table.fullname} ENABLE ROW LEVEL SECURITY;\n"
        f"ALTER TABLE {table.fullname} FORCE ROW LEVEL SECURITY;\n"
        f"SELECT app.distribute('{table.fullname}'{key});\n"
    )


def table_sql(table: Table) -> str:
    """The whole table; its policies and triggers come next."""
    return create_table_sql(table) + enable_rls_sql(table)


def drop_table_sql(table: Table) -> str:
    """DROP TABLE with its partitions, indexes, policies and triggers; refused while another table refers to it."""
    return f"DROP TABLE {table.fullname};\n"


def is_partitioned(table: Table) -> bool:
    return table.dialect_options["postgresql"]["partition_by"] is not None


def include_object(_item: object, name: str | None, kind: str, is_reflected: bool, _other: object) -> bool:  # noqa: FBT001 - Alembic's signature
    """Alembic's filter for autogenerate and comparison: what PostgreSQL reports otherwise than it was written.

    Left out: partitions, a partition's clones of a foreign key (`…_1`), indexes under COLLATE "C" (`…_c`), whose
    collation is not reflected, and Alembic's own table.
    """
    if kind == "index":
        return not str(name).endswith("_c")
    if kind == "table":
        return not is_reflected or not re.search(r"_\d{4}_\d{2}$|^alembic_version$", str(name))
    return not (kind == "foreign_key_constraint" and is_reflected and re.search(r"_\d+$", str(name)))


def _by_name(indexes: Iterable[Index]) -> list[Index]:
    return sorted(indexes, key=lambda index: str(index.name))


def _create_index_sql(index: Index) -> str:
    text = str(CreateIndex(index).compile(dialect=_DIALECT)).strip()
    return re.sub(r" ON (app\.\w+) ", r"\n    ON \1 ", re.sub(r" WHERE ", "\n    WHERE ", text), count=1)


def main(names: list[str]) -> None:
    """Print the tables of these names, without a schema; all of them when there is none."""
    tables = {table.name: table for table in metadata.sorted_tables}
    if unknown := set(names) - tables.keys():
        raise SystemExit(f"no such table: {', '.join(sorted(unknown))}")
    chosen = [table for name, table in tables.items() if not names or name in names]
    sys.stdout.write("\n".join(table_sql(table) for table in chosen))


if __name__ == "__main__":
    main(sys.argv[1:])
