"""The plain first version of such a logger, as one writes it on the first day: the reference for what was gained.

For each event three files are opened, appended to and closed; minimum, maximum and average are taken over a growing
list; at each new maximum the snapshot of all cameras is written anew. For each preview one file.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class NaiveLogger:
    """Writes what arrives at once."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._seen: set[str] = set()
        self._delays: dict[str, list[float]] = {}
        self._worst: dict[str, tuple[float, dict[str, Any]]] = {}
        (log_dir / "stream").mkdir(parents=True)

    def take(self, text: str | bytes) -> None:
        """One message."""
        arrived = datetime.now(UTC)
        for camera_id, data in json.loads(text)["data"].items():
            with open(self._log_dir / "stream" / f"{camera_id}_stream.log", "a") as file:
                file.write(f"{arrived.isoformat()} -- {json.dumps(data)}\n")
            for four_cc, event in data.get("event", {}).items():
                self._event(camera_id, four_cc, event, arrived)

    def _event(self, camera_id: str, four_cc: str, event: dict[str, Any], arrived: datetime) -> None:
        identity = event.get("uuid") or f"{four_cc}:{camera_id}:{event['eventid']}"
        if identity in self._seen:
            return
        self._seen.add(identity)
        happened = datetime.strptime(event["timestamp"], "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
        delay = (arrived - happened).total_seconds()
        delays = self._delays.setdefault(camera_id, [])
        delays.append(delay)
        average = sum(delays) / len(delays)
        with open(self._log_dir / f"{camera_id}.log", "a") as file:
            figures = f"min={min(delays):.3f} max={max(delays):.3f} avg={average:.3f} n={len(delays)}"
            file.write(f"{arrived.isoformat()} delay={delay:.6f} {figures} {four_cc} {event.get('ns')} {identity}\n")
        with open(self._log_dir / "processed_event_uuids.log", "a") as file:
            file.write(f"{identity}\n")
        if camera_id not in self._worst or delay > self._worst[camera_id][0]:
            self._worst[camera_id] = delay, event
            self._snapshot()

    def _snapshot(self) -> None:
        with open(self._log_dir / "maxeventdelay.log", "w") as file:
            for camera_id, (delay, event) in sorted(self._worst.items(), key=lambda item: -item[1][0]):
                line = f"{camera_id} {delay:.6f} {json.dumps(event)}"
                file.write(line + "\n")
