import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.embedded.refusals import RequestError
from daemon.embedded.signing import (
    Credentials,
    check_key,
    check_rest_signature,
    check_time,
    check_ws_signature,
    sign,
)

CREDENTIALS = Credentials("key", "secret")
NOW_MS = 1_700_000_000_000


def code_of(error: pytest.ExceptionInfo[RequestError]) -> int:
    return error.value.code


def test_the_signature_of_the_published_example_is_the_published_one() -> None:
    """The example request of the venue's own documentation."""
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    query = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )

    assert sign(secret, query) == (
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )


def test_query_and_body_are_signed_as_one_text_without_a_separator() -> None:
    signature = sign("secret", "a=1b=2")

    check_rest_signature(CREDENTIALS, "a=1", f"b=2&signature={signature}")
    check_rest_signature(CREDENTIALS, f"a=1&signature={signature}", "b=2")


@given(st.integers(0, 5))
def test_any_change_of_a_signed_text_is_noticed(place: int) -> None:
    signature = sign("secret", "abc=12")
    changed = "".join("x" if n == place else c for n, c in enumerate("abc=12"))

    with pytest.raises(RequestError) as error:
        check_rest_signature(CREDENTIALS, changed, f"signature={signature}")

    assert code_of(error) == -1022


def test_a_missing_signature_is_a_missing_parameter() -> None:
    with pytest.raises(RequestError) as error:
        check_rest_signature(CREDENTIALS, "a=1", "")

    assert code_of(error) == -1102


def test_socket_parameters_are_signed_in_order_of_their_names() -> None:
    params: dict[str, object] = {"b": True, "a": 1, "apiKey": "key"}
    params["signature"] = sign("secret", "a=1&apiKey=key&b=true")

    check_ws_signature(CREDENTIALS, params)
    params["a"] = 2
    with pytest.raises(RequestError) as error:
        check_ws_signature(CREDENTIALS, params)

    assert code_of(error) == -1022


def test_a_missing_key_and_a_wrong_key_are_told_apart() -> None:
    with pytest.raises(RequestError) as missing:
        check_key(CREDENTIALS, None)
    with pytest.raises(RequestError) as wrong:
        check_key(CREDENTIALS, "other")

    assert (code_of(missing), code_of(wrong)) == (-2014, -2015)


def test_a_request_is_good_inside_its_window_and_not_a_millisecond_longer() -> None:
    params = {"timestamp": str(NOW_MS), "recvWindow": "2000"}

    check_time(params, NOW_MS + 2_000)
    check_time(params, NOW_MS - 1_000)
    for now_ms in (NOW_MS + 2_001, NOW_MS - 1_001):
        with pytest.raises(RequestError) as error:
            check_time(params, now_ms)
        assert code_of(error) == -1021


def test_a_time_that_is_missing_or_no_number_or_a_window_too_long_is_refused() -> None:
    cases = {-1102: {}, -1100: {"timestamp": "soon"}, -1131: {"recvWindow": "60001"}}

    for code, change in cases.items():
        params = {"timestamp": str(NOW_MS)} | change if change else {}
        with pytest.raises(RequestError) as error:
            check_time(params, NOW_MS)
        assert code_of(error) == code


def test_a_secret_does_not_show_in_a_representation() -> None:
    assert "secret=..." in repr(CREDENTIALS)
    assert repr(CREDENTIALS).count("secret") == 1
