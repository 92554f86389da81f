"""The program's own log: one line a record, and no logger that fails whoever logs."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eelogger.model import Timing
from eelogger.storage.paths import LogPaths
from eelogger.storage.program_log import ProgramLog, quiet_libraries
from eelogger.storage.writer import Writer

log = logging.getLogger("test")


@pytest.fixture
async def writer(log_dir: Path) -> AsyncIterator[Writer]:
    log.setLevel(logging.INFO)
    paths = LogPaths(log_dir)
    async with Writer(paths, buffer_bytes=1 << 20, timing=Timing(), may_write=lambda: True) as writer:
        with ProgramLog(writer):
            yield writer


async def lines(writer: Writer) -> list[str]:
    await writer.idle()
    return writer.paths.program_log.read_text().splitlines()


async def test_a_record_is_a_line(writer: Writer) -> None:
    log.info("one %s", "forged\n2026 INFO x: y\x1b[2J\u202e é")
    log.debug("not taken")
    try:
        raise ValueError("wrong\nhere")
    except ValueError:
        log.exception("failed")
    first, second, *trace = await lines(writer)
    assert first.split(" ", 1)[1] == r"INFO test: one forged\n2026 INFO x: y\x1b[2J\u202e é"
    assert first[10] == "T"
    assert second.endswith("ERROR test: failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in trace)


class Odd:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("message", "arguments"), [("%d lines", ("x",)), ("none", ("x",)), ("%s", (Odd(),)), (Odd(), ())]
)
async def test_wrong_arguments_do_not_reach_who_logs(message: Any, arguments: Any, writer: Writer) -> None:
    handler = ProgramLog(writer)
    handler.emit(log.makeRecord("test", logging.WARNING, "", 0, message, arguments, None))
    log.warning("after")
    found = await lines(writer)
    assert found[-1].endswith("WARNING test: after")
    assert len(found) == (1 if isinstance(message, Odd) else 2)


async def test_other_threads_log_too_and_after_the_end(writer: Writer) -> None:
    thread = threading.Thread(target=log.info, args=("elsewhere",))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert (await lines(writer))[0].endswith("INFO test: elsewhere")
    handler = ProgramLog(writer)
    await writer.close()
    handler.emit(log.makeRecord("test", logging.INFO, "", 0, "late", (), None))


def test_libraries_print_no_headers() -> None:
    quiet_libraries()
    assert not any(
        logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in ("websockets.client", "aiohttp", "asyncio")
    )
