"""Computes every figure of the reports anew from the till log, and compares them with the answers, digit by digit.

Usage: figures.py TILLS ANSWERS. ANSWERS is a JSON object: the query of each report, and the answer. This program shares no
code with Stockline: it reads the definitions of the reports as a person would, and adds up with exact fractions.
"""

import json
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

import polars as pl

getcontext().prec = 60
ZONE = ZoneInfo("America/New_York")
REASONS = ["damaged", "expired", "theft", "found", "correction", "sample", "other"]
DAY = 86400


def rounded(number, places=4):
    """Writes a fraction with at most so many decimals, rounded half to even."""
    if number is None:
        return None
    exact = Decimal(number.numerator) / Decimal(number.denominator)
    text = format(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN).normalize(), "f")
    return "0" if text == "-0" else text


def units(number):
    return rounded(Fraction(number), 3)


def begin(day):
    """The moment at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(timezone.utc)


def local_day(at):
    return at.astimezone(ZONE).date()


class Moved:
    """One movement of one level."""

    def __init__(self, at, kind, quantity, delta, late, reason, amount=0):
        self.at, self.kind, self.quantity, self.delta, self.late, self.reason = at, kind, quantity, delta, late, reason
        self.amount = Fraction(amount or 0)
        self.day = local_day(at)


def ledgers(tills):
    """Applies the lines in order: (item, location) → movements."""
    levels = defaultdict(list)
    counted_at = {}

    def move(place, at, kind, quantity, delta, reason=None, amount=0):
        late = place in counted_at and at <= counted_at[place]
        levels[place].append(Moved(at, kind, quantity, Fraction(0) if late else delta, late, reason, amount))

    for line in tills.iter_rows(named=True):
        at = datetime.fromisoformat(line["occurred_at"].replace("Z", "+00:00"))
        place, quantity = (line["item_id"], line["location_id"]), Fraction(line["quantity"])
        kind = line["type"]
        if kind == "count":
            on_hand = sum(entry.delta for entry in levels[place])
            after = sum(entry.delta for entry in levels[place] if entry.at > at)
            late = place in counted_at and at <= counted_at[place]
            levels[place].append(Moved(at, kind, quantity, Fraction(0) if late else quantity + after - on_hand, late, None))
            if not late:
                counted_at[place] = at
        elif kind == "transfer":
            move(place, at, "out", quantity, -quantity)
            move((line["item_id"], line["to_location_id"]), at, "in", quantity, quantity)
        else:
            sign = -1 if kind == "sell" else 1
            move(place, at, kind, quantity, sign * quantity, line["reason"], line["amount"])
    return levels


class Period:
    def __init__(self, answer):
        self.first = date.fromisoformat(answer["period"]["from"])
        self.end = date.fromisoformat(answer["period"]["to"])
        self.as_of = datetime.fromisoformat(answer["as_of"].replace("Z", "+00:00"))
        self.today = local_day(self.as_of)

    def has(self, entry):
        return self.first <= entry.day < self.end

    def seconds(self, ledger):
        """Seconds since the first movement, and those at or below zero."""
        ordered = sorted(ledger, key=lambda entry: entry.at)
        first, end = begin(self.first), min(begin(self.end), self.as_of)
        known = max(timedelta(), end - max(first, ordered[0].at))
        out, balance = timedelta(), Fraction(0)
        for entry, following in zip(ordered, ordered[1:] + [None]):
            balance += entry.delta
            until = min(end, following.at) if following else end
            if balance <= 0:
                out += max(timedelta(), until - max(first, entry.at))
        return [Fraction(span // timedelta(milliseconds=1), 1000) for span in (known, out)]

    def balance(self, ledger, before):
        return sum((entry.delta for entry in ledger if entry.day < before), Fraction(0))

    def sum(self, ledger, *kinds):
        return sum((entry.quantity for entry in ledger if self.has(entry) and entry.kind in kinds), Fraction(0))

    def amount(self, ledger):
        signs = {"sell": 1, "return": -1}
        return sum((signs.get(entry.kind, 0) * entry.amount for entry in ledger if self.has(entry)), Fraction(0))

    def net(self, ledger):
        return self.sum(ledger, "sell") - self.sum(ledger, "return")


def sales(period, levels, answer, keys):
    rows = defaultdict(lambda: [Fraction(0), Fraction(0), Fraction(0)])
    for (item, location), ledger in levels.items():
        for entry in ledger:
            if period.has(entry):
                year, week, _ = entry.day.isocalendar()
                names = {
                    "day": entry.day.isoformat(),
                    "week": f"{year:04}-W{week:02}",
                    "month": entry.day.isoformat()[:7],
                    "item_id": item,
                    "location_id": location,
                    "category": CATEGORIES[item],
                    "supplier": supplier(item, location),
                }
                row = rows[tuple(names[key] for key in keys)]
                if entry.kind in ("sell", "return"):
                    row[entry.kind == "return"] += entry.quantity
                    row[2] += entry.amount if entry.kind == "sell" else -entry.amount
    # Levels have a row though they sold nothing.
    if not {"day", "week", "month"} & set(keys):
        for (item, location), ledger in levels.items():
            names = {"item_id": item, "location_id": location, "category": CATEGORIES[item], "supplier": supplier(item, location)}
            rows[tuple(names[key] for key in keys)]
    return {
        key: {"sold": units(sold), "returned": units(returned), "net": units(sold - returned), "amount": rounded(amount)}
        for key, (sold, returned, amount) in rows.items()
    }


def of_levels(row):
    """A report with a row for each item and location."""

    def report(period, levels, answer, keys):
        rows = {(item, location): row(period, item, ledger) for (item, location), ledger in levels.items()}
        return {key: row for key, row in rows.items() if row is not None}

    return report


def per_day(net, seconds):
    return net * DAY / seconds if seconds > 0 else None


def velocity(period, item, ledger):
    known, out = period.seconds(ledger)
    net = period.net(ledger)
    return {
        "net": units(net),
        "days": rounded(known / DAY),
        "days_in_stock": rounded((known - out) / DAY),
        "per_day": rounded(per_day(net, known)),
        "per_day_in_stock": rounded(per_day(net, known - out)),
    }


def cover(period, item, ledger):
    known, out = period.seconds(ledger)
    speed = per_day(period.net(ledger), known - out)
    on_hand = sum(entry.delta for entry in ledger)
    days = Fraction(0) if on_hand <= 0 else on_hand / speed if speed and speed > 0 else None
    days = None if days is None else min(days, Fraction(365))
    return {"on_hand": units(on_hand), "per_day_in_stock": rounded(speed), "cover_days": rounded(days)}


def lost_sales(period, item, ledger):
    known, out = period.seconds(ledger)
    net = period.net(ledger)
    if known - out < 21 * DAY or out <= 0 or net <= 0:
        return None
    lost = net * out / (known - out)
    lost_units = Fraction(rounded(lost, 3))
    amount = rounded(period.amount(ledger) * lost_units / net)
    return {"days_out": rounded(out / DAY), "lost_units": rounded(lost, 3), "lost_amount": amount}


def sell_through(period, item, ledger):
    start = period.balance(ledger, period.first)
    received, moved = period.sum(ledger, "receive"), period.sum(ledger, "in") - period.sum(ledger, "out")
    up = sum((max(entry.quantity, 0) for entry in ledger if period.has(entry) and entry.kind == "adjust"), Fraction(0))
    had, net = start + received + moved + up, period.net(ledger)
    return {
        "start": units(start),
        "received": units(received),
        "transferred": units(moved),
        "adjusted_up": units(up),
        "net": units(net),
        "rate": rounded(net / had if had > 0 else None),
    }


def dead_stock(period, item, ledger):
    on_hand = sum(entry.delta for entry in ledger)
    sold = max((entry.day for entry in ledger if entry.kind == "sell"), default=None)
    begins = min(entry.day for entry in ledger)
    long_ago = lambda day: (period.today - day).days >= 90
    if on_hand <= 0 or not long_ago(begins) or (sold and not long_ago(sold)):
        return None
    received = max((entry.day for entry in ledger if entry.kind in ("receive", "in")), default=begins)
    return {
        "on_hand": units(on_hand),
        "last_sold": sold and sold.isoformat(),
        "last_received": received.isoformat(),
        "age_days": str((period.today - received).days),
    }


def shrinkage(period, levels, answer, keys):
    rows = {}
    for key, ledger in grouped(levels, keys).items():
        inside = [entry for entry in ledger if period.has(entry)]
        counted = sum((entry.delta for entry in inside if entry.kind == "count"), Fraction(0))
        signs = {"sell": -1, "out": -1}
        counted -= sum(
            (signs.get(entry.kind, 1) * entry.quantity for entry in inside if entry.late and entry.kind != "count"),
            Fraction(0),
        )
        row = {"counted": counted}
        for reason in REASONS:
            row[reason] = sum((entry.quantity for entry in inside if entry.reason == reason), Fraction(0))
        total, net = sum(row.values()), period.net(ledger)
        rows[key] = {name: units(value) for name, value in row.items()} | {
            "total": units(total),
            "share_of_sales": rounded(total / net if net > 0 else None),
        }
    return rows


def grouped(levels, keys):
    groups = defaultdict(list)
    for (item, location), ledger in levels.items():
        names = {"item_id": item, "location_id": location, "category": CATEGORIES[item], "supplier": supplier(item, location)}
        groups[tuple(names[key] for key in keys)].extend(ledger)
    return groups


def value(period, levels, answer, keys):
    rows = {}
    for key, ledger in grouped(levels, keys).items():
        rows[key] = {"on_hand": units(period.balance(ledger, period.end))}
    return rows


def abc(period, levels, answer, keys):
    items = {key: period.amount(ledger) for key, ledger in grouped(levels, keys).items()}
    whole, before, rows = sum(max(net, 0) for net in items.values()), Fraction(0), {}
    weeks = (min(period.end, period.today + timedelta(days=1)) - period.first).days // 7
    for key in sorted(items, key=lambda key: (-max(items[key], 0), key)):
        weight = max(items[key], 0)
        letter = "U" if weight <= 0 else "A" if before < whole * 80 / 100 else "B" if before < whole * 95 / 100 else "C"
        before += weight
        series = [Fraction(0)] * weeks
        for entry in grouped(levels, keys)[key]:
            at = (entry.day - period.first).days // 7
            if period.has(entry) and 0 <= at < weeks and entry.kind in ("sell", "return"):
                series[at] += entry.quantity if entry.kind == "sell" else -entry.quantity
        total, xyz = sum(series), None
        if weeks >= 4 and total > 0:
            spread = weeks * sum(x * x for x in series) / (total * total) - 1
            xyz = "X" if spread <= Fraction(1, 4) else "Y" if spread <= 1 else "Z"
        rows[key] = {"amount": rounded(items[key]), "share": rounded(before / whole), "class": letter, "xyz": xyz}
    return rows


REPORTS = {
    "sales": sales,
    "velocity": of_levels(velocity),
    "cover": of_levels(cover),
    "lost-sales": of_levels(lost_sales),
    "sell-through": of_levels(sell_through),
    "dead-stock": of_levels(dead_stock),
    "shrinkage": shrinkage,
    "value": value,
    "abc": abc,
}
CATEGORIES = {
    "apple": "fruit",
    "pear": "fruit",
    "cola": "drinks",
    "tea": "drinks",
    "soap": "home",
    "lamp": "home",
    "dust": "home",
}
SUPPLIERS = {"apple": "Farm", "pear": "Farm", "cola": "Drinks Ltd", "tea": "Drinks Ltd", "soap": "Mill"}


def supplier(item, location):
    """Who delivers the item to the location; tea comes to Queens from somebody else."""
    return "Next Door" if (item, location) == ("tea", "queens") else SUPPLIERS.get(item, "")


def main():
    tills = pl.read_csv(sys.argv[1], infer_schema=False).fill_null("")
    levels = ledgers(tills)
    answers = json.load(open(sys.argv[2], encoding="utf-8"))
    cells, wrong = 0, []
    for query, answer in answers.items():
        period = Period(answer)
        keys = [name for name in answer["columns"] if name in ("day", "week", "month", "item_id", "category", "supplier", "location_id")]
        expected = REPORTS[answer["report"]](period, levels, answer, keys)
        found = {tuple(row[key] for key in keys): row for row in answer["rows"]}
        if set(found) != set(expected) or not expected:
            wrong.append(f"{query}: rows {sorted(set(found) ^ set(expected))}, of {len(expected)}")
            continue
        for key, row in expected.items():
            for name, figure in row.items():
                cells += 1
                if found[key][name] != figure:
                    wrong.append(f"{query} {key} {name}: {found[key][name]}, computed {figure}")
        # The sum of all rows is the whole.
        for name, total in answer["totals"].items():
            total_of_rows = sum((Decimal(row[name]) for row in answer["rows"]), Decimal(0))
            if total_of_rows != Decimal(total):
                wrong.append(f"{query} total {name}: {total}, its rows add up to {total_of_rows}")
    # The same figures by polars alone, over the raw lines: net units by local day.
    sold = tills.filter(pl.col("type").is_in(["sell", "return"])).with_columns(
        pl.col("occurred_at").str.to_datetime(time_zone="UTC").dt.convert_time_zone("America/New_York").dt.date().alias("day"),
        pl.when(pl.col("type") == "sell").then(1).otherwise(-1).alias("sign"),
        (pl.col("quantity").cast(pl.Float64) * 1000).round(0).cast(pl.Int64).alias("thousandths"),
    )
    by_day = sold.group_by("day").agg((pl.col("sign") * pl.col("thousandths")).sum().alias("net"))
    by_day = {day.isoformat(): Fraction(net, 1000) for day, net in by_day.iter_rows()}
    days = next(answer for query, answer in answers.items() if query.startswith("sales") and "group=day" in query)
    for row in days["rows"]:
        cells += 1
        if row["net"] != units(by_day.get(row["day"], 0)):
            wrong.append(f"{row['day']}: {row['net']}, polars {by_day.get(row['day'], 0)}")
    print(f"{cells} figures of {len(answers)} reports compared")
    if wrong:
        sys.exit("\n".join(wrong[:40]))


main()
