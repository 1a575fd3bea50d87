//! The loop, and what it owns.

use super::attempt::Attempt;
use super::link::Link;
use super::poll::Source;
use super::process::Shared;
use crate::keeper::codec;
use crate::keeper::event::HeldByKeeper;
use crate::keeper::message::{self as m, Command, Variable};
use domain::{AttemptId, Result};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    os::unix::net::UnixListener,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Without a worker and without attempts, a keeper ends after this.
const IDLE: Duration = Duration::from_secs(60);
/// When it is told to end: for the worker to take the last exits.
const FAREWELL: Duration = Duration::from_secs(2);
/// Between two tries to end trees that would not end in time.
const TIDY: Duration = Duration::from_secs(1);
/// An attempt that has run for so long is entrusted to the worker, in case we die.
const YOUNG: Duration = Duration::from_millis(100);
/// Between two tries to store output that found no room, while its task waits.
const LOOK: Duration = Duration::from_millis(250);
/// A start by itself is told after this: what is over by then is told in one piece, and its worker wakes once, not twice,
/// on processors that the task could use.
const BEGUN: Duration = Duration::from_millis(2);
/// From the closing of a process's first pipe until it can be waited for takes about twice as long as this, and Linux makes
/// twice as much of it. Whoever is told of each step takes the processor four times from those that run.
const ENDING: Duration = Duration::from_micros(50);
/// From SIGTERM to SIGKILL when the keeper itself is told to end by a signal.
const SIGNAL_GRACE: Duration = Duration::from_secs(5);

/// Whether it was told to end.
enum Leaving {
    No,
    /// As soon as it holds nothing.
    WhenEmpty,
    /// As soon as what it holds has ended: nothing is started any more.
    Now,
}

pub(super) struct Server {
    pub(super) shared: Shared,
    pub(super) listener: UnixListener,
    pub(super) signals: super::setup::Signals,
    attempts: BTreeMap<u64, Attempt>,
    keys: BTreeMap<AttemptId, u64>,
    next_key: u64,
    /// Those that started lately, oldest first, and when they have run for a while.
    young: VecDeque<(Instant, u64)>,
    /// When which attempt wants to be called.
    timers: BTreeSet<(Instant, u64)>,
    timer_of: BTreeMap<u64, Instant>,
    link: Option<Link>,
    links: u64,
    /// Attempts with news for the worker, each once. Bounded by the attempts.
    news: VecDeque<u64>,
    in_news: BTreeSet<u64>,
    /// Those whose programs aren't known to be loaded, oldest first, and since when.
    loading: VecDeque<(Instant, u64)>,
    /// When it is looked whether they are; and when starts are told, if there is nothing else to tell.
    tell_at: Option<Instant>,
    /// What all tasks find in their environment, as the last worker said.
    environment: Vec<Variable>,
    leaving: Leaving,
    idle_since: Instant,
    /// Since when it could end but for a worker that hasn't taken everything.
    done_since: Option<Instant>,
    tidy_at: Option<Instant>,
    /// When it is tried again whether output finds room that found none.
    look_at: Option<Instant>,
}

impl Server {
    pub(super) fn new(shared: Shared, listener: UnixListener, signals: super::setup::Signals) -> io::Result<Self> {
        shared.poll.add(&listener, Source::Listener)?;
        shared.poll.add(&signals, Source::Signals)?;
        Ok(Self {
            shared,
            listener,
            signals,
            attempts: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_key: 0,
            young: VecDeque::new(),
            timers: BTreeSet::new(),
            timer_of: BTreeMap::new(),
            link: None,
            links: 0,
            news: VecDeque::new(),
            in_news: BTreeSet::new(),
            loading: VecDeque::new(),
            tell_at: None,
            environment: Vec::new(),
            leaving: Leaving::No,
            idle_since: Instant::now(),
            done_since: None,
            tidy_at: None,
            look_at: None,
        })
    }

