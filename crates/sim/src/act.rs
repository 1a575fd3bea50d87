//! Acts: what people do and what goes wrong, and which of them go together as one kind of fault.

/// What happens at a cue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    // People.
    Submit,
    Cancel,
    CancelMany,
    Retry,
    SameKey,
    Pause,
    Drain,
    Forget,
    // Processes.
    KillScheduler,
    FreezeScheduler,
    SecondScheduler,
    KillWorker,
    FreezeWorker,
    KillKeeper,
    FreezeKeeper,
    FreezeMachine,
    Reboot,
    // The disk.
    CommitUnknown,
    CommitRefused,
    ReadFails,
    // The network.
    Reset,
    CleanCut,
    HalfOpenAtWorker,
    HalfOpenAtScheduler,
    OneWayUp,
    OneWayDown,
    StrayOrder,
}

impl Act {
    /// Whether it goes wrong, and isn't what somebody wants.
    pub fn is_fault(self) -> bool {
        match self {
            Self::Submit | Self::Cancel | Self::CancelMany | Self::Retry | Self::SameKey => false,
            Self::Pause | Self::Drain | Self::Forget => false,
            Self::KillScheduler | Self::FreezeScheduler | Self::SecondScheduler => true,
            Self::KillWorker | Self::FreezeWorker | Self::KillKeeper | Self::FreezeKeeper => true,
            Self::FreezeMachine | Self::Reboot => true,
            Self::CommitUnknown | Self::CommitRefused | Self::ReadFails => true,
            Self::Reset | Self::CleanCut | Self::HalfOpenAtWorker | Self::HalfOpenAtScheduler => true,
            Self::OneWayUp | Self::OneWayDown | Self::StrayOrder => true,
        }
    }
}

/// A kind of fault: what a seed has or hasn't.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// So often at most, one of these.
    Strikes(u64, &'static [Act]),
    SlowNet,
    SkewedClocks,
}

impl Kind {
    pub const ALL: &'static [Self] = &[
        Self::Strikes(6, &[Act::KillScheduler]),
        Self::Strikes(4, &[Act::FreezeScheduler]),
        Self::Strikes(4, &[Act::SecondScheduler, Act::SecondScheduler, Act::FreezeScheduler]),
        Self::Strikes(8, &[Act::KillWorker]),
        Self::Strikes(4, &[Act::FreezeWorker, Act::FreezeMachine]),
        Self::Strikes(14, &[Act::KillKeeper]),
        Self::Strikes(3, &[Act::FreezeKeeper]),
        Self::Strikes(4, &[Act::Reboot]),
        Self::Strikes(8, &[Act::CommitUnknown, Act::CommitUnknown, Act::CommitRefused]),
        Self::Strikes(3, &[Act::ReadFails]),
        Self::Strikes(12, &[Act::Reset, Act::CleanCut]),
        Self::Strikes(5, &[Act::HalfOpenAtWorker, Act::HalfOpenAtScheduler]),
        Self::Strikes(5, &[Act::OneWayUp, Act::OneWayDown]),
        Self::Strikes(4, &[Act::StrayOrder]),
        Self::SlowNet,
        Self::SkewedClocks,
    ];
}
