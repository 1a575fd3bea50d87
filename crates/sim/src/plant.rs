//! Bugs planted on purpose, which the checks must find. None of them is in the production code: each is what the world
//! around it would see if the bug were there – on the bus, at the disk, at a process. So production carries no hook, and the
//! same binary that proves it is the one that must fail here.

macro_rules! plants {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A planted bug.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Plant {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

plants! {
    /// Now and then a commit is said to be durable and isn't.
    LyingDisk = "lying-disk",
    /// Effects leave when their batch is handed over, before it is durable.
    AckBeforeCommit = "ack-before-commit",
    /// A commit of unknown outcome is taken for done.
    UnknownIsDone = "unknown-is-done",
    /// Commits of an older epoch are taken.
    FenceOpen = "fence-open",
    /// A batch without writes isn't committed: kill and forget orders leave without proof that the epoch is current.
    ForgetBeforeFence = "forget-before-fence",
    /// Orders of an older epoch are obeyed.
    StaleOrderTaken = "stale-order-taken",
    /// An order to start is carried out twice.
    DoubleStart = "double-start",
    /// A result of an attempt that is over counts for the one under way.
    ResultNotFenced = "result-not-fenced",
    /// Numbers of attempts are used again.
    AttemptReused = "attempt-reused",
    /// A worker that comes back isn't told again to end what is being cancelled.
    KillNotResent = "kill-not-resent",
    /// A worker that comes back isn't told to end what was given up.
    KillOnLossOmitted = "kill-on-loss-omitted",
    /// A task completes before its output is stored.
    ResultBeforeOutput = "result-before-output",
    /// Output is acknowledged and not stored.
    OutputDropped = "output-dropped",
    /// Reading ahead skips a task.
    CursorSkips = "cursor-skips",
    /// Numbers of tasks are not changed with the tasks.
    CountsDrift = "counts-drift",
    /// Idempotency keys are only in memory.
    KeyNotKept = "key-not-kept",
    /// A task that is to be started within some time waits for ever.
    PatienceIgnored = "patience-ignored",
    /// What a repeated submit finds isn't looked up.
    RepeatNotNoticed = "repeat-not-noticed",
    /// A later state of a task is overwritten by an earlier one.
    WritesReordered = "writes-reordered",
    /// A worker offers more than it has.
    SlotsIgnored = "slots-ignored",
    /// A task whose worker is away is taken for lost although it waits for it.
    WaitIgnored = "wait-ignored",
}

impl Plant {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|plant| plant.name() == name)
    }
}
