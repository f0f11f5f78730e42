"""A trading platform that hands its ticks to solar-node through the outbox (docs/integration.md).

The platform's trades and the ledger's row are one SQL transaction: either both are there, or neither is. Nothing has to be
posted after the commit, so nothing can be forgotten when the platform crashes just there.

    uvicorn --factory outbox_platform:create_app      FastAPI and SQLAlchemy; the database from DATABASE_URL
    python3 outbox_platform.py LEDGER.DB              the standard library alone, beside an authority on SQLite
"""

import json
import os
import sqlite3
import sys
import time
from decimal import Decimal

CREATE_TRADES = """
create table if not exists trades (
  id text primary key,
  tick_id text not null,
  seller text not null,
  buyer text not null,
  kwh numeric(18, 6) not null,
  price_per_kwh numeric(18, 6) not null,
  total_amount numeric(18, 6) not null,
  traded_at bigint not null
)
"""

INSERT_TRADE = """
insert into trades (id, tick_id, seller, buyer, kwh, price_per_kwh, total_amount, traded_at)
values (:id, :tick_id, :seller, :buyer, :kwh, :price_per_kwh, :total_amount, :traded_at)
"""

INSERT_TICK = """
insert into solar_node.ledger_outbox (tick) values (:tick)
"""

PARKED_ROWS = """
select id, error_code, error_reason from solar_node.ledger_outbox where error_code is not null order by id
"""


def decimal_string(value):
    """1.500000 -> "1.5": the one way in which the ledger writes a quantity."""
    return format(Decimal(value).normalize(), "f")


def ledger_tick(tick_id, timestamp, trades):
    """The body of POST /ticks/: tick_id and timestamp (Unix milliseconds) of the tick, and its rows."""
    rows = [
        {
            "id": trade["id"],
            "from_user_id": trade["seller"],
            "to_user_id": trade["buyer"],
            "kwh": decimal_string(trade["kwh"]),
            "price_per_kwh": decimal_string(trade["price_per_kwh"]),
            "total_amount": decimal_string(trade["total_amount"]),
            "timestamp": trade["traded_at"],
        }
        for trade in trades
    ]
    return json.dumps({"tick_id": tick_id, "timestamp": timestamp, "transactions": rows})


def run_trading_tick(execute, tick_id, timestamp, trades):
    """Stores what the trading engine has matched. The caller's transaction is the one that counts.

    execute(sql, values): runs a statement with :name parameters
    trades: id, seller, buyer, kwh, price_per_kwh, total_amount (text), traded_at (Unix milliseconds)
    """
    for trade in trades:
        execute(INSERT_TRADE, {**trade, "tick_id": tick_id})
    execute(INSERT_TICK, {"tick": ledger_tick(tick_id, timestamp, trades)})


def create_app():
    from fastapi import FastAPI
    from sqlalchemy import create_engine, text

    engine = create_engine(os.environ["DATABASE_URL"])
    app = FastAPI()

    with engine.begin() as connection:
        connection.execute(text(CREATE_TRADES))

    @app.post("/trading-ticks/{tick_id}")
    def trading_tick(tick_id: str, trades: list[dict]):
        # Committed when the block ends, rolled back with everything in it if it raises.
        with engine.begin() as connection:
            run_trading_tick(
                lambda sql, values: connection.execute(text(sql), values), tick_id, int(time.time() * 1000), trades
            )
        return {"tick_id": tick_id}

    @app.get("/parked")
    def parked():
        with engine.begin() as connection:
            return [dict(row._mapping) for row in connection.execute(text(PARKED_ROWS))]

    return app


def main(path):
    connection = sqlite3.connect(path, timeout=5)

    def execute(sql, values=()):
        # SQLite has no schemas: the table is beside the platform's own.
        return connection.execute(sql.replace("solar_node.", ""), values)

    now = int(time.time() * 1000)
    trade = {"seller": "roof-1", "buyer": "flat-2", "kwh": "1.500000", "price_per_kwh": "0.2", "total_amount": "0.3"}
    with connection:
        execute(CREATE_TRADES)
    with connection:
        run_trading_tick(execute, "tick-1", now, [{**trade, "id": "trade-1", "traded_at": now}])
    try:
        with connection:
            run_trading_tick(execute, "tick-2", now, [{**trade, "id": "trade-2", "traded_at": now}])
            raise RuntimeError("the trading engine changed its mind")
    except RuntimeError as error:
        print(f"rolled back: {error}")
    print("written: tick-1")
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
