"""The session's rules: what fences it keeps, and what it says again. The same as `crates/session/tests/rules.rs`."""

import unittest

from baton._session import (
    Disconnect,
    Drain,
    End,
    Execute,
    Exited,
    Forget,
    Hello,
    Kill,
    Known,
    Offer,
    OrderBatch,
    Phase,
    AttemptId,
    Recall,
    Recalled,
    Refused,
    Remember,
    Send,
    Session,
    Start,
    Started,
    Update,
    Welcome,
)

A, B, C = (AttemptId(task, 1) for task in "abc")
DONE = Exited(("code", 0), b"result", run_us=1_000_000)


def start(attempt):
    return Start(attempt, "name", b"")


class Rig:
    """A session, and a scheduler that numbers its orders."""

    def __init__(self, slots=2, known=Known("store", 5)):
        self.now = 0.0
        self.session = Session(slots, known)
        self.sequence = 1

    def connect(self, *orders, epoch=5, store="store"):
        self.session.connected(self.now)
        self.sequence = 1
        hello = self.done()
        return hello, self.say(Welcome(1, store, 1), *orders, epoch=epoch)

    def say(self, *orders, epoch=5, sequence=None, shard=0):
        batch = OrderBatch(shard, epoch, sequence or self.sequence, orders)
        self.sequence += len(orders)
        self.session.orders(self.now, batch)
        return self.done()

    def done(self):
        return self.session.drain(self.now)


def of(kind, effects):
    return [effect for effect in effects if isinstance(effect, kind)]


def reports(effects):
    updates = (effect.message for effect in of(Send, effects) if isinstance(effect.message, Update))
    return [(r.number, r.attempt, type(r.kind)) for update in updates for r in update.reports]


def offers(effects):
    return [e.message.offer for e in of(Send, effects) if isinstance(e.message, Update) and e.message.offer]


class Fences(unittest.TestCase):
    def test_stale_misplaced_and_unasked_orders_end_the_stream_and_start_nothing(self):
        table = {
            "an older epoch": dict(epoch=4),
            "out of sequence": dict(sequence=9),
            "another shard": dict(shard=1),
        }
        for why, how in table.items():
            with self.subTest(why):
                rig = Rig()
                rig.connect()
                effects = rig.say(start(A), **how)
                self.assertEqual([type(e) for e in effects], [Disconnect])
                self.assertFalse(rig.session.is_open)
                self.assertEqual(rig.say(start(A)), [], "nobody listens to a stream that is given up")

    def test_orders_before_the_welcome_and_a_second_welcome_end_the_stream(self):
        rig = Rig()
        rig.session.connected(0.0)
        rig.done()
        self.assertEqual([type(e) for e in rig.say(start(A), start(B))], [Disconnect])
        rig.connect()
        self.assertEqual([type(e) for e in rig.say(Welcome(2, "store", 1))], [Disconnect])

    def test_a_higher_epoch_is_remembered_before_anything_is_started(self):
        rig = Rig()
        _, effects = rig.connect(start(A), epoch=6)
        self.assertEqual([type(e) for e in effects][:2], [Remember, Execute])
        self.assertEqual(effects[0].known, Known("store", 6))
        hello, _ = rig.connect(epoch=6)
        self.assertEqual(hello[0].message.epoch, 6)

    def test_another_store_counts_its_own_epochs(self):
        rig = Rig()
        _, effects = rig.connect(epoch=1, store="other")
        self.assertEqual(of(Remember, effects), [Remember(Known("other", 1))])
        self.assertTrue(rig.session.is_open)

    def test_an_attempt_is_started_once_however_often_it_is_ordered(self):
        rig = Rig()
        rig.connect()
        self.assertEqual(len(of(Execute, rig.say(start(A), start(A)))), 1)
        self.assertEqual(of(Execute, rig.say(start(A))), [])
        rig.session.exited(A, DONE)
        rig.done()
        self.assertEqual(of(Execute, rig.say(start(A))), [], "ended, not yet forgotten")
        rig.say(Forget(1))
        effects = rig.say(start(A))
        self.assertEqual(of(Execute, effects), [])
        self.assertEqual(reports(effects), [(2, A, Refused)], "over and gone")


