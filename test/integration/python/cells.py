"""Worker `rank` of the crash tests' model, in Python: subtracts the gradient that adds 1 to its cells, `steps` times.

    cells.py URL RANK STEPS
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))
from pslib_worker import Worker  # noqa: E402


async def main(url: str, rank: int, steps: int) -> None:
    step = 0

    def gradient(parameters, _batch):
        nonlocal step
        # Its own updates are all there, whatever happened on the way.
        assert parameters["own"][rank] == step, (parameters["own"][rank], step)
        step += 1
        own = np.zeros(len(parameters["own"]))
        own[rank] = -1
        rest = {name: -np.ones(parameters[name].shape) for name in ("shared", "padding")}
        return {"own": own, **rest}, {"step": step}, 1

    async with Worker(url, id=f"w{rank}", min_delay_seconds=0.005, max_delay_seconds=0.05) as worker:
        print(await worker.run(gradient, iter(int, 1), steps))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
