"""Clients that hold connections and ask for nothing: the others do not notice."""

import contextlib
import os
import pathlib
import signal

import pytest
from support import wait_until
from wire import answers, connect, read_all, request

HUNDREDS = 300

HANGING = {
    "says nothing": b"",
    "breaks off in a line": b"GET /4KdX",
    "breaks off in the head": b"GET / HTTP/1.1\r\nHost: a.example\r\nX-",
    "sends no body": b"POST /postback HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n",
    "breaks off in a chunk": b"POST /postback HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nclick",
    "asked before": b"GET /nowhere/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
}


@pytest.mark.parametrize("begun", HANGING.values(), ids=HANGING)
def test_others_are_served_while_hundreds_hang(proxy, campaign, begun):
    with contextlib.ExitStack() as hanging:
        connections = [hanging.enter_context(connect(proxy)) for _ in range(HUNDREDS)]
        for connection in connections:
            connection.sendall(begun)
        wait_until(lambda: proxy.metric("connections") >= HUNDREDS, "all of them are accepted")
        for _ in range(20):
            assert proxy.get(f"/{campaign.codes[1001]}").status == 302
            assert proxy.get("/postback?click_id=unknown").status == 200
    wait_until(lambda: proxy.metric("connections") == 0, "none of them is left")


def test_slow_client_is_answered_once_it_has_asked(proxy, campaign):
    whole = request(f"/{campaign.codes[1001]}")
    with connect(proxy) as connection:
        for byte in whole[:-1]:
            connection.sendall(bytes([byte]))
            if byte == ord("\n"):
                assert proxy.get("/").status == 200
        connection.sendall(whole[-1:])
        stream = b""
        while chunk := connection.recv(4096):
            stream += chunk
    assert [answer.status for answer in answers(stream)] == [302]


def test_all_who_come_at_once_after_a_send_are_kept_waiting_and_none_is_turned_away(proxy, campaign):
    """While the proxy does nothing, the kernel holds new connections; one too many would try again after a second."""
    room = int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text())
    with contextlib.ExitStack() as waiting:
        os.kill(proxy.process.pid, signal.SIGSTOP)
        try:
            connections = [waiting.enter_context(connect(proxy)) for _ in range(min(1000, room))]
        finally:
            os.kill(proxy.process.pid, signal.SIGCONT)
        for connection in connections:
            connection.sendall(request(f"/{campaign.codes[1001]}"))
        streams = [read_all(connection) for connection in connections]
    assert {answer.status for stream in streams for answer in answers(stream)} == {302}
    assert all(len(answers(stream)) == 1 for stream in streams)
