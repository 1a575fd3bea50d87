"""What the worker reads and writes, on the wire and on disk. Needs grpcio and protobuf."""

import tempfile
import unittest
from pathlib import Path

try:
    from baton import _contract as contract
    from baton import _session as session
    from baton._data_dir import DataDir, DataDirError
    from baton._trace import place
    from baton._transport import Target, target
    from baton.worker import Worker
except ModuleNotFoundError as error:
    raise unittest.SkipTest(str(error)) from None

A = session.AttemptId("a", 2)


def assignment(**fields):
    return contract.TaskAssignment(**fields)


def start(**fields):
    order = contract.message("Order")
    order = order(start={"task_id": "a", "attempt": 2, **fields})
    return contract.order_batch(assignment(orders=[order])).orders[0]


class Traces(unittest.TestCase):
    def test_a_place_is_the_callers_or_called_like_the_task(self):
        task = "018bcfe5-6800-7000-8000-00000000000a"
        self.assertEqual(place(session.AttemptId(task, 1), "00-1"), "00-1")
        spans = set()
        for task_id in (task, f"{task}.0", f"{task}.7"):
            for number in (1, 2):
                said = place(session.AttemptId(task_id, number), "")
                self.assertRegex(said, f"^00-{task.replace('-', '')}-[0-9a-f]{{16}}-00$")
                spans.add(said)
        self.assertEqual(len(spans), 6)


class Wire(unittest.TestCase):
    def test_a_start_is_read_with_its_timeout_and_entry(self):
        table = [
            ({"timeout_secs": 0}, 300.0),
            ({"timeout_secs": 5}, 5.0),
            ({"timeout_secs": 5, "timeout_ms": 0}, None),
            ({"timeout_ms": 1500}, 1.5),
        ]
        for spec, timeout in table:
            with self.subTest(spec):
                read = start(spec={"name": "n", "payload": b"\0", **spec})
                self.assertEqual(read, session.Start(A, "n", b"\0", None, timeout))
        self.assertEqual(start(spec={"name": "n"}, entry="").entry, "")
        traced = start(spec={"name": "n", "traceparent": "00-1", "tracestate": "a=1"})
        self.assertEqual((traced.traceparent, traced.tracestate), ("00-1", "a=1"))
        self.assertEqual(start(spec={"name": "n", "shell": {"command": "true"}}).name, "", "it is no handler's")

    def test_what_is_not_understood_is_refused(self):
        for wrong in (assignment(task_id="a"), assignment(orders=[contract.message("Order")()])):
            with self.assertRaises(contract.NotUnderstood):
                contract.order_batch(wrong)

    def test_reports_are_written_whole(self):
        kinds = [
            session.Started(),
            session.Progressed(7, "m"),
            session.Exited(("timed_out_ms", 5), b"r", 3, False),
            session.Refused("why"),
            session.Recalled(),
        ]
        reports = tuple(session.Report(number, A, kind) for number, kind in enumerate(kinds, 1))
        update = contract.v1_message(session.Update(reports, session.Offer(9, 1)), {}).update
        self.assertEqual((update.offer.starts, update.offer.prefetch), (9, 1))
        said = [(r.number, r.task_id, r.attempt, r.WhichOneof("report")) for r in update.reports]
        words = ["started", "progressed", "exited", "refused", "recalled"]
        self.assertEqual(said, [(n, "a", 2, word) for n, word in enumerate(words, 1)])
        exited = update.reports[2].exited
        self.assertEqual((exited.timed_out_ms, exited.result, exited.run_us, exited.tree_gone), (5, b"r", 3, False))
        self.assertEqual(contract.v1_message(session.Update(), {}).WhichOneof("message"), "update", "I am here")

    def test_only_plain_urls_are_schedulers(self):
        self.assertEqual(target("http://10.0.0.1:5"), Target("10.0.0.1:5"))
        secure = target("https://x")
        self.assertEqual((secure.address, secure.credentials is None), ("x:443", False))
        for wrong in ("", "127.0.0.1:50052", "ftp://x:1", "http://", "http://x:1/path"):
            with self.subTest(wrong), self.assertRaises(ValueError):
                target(wrong)


class Directory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "a" / "b"

    def test_one_worker_at_a_time_and_the_next_one_is_the_same(self):
        first = DataDir(self.path)
        with self.assertRaisesRegex(DataDirError, "in use by another worker"):
            DataDir(self.path)
        incarnation = first.incarnation()
        self.assertEqual(first.known(), session.Known())
        first.remember(session.Known("s", 7))
        for store, commit, seal in (("s", 5, b"\x07"), (None, 9, b"\x01\x02"), (None, 3, b"\x08")):
            first.heard(store, commit, 3, seal)
        first.save(last=True)
        first.close()
        second = DataDir(self.path)
        self.addCleanup(second.close)
        self.assertEqual((second.incarnation(), second.known()), (incarnation, session.Known("s", 7)))
        self.assertEqual(second.seen, {"store_id": "s", "commit": 9, "epoch": 3, "seal": [1, 2]})
        second.heard("other", 2)
        nothing = {"epoch": 0, "seal": []}
        self.assertEqual(second.seen, {"store_id": "other", "commit": 2, **nothing}, "another store counts anew")

    def test_the_directory_of_a_worker_with_a_keeper_is_left_alone(self):
        self.path.mkdir(parents=True)
        (self.path / "keeper.sock").touch()
        with self.assertRaisesRegex(DataDirError, "belongs to a worker with a keeper"):
            DataDir(self.path)

    def test_each_session_says_a_higher_number_than_the_one_before(self):
        worker = Worker(data_dir=self.path)
        worker._dir, worker._identity = DataDir(self.path), {}
        self.addCleanup(worker._dir.close)
        hello = session.Hello(1, ())
        said = [worker._who(hello)["opened"] for _ in range(100)]
        self.assertEqual(said, sorted(set(said)))


if __name__ == "__main__":
    unittest.main()