    /// Runs until there is no reason to.
    ///
    /// # Errors
    /// epoll fails.
    pub(super) fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            let busy = self.shared.directories.is_behind();
            let until = if busy { Some(Instant::now()) } else { self.wakes() };
            let ready = self.shared.poll.wait(until)?;
            // What can wait is done when there is nothing else.
            if ready.is_empty() {
                self.shared.directories.catch_up();
            }
            // What has ended is told before anything is started: the worker thinks about what is next meanwhile.
            let (commands, news): (Vec<_>, Vec<_>) = ready.into_iter().partition(|s| matches!(s, Source::Link(_)));
            let only_pipes = commands.is_empty() && news.iter().all(|s| matches!(s, Source::Pipe(..)));
            let closed = self.shared.closed;
            news.into_iter().for_each(|source| self.on(source));
            let ending = only_pipes && self.shared.closed > closed;
            self.tell();
            commands.into_iter().for_each(|source| self.on(source));
            self.on_time();
            self.tell();
            if ending && self.runs_others() {
                thread::sleep(ENDING);
            }
        }
        while self.shared.directories.is_behind() {
            self.shared.directories.catch_up();
        }
        Ok(())
    }

    fn on(&mut self, source: Source) {
        match source {
            Source::Listener => self.accept(),
            Source::Signals => {
                self.signals.take();
                self.leave(true, SIGNAL_GRACE);
            }
            Source::Link(number) => self.on_link(number),
            Source::Exit(key) => self.with(key, |attempt, shared| attempt.on_exit(shared)),
            Source::Pipe(key, pipe) => self.with(key, |attempt, shared| attempt.on_pipe(pipe, shared)),
        }
    }

    /// Does something for an attempt, and what follows from it for the loop.
    fn with(&mut self, key: u64, what: impl FnOnce(&mut Attempt, &mut Shared)) {
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        let shared = &mut self.shared;
        if panic::catch_unwind(AssertUnwindSafe(|| what(attempt, shared))).is_err() {
            attempt.broken(shared);
        }
        let timer = attempt.timer;
        self.look_at = self.look_at.or_else(|| attempt.is_stuck().then(|| Instant::now() + LOOK));
        if attempt.has_news(shared) && self.in_news.insert(key) {
            self.news.push_back(key);
        }
        self.set_timer(key, timer);
    }

    /// Whether the processors are wanted by more than one that is just ending.
    fn runs_others(&self) -> bool {
        self.attempts.values().filter(|attempt| !attempt.has_exited()).nth(1).is_some()
    }

    fn set_timer(&mut self, key: u64, timer: Option<Instant>) {
        let before = match timer {
            Some(at) => self.timer_of.insert(key, at),
            None => self.timer_of.remove(&key),
        };
        if before != timer {
            before.map(|at| self.timers.remove(&(at, key)));
            timer.map(|at| self.timers.insert((at, key)));
        }
    }

    fn wakes(&self) -> Option<Instant> {
        let idle = self.is_idle().then(|| self.idle_since + IDLE);
        let farewell = self.done_since.map(|since| since + FAREWELL);
        let timer = self.timers.first().map(|(at, _)| *at);
        let young = self.young.front().map(|(at, _)| *at);
        [idle, farewell, timer, young, self.tidy_at, self.look_at, self.tell_at].into_iter().flatten().min()
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key));
            self.timer_of.remove(&key);
            self.with(key, |attempt, shared| attempt.on_timer(shared));
        }
        while let Some((_, key)) = self.young.pop_front_if(|(at, _)| *at <= now) {
            self.with(key, |attempt, _| attempt.age());
        }
        self.look_at_starts();
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.look_again();
        }
        if self.tidy_at.is_none_or(|at| at <= now) {
            self.tidy_at = self.shared.trees.tidy().then(|| now + TIDY);
        }
    }

    /// Nobody says when a program is loaded: whoever has something else to do looks by the way.
    fn look_at_starts(&mut self) {
        for (since, key) in std::mem::take(&mut self.loading) {
            self.with(key, |attempt, shared| attempt.on_loaded(shared));
            if self.attempts.get(&key).is_some_and(Attempt::is_loading) {
                self.loading.push_back((since, key));
            }
        }
    }

    /// When it is to be looked at starts again: soon, unless they take long already.
    fn next_look(&self) -> Option<Instant> {
        let since = self.loading.front()?.0;
        let now = Instant::now();
        Some((since + BEGUN).max(now + since.elapsed().clamp(BEGUN / 2, LOOK)))
    }

    fn is_idle(&self) -> bool {
        self.attempts.is_empty() && self.link.is_none()
    }

    fn is_over(&mut self) -> bool {
        if self.is_leaving() && self.attempts.values().all(Attempt::has_exited) {
            let told = self.link.as_ref().is_none_or(|link| link.is_empty() && self.news.is_empty());
            let since = *self.done_since.get_or_insert_with(Instant::now);
            return told || since.elapsed() >= FAREWELL;
        }
        self.done_since = None;
        self.is_idle() && self.idle_since.elapsed() >= IDLE
    }

    fn is_leaving(&self) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::WhenEmpty => self.attempts.is_empty(),
            Leaving::Now => true,
        }
    }

    fn leave(&mut self, kill: bool, grace: Duration) {
        self.leaving = if kill { Leaving::Now } else { Leaving::WhenEmpty };
        if kill {
            let keys: Vec<u64> = self.attempts.keys().copied().collect();
            for key in keys {
                self.with(key, |attempt, _| attempt.kill(grace));
            }
        }
    }
}

