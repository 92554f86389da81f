"""The camera list: any body gives a list or an error, and the settings filter it."""

from typing import Any

import pytest
from aiohttp import web
from sites import KEY, serve, settings_for

from eelogger.cloud.cameras import fetch_cameras, get_cameraids, parse_device_list
from eelogger.cloud.rest import Rest
from eelogger.errors import CloudError, KeyRefused, NoCamera, SettingsError
from eelogger.model import Camera


def row(
    esn: object, name: object = "Door", kind: object = "camera", pairs: object = None, status: object = "ATTD"
) -> Any:
    pairs = [["100bb001", "ATTD"]] if pairs is None else pairs
    return ["00000001", esn, name, kind, pairs, status, *[None] * 21]


ROW_OF_EACH_KIND = [
    row("100e1e23", "Front Door"), row("100e1e24", None, pairs=[["100bb001", "IGND"], ["100bb002", "ATTD"]]),
    row("100e1e25", 5, pairs=[["100bb001", "IGND"], "x", [5], []]), row("100E1E26", "x" * 1_000_000, pairs="none"),
    *(row("100e1e23", "again"), row("100E1E23", "again, other case")), row("100bb001", "Site A", "bridge"),
    row("100e1e27", kind="doorbell"), *(row("100e1e28", status="IDLE"), row("100e1e29", status=None)),
    *(row("../../etc"), row("100e1e2"), row(5), row(None, kind=None)),
    *(["00000001", "100e1e2a", "short", "camera"], [], None, {"a": 1}, "100e1e23"),
]  # fmt: skip


def test_what_a_row_says() -> None:
    found = parse_device_list(ROW_OF_EACH_KIND)
    assert list(found.cameras.values()) == [
        Camera("100e1e23", "Front Door", "100bb001"),
        Camera("100e1e24", "", "100bb002"),
        Camera("100e1e25", "", "100bb001"),
        Camera("100E1E26", "x" * 1000, ""),
    ]
    assert found.bridges == {"100bb001": "Site A"}
    assert found.skipped == {"repeated": 2, "bridge": 1, "other-device": 1, "not-attached": 2, "unreadable": 9}


@pytest.mark.parametrize("rows", [None, {}, 5, "x", [[], "100e1e23", {}]])
def test_what_is_no_list(rows: Any) -> None:
    with pytest.raises(CloudError) as caught:
        parse_device_list(rows)
    assert caught.value.reason == "camera-list"


FLEET = [
    row("100e1e23", "Front Door"),
    row("100e1e24", "Back Door", pairs=[["100bb002", "ATTD"]]),
    row("100bb001", "Site A", "bridge"),
    row("100bb002", "Site B", "bridge"),
]


@pytest.mark.parametrize("more", [{"cameras": "back*"}, {"bridges": "100bb002"}, {"bridges": "site b"}])
def test_the_settings_filter(more: dict[str, str]) -> None:
    assert list(parse_device_list(FLEET).kept(settings_for("https://x", **more))) == ["100e1e24"]


async def test_the_promised_call(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = FLEET

    async def handler(request: web.Request) -> web.Response:
        assert (request.path, request.cookies["auth_key"]) == ("/g/device/list", KEY)
        return web.json_response(rows)

    async with serve(handler) as server:
        monkeypatch.setattr("eelogger.settings.Settings.rest_base", lambda settings: server)
        assert set(await get_cameraids("c000", KEY)) == {"100e1e23", "100e1e24"}
        rows = FLEET[2:]
        with pytest.raises(NoCamera):
            await get_cameraids("c000", KEY)
    with pytest.raises(SettingsError):
        await get_cameraids("c000.evil/", KEY)


@pytest.mark.parametrize(
    ("status", "isauth", "kind"),
    [(401, 200, KeyRefused), (403, 200, CloudError), (403, 401, KeyRefused), (403, 403, KeyRefused),
     (403, 503, CloudError), (503, 401, CloudError)],
)  # fmt: skip
async def test_only_a_401_or_a_confirmed_403_means_the_key(status: int, isauth: int, kind: type[Exception]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=isauth if request.path == "/g/aaa/isauth" else status)

    async with serve(handler) as server, Rest(settings_for(server)) as rest:
        with pytest.raises(kind):
            await fetch_cameras(rest)
