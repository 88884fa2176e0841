"""One worker process in Python: trains on its own part of the digits. Its place is in the environment.

    PSLIB_SERVERS=ws://127.0.0.1:8080 PSLIB_RANK=2 PSLIB_WORLD_SIZE=4 python3 train.py --steps 300
"""

import argparse
import asyncio
import logging
import os

from digits import gradient, shuffled_batches, training_part
from pslib_worker import Refused, StateLost, Worker

BATCH_SIZE = 32


async def main() -> None:
    parser = argparse.ArgumentParser(description="A worker in Python for the digits example.")
    parser.add_argument("--steps", type=int, default=300, help="steps to take (300)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the digits (1)")
    options = parser.parse_args()
    rank, count = int(os.environ["PSLIB_RANK"]), int(os.environ["PSLIB_WORLD_SIZE"])

    part = training_part(rank, count)
    batches = shuffled_batches(part, BATCH_SIZE, options.seed * count + rank)
    token = os.environ.get("PSLIB_TOKEN")
    async with Worker(os.environ["PSLIB_SERVERS"], id=f"python-{rank}", token=token) as worker:
        steps = await worker.run(gradient, batches, options.steps)
        print(f"{worker.id}: {steps} steps with {len(part[1])} digits, clock {worker.clock}", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        asyncio.run(main())
    except (Refused, StateLost, ConnectionError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