/// The worker's side of it.
impl Server {
    /// A new worker connects: it takes the place of the one before.
    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        self.hang_up();
        self.links += 1;
        let link = Link::new(self.links, stream)
            .and_then(|link| self.shared.poll.add(&link.stream, Source::Link(link.number)).map(|()| link));
        match link {
            Ok(link) => self.link = Some(link),
            Err(error) => eprintln!("a worker's connection: {error}"),
        }
    }

    fn hang_up(&mut self) {
        if let Some(link) = self.link.take() {
            self.shared.poll.remove(&link.stream);
            self.idle_since = Instant::now();
            self.detach(true);
        }
    }

    /// Whether output is spooled beyond the window instead of blocking tasks.
    fn detach(&mut self, detached: bool) {
        self.shared.detached = detached;
        self.look_again();
    }

    fn look_again(&mut self) {
        let keys: Vec<u64> = self.attempts.keys().copied().collect();
        for key in keys {
            self.with(key, |attempt, shared| attempt.pause_or_resume(shared));
        }
    }

    fn on_link(&mut self, number: u64) {
        let Some(link) = self.link.as_mut().filter(|link| link.number == number) else { return };
        let done = link.read().and_then(|commands| commands.into_iter().try_for_each(|c| self.obey(c)));
        if let Err(error) = done {
            eprintln!("the worker's connection has ended: {error}");
            self.hang_up();
        }
    }

    fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Hello(hello) => self.greet(hello),
            Command::Start(start) => self.start(start)?,
            Command::Kill(m::Kill { attempt, grace_us }) => {
                let grace = Duration::from_micros(grace_us);
                self.with_id(codec::attempt_from(attempt)?, |attempt, _| attempt.kill(grace));
            }
            Command::Release(m::Release { attempt, number }) => {
                self.with_id(codec::attempt_from(attempt)?, |attempt, shared| attempt.release(number, shared));
            }
            Command::Forget(attempt) => self.forget(codec::attempt_from(Some(attempt))?),
            Command::Detached(m::Detached { detached }) => self.detach(detached),
            Command::Shutdown(m::Shutdown { kill, grace_us }) => self.leave(kill, Duration::from_micros(grace_us)),
        }
        Ok(())
    }

    fn with_id(&mut self, id: AttemptId, what: impl FnOnce(&mut Attempt, &mut Shared)) {
        if let Some(key) = self.keys.get(&id).copied() {
            self.with(key, what);
        }
    }

    fn greet(&mut self, hello: m::Hello) {
        let m::Hello { protocol, environment, spool } = hello;
        self.environment = environment;
        self.shared.limits = codec::limits_from(spool);
        // A worker of an earlier build is spoken to as its own keeper would.
        let protocol = protocol.clamp(m::OLDEST, m::PROTOCOL);
        let keys: Vec<u64> = self.attempts.keys().copied().collect();
        for key in keys {
            self.with(key, |attempt, shared| attempt.resend(protocol >= m::CUSTODY, shared));
        }
        let held = HeldByKeeper {
            level: self.shared.trees.level(),
            pid: std::process::id(),
            switches_user: true,
            attempts: self.attempts.values().map(Attempt::kept).collect(),
        };
        if let Some(link) = &mut self.link {
            link.greeted = true;
            link.protocol = protocol;
            let ledger = self.shared.ledger.as_ref().filter(|_| protocol >= m::CUSTODY);
            let rights: Vec<_> = ledger.and_then(|ledger| ledger.share().ok()).into_iter().collect();
            let held = m::Held { ledger: !rights.is_empty(), ..codec::held_to(held, protocol) };
            link.put(m::News::Held(held), rights);
        }
        self.detach(false);
    }

    fn start(&mut self, start: m::Start) -> Result<()> {
        let what = codec::launch_from(start)?;
        if self.keys.contains_key(&what.attempt) {
            return Ok(());
        }
        let key = self.next_key;
        self.next_key += 1;
        let leaving = self.is_leaving();
        let (base, shared) = (&self.environment, &mut self.shared);
        let begun = panic::catch_unwind(AssertUnwindSafe(|| {
            if leaving {
                return Attempt::refuse(&what, "the keeper is about to end", Arc::clone(&shared.spool));
            }
            Attempt::begin(key, &what, base, shared)
        }));
        let attempt =
            begun.unwrap_or_else(|_| Attempt::refuse(&what, "the keeper failed", Arc::clone(&self.shared.spool)));
        self.keys.insert(what.attempt, key);
        self.attempts.insert(key, attempt);
        let now = Instant::now();
        self.young.push_back((now + YOUNG, key));
        if self.attempts.get(&key).is_some_and(Attempt::is_loading) {
            self.loading.push_back((now, key));
            self.tell_at.get_or_insert(now + BEGUN);
        }
        self.with(key, |_, _| ());
        Ok(())
    }

    fn forget(&mut self, id: AttemptId) {
        let Some(key) = self.keys.get(&id).copied() else { return };
        if !self.attempts.get(&key).is_some_and(Attempt::has_exited) {
            return;
        }
        self.keys.remove(&id);
        self.set_timer(key, None);
        if let Some(attempt) = self.attempts.remove(&key) {
            attempt.forget(&mut self.shared);
        }
        // Nobody wakes for those that are gone: most are, long before they are old.
        while self.young.pop_front_if(|(_, key)| !self.attempts.contains_key(key)).is_some() {}
        self.idle_since = Instant::now();
    }

    /// Tells the worker what it doesn't know yet, as far as it listens.
    fn tell(&mut self) {
        if self.only_begun() && *self.tell_at.get_or_insert_with(|| Instant::now() + BEGUN) > Instant::now() {
            return;
        }
        self.tell_at = self.next_look();
        let Some(mut link) = self.link.take() else { return };
        match self.fill(&mut link) {
            Ok(()) => self.link = Some(link),
            Err(error) => {
                eprintln!("the worker's connection has ended: {error}");
                self.link = Some(link);
                self.hang_up();
            }
        }
    }

    /// Whether starts are all there is to tell.
    fn only_begun(&self) -> bool {
        let begun = |key: &u64| self.attempts.get(key).is_some_and(Attempt::has_only_begun);
        !self.news.is_empty()
            && self.news.iter().all(begun)
            && self.link.as_ref().is_some_and(|link| link.greeted && link.is_empty())
    }

    fn fill(&mut self, link: &mut Link) -> io::Result<()> {
        let mut writable = true;
        while writable {
            while link.greeted
                && link.has_room()
                && let Some(key) = self.news.pop_front()
            {
                self.in_news.remove(&key);
                let mut news = None;
                // One thing a time: an attempt with much to say is not before the others.
                self.with(key, |attempt, shared| {
                    news = attempt.entrust(shared).or_else(|| Some((attempt.next_news(shared)?, Vec::new())));
                });
                if let Some((news, rights)) = news {
                    link.put(news, rights);
                }
            }
            if link.is_empty() {
                break;
            }
            writable = link.write()?;
        }
        let watch = !link.is_empty();
        if watch != link.watched {
            link.watched = watch;
            self.shared.poll.write_too(&link.stream, Source::Link(link.number), watch)?;
        }
        Ok(())
    }
}
