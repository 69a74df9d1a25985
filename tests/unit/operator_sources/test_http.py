"""Which URL is asked in the end: the one that was judged, and none that cannot be read."""

from __future__ import annotations

import pytest

from opssc_operator.api.trust import Trust
from opssc_operator.sources.failures import Unavailable
from opssc_operator.sources.http import Request, send
from opssc_operator.sources.reach import Reach

REACH = Reach(Trust(repositories=("https://git.example.com/consortium/",)))


@pytest.mark.parametrize(
    ("url", "judged"),
    [
        pytest.param("https://git.example.com/consortium/%2e%2e/evil", "https://git.example.com/evil", id="escaped"),
        pytest.param("https://git.example.com/consortium/.\t./evil", "https://git.example.com/evil", id="with-a-tab"),
        pytest.param("https://git.example.com/%63onsortium/a", "https://git.example.com/consortium/a", id="letter"),
    ],
)
async def test_the_url_that_is_asked_is_the_one_judged(url: str, judged: str) -> None:
    # Given
    asked: list[str] = []

    def allows(candidate: str) -> bool:
        asked.append(candidate)
        return False

    # When
    with pytest.raises(Unavailable, match="not trusted"):
        async with send(Request(url, REACH, allows)):
            pass

    # Then
    assert asked == [judged]


@pytest.mark.parametrize("url", ["https://[x", "https://git.example.com:99999/", "https://git.example.com\\@evil/x"])
async def test_what_is_no_url_is_refused_with_a_typed_error(url: str) -> None:
    with pytest.raises(Unavailable, match="no URL that can be asked"):
        async with send(Request(url, REACH, REACH.allows_repository)):
            pass