class Reports(unittest.TestCase):
    def test_what_was_not_acknowledged_is_said_again_in_order_with_new_numbers(self):
        rig = Rig()
        rig.connect(start(A), start(B))
        rig.session.started(A)
        rig.session.started(B)
        self.assertEqual(reports(rig.done()), [(1, A, Started), (2, B, Started)])
        rig.say(Forget(1))
        rig.session.disconnected()
        rig.session.exited(A, DONE)
        hello, effects = rig.connect()
        self.assertEqual(hello, [Send(Hello(5, ((A, Phase.ENDED), (B, Phase.RUNNING))))])
        self.assertEqual(reports(effects), [(1, B, Started), (2, A, Exited)])
        rig.say(Forget(2))
        self.assertEqual(rig.session.holds, 1)

    def test_results_travel_in_messages_of_some_megabytes(self):
        rig = Rig(slots=8)
        rig.connect(*(start(AttemptId(str(n), 1)) for n in range(8)))
        for n in range(8):
            rig.session.exited(AttemptId(str(n), 1), Exited(("code", 0), bytes(1024 * 1024)))
        messages = [e.message for e in of(Send, rig.done())]
        self.assertEqual([len(m.reports) for m in messages], [4, 4])

    def test_progress_waits_for_the_one_before_and_the_last_is_always_said(self):
        rig = Rig()
        rig.connect(start(A))
        for percent in (1, 2, 3):
            rig.session.progressed(0.0, A, percent, "")
        self.assertEqual(len(reports(rig.done())), 1)
        self.assertEqual(len(reports(rig.say(Forget(1)))), 1, "the latest follows")
        rig.session.progressed(0.0, A, 4, "")
        rig.session.exited(A, DONE)
        kinds = [e.message.reports for e in of(Send, rig.done())][0]
        self.assertEqual([getattr(r.kind, "percent", None) for r in kinds], [4, None])

    def test_it_says_that_it_is_there_and_gives_a_silent_scheduler_up(self):
        rig = Rig()
        rig.connect()
        rig.now = 5.0
        rig.session.tick(rig.now)
        self.assertEqual(rig.done(), [Send(Update())])
        self.assertEqual(rig.done(), [], "once")
        rig.now = 15.0
        rig.session.tick(rig.now)
        self.assertEqual([type(e) for e in rig.done()], [Disconnect])


class Capacity(unittest.TestCase):
    def test_free_slots_are_granted_and_grants_are_counted_from_the_welcome(self):
        rig = Rig()
        _, effects = rig.connect()
        self.assertEqual(offers(effects), [Offer(2, 0)])
        self.assertEqual(offers(rig.say(start(A))), [], "granted already")
        rig.session.exited(A, DONE)
        self.assertEqual(offers(rig.done()), [Offer(3, 0)])
        rig.session.borrowed(1)
        self.assertEqual(offers(rig.say(start(B))), [Offer(3, 1)], "granted, but its slot is taken")
        rig.session.exited(B, DONE)
        self.assertEqual(offers(rig.done()), [Offer(3, 0)])

    def test_short_runs_are_held_ahead(self):
        rig = Rig()
        rig.connect()
        for n in range(8):
            rig.say(start(AttemptId(str(n), 1)))
            rig.session.exited(AttemptId(str(n), 1), Exited(("code", 0), run_us=1_000))
        self.assertEqual(offers(rig.done())[-1].prefetch, 64)

    def test_what_could_not_be_killed_in_time_goes_before_anything_new_comes(self):
        rig = Rig()
        rig.connect(start(A))
        rig.session.disconnected()
        _, effects = rig.connect(Kill(A))
        self.assertEqual((of(End, effects), offers(effects)), ([End(A)], []))
        rig.session.exited(A, Exited(("killed", True)))
        self.assertEqual(offers(rig.done()), [Offer(2, 0)])

    def test_a_draining_and_a_leaving_worker_give_back_what_has_not_started(self):
        for leaving in (False, True):
            with self.subTest(leaving=leaving):
                rig = Rig(slots=1)
                rig.connect(start(A), start(B))
                if leaving:
                    rig.session.leave()
                    effects = rig.done()
                    self.assertEqual(reports(effects), [(1, B, Recalled)])
                    effects = rig.say(start(C))
                    self.assertEqual(reports(effects), [(2, C, Recalled)])
                else:
                    effects = rig.say(Drain(), Recall(A), Recall(B), Recall(C))
                    self.assertEqual(reports(effects), [(1, B, Recalled), (2, C, Recalled)], "A runs")
                rig.session.exited(A, DONE)
                self.assertTrue(all(offer.starts <= 3 for offer in offers(rig.done())))

    def test_a_kill_ends_what_runs_and_what_never_began(self):
        rig = Rig(slots=1)
        rig.connect(start(A), start(B))
        effects = rig.say(Kill(A), Kill(B), Kill(C))
        self.assertEqual(of(End, effects), [End(A)])
        self.assertEqual(reports(effects), [(1, B, Exited), (2, C, Exited)])
        self.assertEqual(of(Execute, rig.done()), [])


if __name__ == "__main__":
    unittest.main()
