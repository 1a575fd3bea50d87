"""The client against a real gateway with one worker, `w0`, and a handler `reverse`: `BATON_HTTP=http://127.0.0.1:8080`."""

import os
import socket
import unittest
from concurrent.futures import ThreadPoolExecutor

from baton import Client, NotFound, OutputEvent, ProgressEvent, Refused, StateEvent, Unreachable
from baton import array, handler, program, shell
from baton._events import parse

GATEWAY = os.environ.get("BATON_HTTP")
ABSENT = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88"


@unittest.skipUnless(GATEWAY, "BATON_HTTP is not set")
class Verbs(unittest.TestCase):
    def setUp(self):
        self.client = Client(GATEWAY or "", token="none is asked for yet")
        self.addCleanup(self.client.close)

    def run_to_end(self, spec):
        return self.client.wait(self.client.submit(spec).task_id)

    def test_a_story_has_every_state_byte_and_progress_and_can_be_resumed_anywhere(self):
        line = 'echo out; echo err >&2; printf "42 half way\\n" >&"$BATON_PROGRESS_FD"; exit 3'
        task_id = self.client.submit(shell(line, worker="w0")).task_id
        events = list(self.client.watch(task_id))
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        written = {(e.stream, e.data) for e in events if isinstance(e, OutputEvent)}
        self.assertEqual(written, {("stdout", b"out\n"), ("stderr", b"err\n")})
        progress = [(e.percent, e.message) for e in events if isinstance(e, ProgressEvent)]
        self.assertEqual(progress, [(42, "half way")])
        last = events[-1]
        assert isinstance(last, StateEvent)
        self.assertEqual((last.status, last.exit_code, last.final), ("failed", 3, True))
        for seen, event in enumerate(events, 1):
            self.assertEqual(list(self.client.watch(task_id, after=event.id)), events[seen:])

    def test_bytes_stay_bytes(self):
        task = self.run_to_end(program("printf", "a\\377\\0b"))
        self.assertEqual(self.client.output(task.task_id), b"a\xff\0b")
        self.assertEqual(self.client.output(task.task_id, offset=2), b"\0b")
        self.assertEqual(self.client.output(task.task_id, "stderr"), b"")
        self.assertEqual(self.run_to_end(handler("reverse", b"\xff\0")).result, b"\0\xff")
        echo = self.run_to_end(shell("cat; echo $GREETING", stdin=b"\xffin\n", env={"GREETING": "hi"}))
        self.assertEqual(self.client.output(echo.task_id), b"\xffin\nhi\n")

    def test_options_reach_the_task(self):
        slow = shell("sleep 1000", timeout=0.001, retries=1, queue="slow", priority=3, labels={})
        task = self.run_to_end({**slow, "max_retries": 0})
        self.assertEqual((task.status, task.raw["queue"], task.raw["priority"]), ("timeout", "slow", 3))
        self.assertEqual(self.run_to_end(program("pwd", working_dir="/")).status, "completed")
        first, again = (self.client.submit(shell("true", idempotency_key="k")) for _ in range(2))
        self.assertEqual(first.task_id, again.task_id)
        with self.assertRaises(Refused) as refused:
            self.client.submit(shell("false", idempotency_key="k"))
        self.assertEqual(refused.exception.status, 409)

    def test_many_at_once_arrays_lists_and_retries(self):
        accepted = self.client.submit_many([handler("reverse", text, queue="many") for text in ("ab", "cd")])
        results = [self.client.wait(task.task_id).result for task in accepted]
        self.assertEqual(results, [b"ba", b"dc"])
        listed = {task.task_id for task in self.client.list(queue="many", status="completed,failed")}
        self.assertEqual(listed, {task.task_id for task in accepted})
        again = self.client.retry(accepted[0].task_id)
        self.assertEqual(self.client.wait(again.task_id).raw["retry_of"], accepted[0].task_id)
        for entries in (["ada", "grace"], range(1, 3)):
            members = self.client.submit(array(shell("echo ${BATON_ENTRY:-$BATON_ARRAY_INDEX}"), entries)).task_id
            self.assertEqual(self.client.wait(members).raw["members"]["completed"], 2)
            said = {self.client.output(task.task_id).decode().strip() for task in self.client.list(array=members)}
            self.assertEqual(said, {str(entry) for entry in entries})

    def test_cancel_waits_until_the_task_is_gone(self):
        task_id = self.client.submit(shell("sleep 1000", timeout=None)).task_id
        self.assertTrue(self.client.cancel(task_id))
        self.assertEqual(self.client.get(task_id).status, "cancelled")
        with self.assertRaises(Refused) as refused:
            self.client.cancel(task_id)
        self.assertEqual(refused.exception.status, 400)

    def test_what_waits_says_why(self):
        accepted = self.client.submit(shell("true", worker="nobody"))
        self.assertIn("nobody", accepted.waiting_for[0])
        self.assertEqual(len(self.client.explain(accepted.task_id)["waiting_for"]), 1)
        self.assertTrue(self.client.cancel(accepted.task_id))
        self.assertIn("w0", [worker["worker_id"] for worker in self.client.workers()])

    def test_a_call_uses_the_connection_of_the_one_before(self):
        def sockets():
            return [connection.sock.getsockname() for connection, _ in self.client._connections._kept]

        task_id = self.client.submit(shell("true")).task_id
        first = sockets()
        self.client.wait(task_id)
        with self.assertRaises(NotFound):
            self.client.get(ABSENT)
        self.client.retry(task_id)
        self.assertEqual((len(first), sockets()), (1, first))
        # One that was closed meanwhile is noticed, whatever is asked.
        for call in (lambda: self.client.get(task_id), lambda: self.client.submit(shell("true"))):
            self.client._connections._kept[0][0].sock.shutdown(socket.SHUT_RDWR)
            call()
            self.assertNotEqual(sockets(), first)
            first = sockets()
        self.client.close()
        self.assertEqual(sockets(), [])

    def test_threads_have_connections_of_their_own_and_leave_few_behind(self):
        task_id = self.client.submit(shell("true")).task_id
        with ThreadPoolExecutor(16) as threads:
            tasks = list(threads.map(lambda _: self.client.get(task_id).task_id, range(200)))
        self.assertEqual(set(tasks), {task_id})
        self.assertLessEqual(len(self.client._connections._kept), 4)

    def test_errors_say_what_is_wrong(self):
        for call in (self.client.get, self.client.cancel, self.client.retry, self.client.output):
            with self.subTest(call.__name__), self.assertRaises(NotFound):
                call(ABSENT)
        with self.assertRaises(NotFound):
            next(self.client.watch(ABSENT))
        with self.assertRaisesRegex(Refused, "task_id"):
            self.client.get("x")
        with self.assertRaisesRegex(Refused, "name"):
            self.client.submit(handler(""))


class Alone(unittest.TestCase):
    def test_nobody_there_is_said_at_once_and_by_streams_after_their_patience(self):
        client = Client("http://127.0.0.1:9", patience=0)
        with self.assertRaisesRegex(Unreachable, "no gateway at http://127.0.0.1:9"):
            client.get(ABSENT)
        with self.assertRaises(Unreachable):
            next(client.watch(ABSENT))
        for url in ("", "127.0.0.1:8080", "ftp://x"):
            with self.subTest(url), self.assertRaises(ValueError):
                Client(url)

    def test_events_are_read_as_the_format_says(self):
        table = [
            ("id: 1.2\nevent: state\ndata: {}\n\n", [("1.2", "state", "{}")]),
            (": still here\n\ndata: a\ndata:b\n\n", [("", "message", "a\nb")]),
            ("id: 7\nevent: e\ndata: a\n\ndata: b\n\n", [("7", "e", "a"), ("7", "message", "b")]),
            ("data: a\r\n\r\ndata: cut off\n", [("", "message", "a")]),
        ]
        for text, events in table:
            with self.subTest(text):
                self.assertEqual(list(parse(text.encode().splitlines(keepends=True))), events)


if __name__ == "__main__":
    unittest.main()
