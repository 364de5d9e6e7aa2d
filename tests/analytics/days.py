"""Adds up the exported day totals with DuckDB, and compares the sums with the answers of the reports.

Usage: days.py DAYS ANSWERS. DAYS is the CSV of `stockline export days`. ANSWERS is a JSON object: the query of each report, and
the answer.
"""

import json
import sys
from urllib.parse import parse_qs

import duckdb

UNITS = ["sold", "returned"]
GROUPS = {"day": "CAST(day AS VARCHAR)", "location": "location_id", "item": "item_id", "category": "category", "supplier": "coalesce(supplier, '')"}


def main():
    days, answers = sys.argv[1:]
    answers = json.load(open(answers))
    duckdb.sql(f"CREATE TABLE days AS SELECT * FROM read_csv('{days}')")
    kinds = dict(duckdb.sql("SELECT column_name, column_type FROM (DESCRIBE days)").fetchall())
    assert kinds["day"] == "DATE" and kinds["item_id"] == "VARCHAR", kinds
    assert all(kinds[name] in ("BIGINT", "DOUBLE") for name in UNITS + ["closing", "sold_amount"]), kinds
    checked = 0
    for query, answer in answers.items():
        name, _, parameters = query.partition("?")
        groups = parse_qs(parameters).get("group", [""])[0].split(",")
        if name != "sales" or not all(group in GROUPS for group in groups):
            continue
        period, names = answer["period"], ", ".join(GROUPS[group] for group in groups)
        sums = ", ".join(f"CAST(sum({unit}) AS DECIMAL(18, 3))" for unit in UNITS)
        sql = f"SELECT {names}, {sums} FROM days WHERE day >= '{period['from']}' AND day < '{period['to']}' GROUP BY {names}"
        found = {tuple(row[: len(groups)]): row[len(groups) :] for row in duckdb.sql(sql).fetchall()}
        heads = answer["columns"][: len(groups)]
        for row in answer["rows"]:
            key = tuple(row[head] for head in heads)
            net = found.pop(key, (0, 0))
            wanted = tuple(float(row[unit]) for unit in UNITS)
            assert tuple(map(float, net)) == wanted, f"{query} {key}: {net}, and the report says {wanted}"
            checked += 1
        assert not any(any(net) for net in found.values()), f"{query}: {found} is in no row of the report"
    assert checked > 100, checked
    print(f"DuckDB agrees with {checked} rows of sales")


main()
