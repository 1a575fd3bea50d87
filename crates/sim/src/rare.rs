//! Rare states that a run of many seeds must have reached: a test that never gets where it hurts proves nothing.

use crate::world::World;

macro_rules! rare {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A rare state.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Rare {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rare {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// For people.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

rare! {
    /// G5: a worker refused an order of an older epoch.
    StaleOrder = "a stale order was refused by its worker",
    /// G6.
    UnknownApplied = "a commit of unknown outcome was applied",
    /// G6.
    UnknownLost = "a commit of unknown outcome was not applied",
    /// The store said no, for certain.
    CommitRefused = "a commit failed for certain",
    /// A look-up failed.
    ReadFailed = "a read of the store failed",
    /// The process died between a commit and its answer.
    CommittedAndDied = "a scheduler died between a commit and its effects",
    /// A deposed reign was told by the store.
    Deposed = "a deposed scheduler's commit was refused",
    /// A deposed reign was told by what it read.
    DeposedReader = "a deposed scheduler was told so when it read",
    /// A reign's effects left when it was deposed already.
    LateEffects = "effects of a commit left after the next reign had begun",
    /// Output of a deposed reign was not taken.
    LateOutput = "output offered by a deposed scheduler was refused",
    /// A task's patience was over.
    NotStarted = "a task ended because nobody started it in time",
    /// P6: the task was faster.
    CancelTooLate = "a cancel came after the end of what it was to end",
    /// P6: the cancel was faster.
    ExitTooLate = "an exit 0 came after the cancel",
    /// P6.
    Unconfirmed = "a cancel was final without its worker's word",
    /// G4.
    ReportRefused = "a report was refused",
    /// P1.
    ReturnedTooLate = "a worker came back with what had been given up",
    /// P1.
    ReturnedInTime = "a worker came back in time with what it held",
    /// P1, `on_lost = wait`.
    WaitedFor = "a task that waits for its worker was continued by it, long after",
    /// P1, `on_lost = fail`.
    FailedAtLoss = "a task failed at its first loss",
    /// The crash limit.
    LostTooOften = "a task failed because it was lost too often",
    /// P3's backstop.
    Overdue = "an attempt was lost because nobody reported its end",
    /// P1.
    Recalled = "a recall was confirmed",
    /// P4.
    Trimmed = "a window was trimmed",
    /// G9.
    Adopted = "a new worker process adopted what its keeper ran",
    /// A keeper died under attempts.
    KeeperLost = "a keeper died under attempts",
    /// What a keeper had spooled was torn.
    SpoolTorn = "a spool was torn",
    /// Another life of a worker.
    Rebooted = "a machine was started anew with attempts on it",
    /// P1.
    NameTaken = "another life of a connected worker was not let in",
    /// Half-open, at the scheduler.
    SchedulerNoticed = "a scheduler noticed silence",
    /// Half-open, at the worker.
    WorkerNoticed = "a worker noticed silence",
    /// G2.
    KeyKnown = "a key was answered with the earlier task",
    /// G2.
    KeyConflict = "a key with another body was a conflict",
    /// P2.
    RepeatKnown = "a repeated submit was answered with the earlier task",
    /// TERM wasn't enough.
    Stubborn = "a task that ignores TERM was killed",
    /// Both processes of a worker stood still past lost_after.
    FrozenTooLong = "a worker stood still for longer than lost_after",
}

/// Which of them were reached, and by how many seeds.
#[derive(Clone, Debug)]
pub struct Seen(Vec<u64>);

impl Default for Seen {
    fn default() -> Self {
        Self(vec![0; Rare::ALL.len()])
    }
}

impl Seen {
    /// It was reached.
    pub(crate) fn mark(&mut self, rare: Rare) {
        self.0[rare as usize] = 1;
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, n)| *sum += n);
    }

    /// Each with the number of seeds that reached it.
    pub fn iter(&self) -> impl Iterator<Item = (Rare, u64)> + '_ {
        Rare::ALL.iter().copied().zip(self.0.iter().copied())
    }
}

impl World {
    /// This state must be reached sometimes.
    pub(crate) fn sometimes(&mut self, rare: Rare) {
        self.report.seen.mark(rare);
    }
}
