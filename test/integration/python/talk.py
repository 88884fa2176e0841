"""A worker that is told what to do, a word a line, and says what became of it. The model is one tensor, `w`.

    talk.py URL [TOKEN]
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))
from pslib_worker import Refused, StateLost, Worker  # noqa: E402


async def act(worker: Worker, word: str) -> str:
    if word == "pull":
        return str((await worker.pull())["w"].tolist())
    result = await worker.push({"w": np.full(worker.tensors[0].shape, float(word))})
    return f"{result.outcome} {result.version} {worker.clock}"


async def main(url: str, *token: str) -> None:
    worker = Worker(url, "python", *token, min_delay_seconds=0.01)
    loop = asyncio.get_running_loop()
    while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        try:
            said = await act(worker, word)
        except (Refused, StateLost) as error:
            said = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        print(said, flush=True)
    await worker.close()


asyncio.run(main(*sys.argv[1:]))
