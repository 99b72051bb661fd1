"""No secret leaves in any line, whatever field, form or exception it hides in."""

import io
import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.logs import writing as logs
from daemon.logs.text import HIDDEN, Redactor
from tests.builders import RUN

CANARY = 'c4n4ry/+secret="ü\\ 9'
KEY = "AKcanary0123456789abcdef"


@pytest.fixture(params=["json", "console"])
def out(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure(
        level="debug", format=request.param, stream=stream, run=RUN, secrets=[CANARY, KEY]
    )
    yield stream
    logs.release()


def base64_inside(before: str, after: str) -> str:
    return b64encode(f"{before}{CANARY}{after}".encode()).decode()


LEAKS = {
    "as it is": CANARY,
    "within text": f"rejected by {CANARY}: try again",
    "in a query": urlencode({"a": CANARY, "b": 1}),
    "quoted": quote(CANARY, safe=""),
    "quoted but for slashes": quote(CANARY),
    "quoted in lower case": quote(CANARY, safe="").lower(),
    "quoted with plus": quote_plus(CANARY),
    "as json": json.dumps({"x": CANARY}),
    "as json of any alphabet": json.dumps({"x": CANARY}, ensure_ascii=False),
    "as python shows it": repr({"x": CANARY}),
    "in base64": b64encode(CANARY.encode()).decode(),
    "in base64 for urls": urlsafe_b64encode(CANARY.encode()).decode(),
    "in base64 after one byte": base64_inside("x", ""),
    "in base64 after a user": base64_inside("ab", "!"),
    "in base64 after three bytes": base64_inside("abc", "??"),
    "in hexadecimal": CANARY.encode().hex(),
    "in a list": ["a", ["b", CANARY]],
    "in a mapping": {"a": {"b": (CANARY, 1)}},
    "as a name": {CANARY: 1},
    "in a set": {CANARY},
    "within an object": ValueError(CANARY),
}


def found_in(text: str) -> list[str]:
    """Every form of the canary that stands in the text."""
    core = CANARY.encode()
    middles = [b64encode(b"\0" * n + core).decode().rstrip("=")[4:-4] for n in range(3)]
    forms = [CANARY, quote(CANARY, safe=""), quote(CANARY, safe="").lower(), core.hex(), *middles]
    forms += [json.dumps(CANARY)[1:-1], json.dumps(json.dumps(CANARY))[1:-1], KEY]
    return [form for form in forms if form in text]


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_known_secret_never_leaves(out: io.StringIO, leak: object) -> None:
    logs.emit("exchange.lost", error=leak)

    assert found_in(out.getvalue()) == []
    assert HIDDEN in out.getvalue()


def test_a_secret_in_an_exception_never_leaves(out: io.StringIO) -> None:
    error = ConnectionError(f"GET https://api/v3/account?apiKey={KEY}&signature={CANARY}")
    error.__cause__ = OSError(CANARY)

    logs.emit("daemon.failed", error=str(error), exc_info=error)

    assert found_in(out.getvalue()) == []
    assert "ConnectionError" in out.getvalue()


def test_a_secret_that_a_library_logs_never_leaves(out: io.StringIO) -> None:
    library = logging.getLogger("tests.exchange")

    library.warning("request headers %s", {"X-MBX-APIKEY": KEY, "other": "kept"})
    library.error("failed", exc_info=OSError(CANARY))

    assert found_in(out.getvalue()) == []
    assert "kept" in out.getvalue()


def test_a_secret_learnt_later_is_hidden_from_then_on(out: io.StringIO) -> None:
    logs.hide("a-secret-of-the-exchange-in-the-box")

    logs.emit("exchange.lost", error="it said a-secret-of-the-exchange-in-the-box")

    assert "in-the-box" not in out.getvalue()


def test_a_secret_cut_in_the_middle_leaves_no_half(out: io.StringIO) -> None:
    for length in range(360, 420, 3):
        logs.emit("exchange.lost", error="x" * length + KEY + "y" * 20_000)

    assert "AKcanary" not in out.getvalue()


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    pem = "first-line-of-a-key\nsecond-line-of-a-key"

    assert Redactor([pem]).clean_text("at second-line-of-a-key, end") == f"at {HIDDEN}, end"


UNKNOWN = "neverSeenBefore123"


@pytest.mark.parametrize(
    "text",
    [
        f"signature={UNKNOWN}",
        f"https://api/order?symbol=BTCUSDT&signature={UNKNOWN}&x=1",
        f"signature%3D{UNKNOWN}",
        f"apiKey={UNKNOWN}",
        f"api_key: {UNKNOWN}",
        f"{{'X-MBX-APIKEY': '{UNKNOWN}'}}",
        f'{{"X-MBX-APIKEY": "{UNKNOWN}"}}',
        f"X-MBX-APIKEY: {UNKNOWN}",
        f"Authorization: Bearer {UNKNOWN}",
        f"listenKey={UNKNOWN}",
        f"password = '{UNKNOWN}'",
        f"https://user:{UNKNOWN}@proxy.example/",
        f"-----BEGIN EC PRIVATE KEY-----\n{UNKNOWN}\n-----END EC PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{UNKNOWN}",
    ],
)
def test_what_looks_like_a_secret_never_leaves(out: io.StringIO, text: str) -> None:
    logs.emit("exchange.lost", error=text)

    assert UNKNOWN not in out.getvalue()
    assert HIDDEN in out.getvalue()


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "X-MBX-APIKEY", "exchange_secret", "password", "listenKey", "webhook"],
)
def test_a_field_whose_name_says_secret_is_hidden(out: io.StringIO, name: str) -> None:
    logs.emit("exchange.lost", error={"config": [{name: UNKNOWN, "kept": "this"}]})

    assert UNKNOWN not in out.getvalue()
    assert "this" in out.getvalue()


def test_a_secret_of_digits_does_not_break_the_line() -> None:
    stream = io.StringIO()
    logs.configure(format="json", stream=stream, run=RUN, secrets=["1234567890"])

    logs.emit("history.loading", done=91_234_567_890, total=3, detail="secret: no")
    logs.release()

    line = json.loads(stream.getvalue())
    assert (line["done"], line["total"]) == (HIDDEN, 3)


def test_the_key_of_the_exchange_in_the_box_is_shown(out: io.StringIO) -> None:
    rest, stream = "http://127.0.0.1:1", "ws://127.0.0.1:1"
    logs.emit("exchange.started", exchange="embedded", rest=rest, stream=stream, key="box-1")

    assert "box-1" in out.getvalue()


def test_an_empty_secret_hides_nothing() -> None:
    assert Redactor(["", "  ", "abc"]).clean_text("abc is too short to be one") == (
        "abc is too short to be one"
    )


@given(st.text(min_size=8, max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_any_secret_is_gone_from_any_text(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    text = before + secret + after

    assert secret not in redactor.clean_text(text) or secret in HIDDEN * 20
    assert redactor.suspects(text)
