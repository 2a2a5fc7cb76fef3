"""Writes the samples of the example rules in rules/, a good and a broken one
each: python make_examples.py
"""
import json

# Orders: the broken one has a repeated line, a negative amount, an unknown
# status, three wrong emails, and its newest order is two days old.
COUNTRIES = ["DE", "DE", "FR", "US", "DE", "AT"]


def orders(broken):
    day = "2026-02-27" if broken else "2026-03-01"
    yield "order_id,line_no,email,amount,country,status,created_at"
    for i in range(40):
        order, line = 10_000 + i // 2, i % 2 + 1
        email = "" if i % 9 == 4 else f"user{i % 7}@example.org"
        amount, status = f"{12 + i * 37 % 150}.{i % 10}0", ["open", "paid", "shipped", "cancelled"][i % 4]
        if broken and i == 13:
            line = 1
        if broken and i == 17:
            amount = "-4.20"
        if broken and i == 21:
            status = "Paid"
        if broken and i in (1, 2, 3):
            email = "user.example.org"
        yield f"A{order},{line},{email},{amount},{COUNTRIES[i % 6]},{status},{day}T{9 + i // 4:02d}:{i % 4 * 15:02d}:00Z"


# Events: the broken one has ids as texts, an address with a token, an unknown
# name, and event ids that repeat.
def events(broken):
    for i in range(40):
        number = i - i % 8 if broken else i
        user = None if i % 4 == 3 else {"id": i % 11, "country": "DE" if i % 3 else "AT"}
        if broken and user and i % 2 == 0:
            user["id"] = str(user["id"])
        url = f"https://shop.example.org/p/{i % 5}"
        if broken and i == 9:
            url += "?token=abc"
        name = ["view", "view", "click", "purchase"][i % 4]
        if broken and i == 30:
            name = "viewed"
        yield json.dumps({
            "event_id": f"e{number:07d}", "name": name, "at": f"2026-03-01T23:{i:02d}:00Z", "user": user,
            "page": {"url": url, "load_ms": 120 + i * 53 % 900}, "tags": ["a", "b"][:i % 3],
        })


# Stock: the broken one is cut, from one site almost alone, of another day in
# part, and has the mark of a scanner that gave up.
def stock(broken):
    yield "sku,site,day,quantity,price"
    for i in range(36 if broken else 60):
        site = "north" if broken and i % 12 else ["north", "south", "west"][i % 3]
        quantity = 9999 if broken and i == 5 else i * 7 % 40
        day = "2026-02-28" if broken and i > 30 else ("2026-03-02" if broken else "2026-03-01")
        yield f"AB-{1000 + i},{site},{day},{quantity},{2 + i * 13 % 90}.5"


for name, lines in {
    "orders.csv": orders(False), "orders_broken.csv": orders(True),
    "web_events.jsonl": events(False), "web_events_broken.jsonl": events(True),
    "stock_2026-03-01.csv": stock(False), "stock_2026-03-02.csv": stock(True),
}.items():
    with open(name, "w", newline="") as f:
        f.write("\n".join(lines) + "\n")
