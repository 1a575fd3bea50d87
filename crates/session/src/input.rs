//! What goes in and what comes out.

use domain::{
    AttemptId, Epoch, Exit, Frame, FrameNo, HeldAttempt, Hello, Offer, OrderBatch, Progress, Report, Start, Totals,
};
use std::sync::Arc;

/// What a session needs to know for its whole life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionConfig {
    /// Who this worker is; `slots` is taken from here, `held` and `highest_epoch` are filled in, and the time
    /// is added to `opened`.
    pub hello: Hello,
    /// The most starts to hold beyond free slots, whatever their length. 0: never prefetch.
    pub prefetch_max: u32,
    /// What earlier processes of this incarnation have seen ([`Effect::Remember`]).
    pub known: Known,
}

/// The highest epoch seen, and of which store: an older epoch of the same store is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// The store's name; `None` before the first welcome.
    pub store_id: Option<Arc<str>>,
    /// The highest epoch seen in it.
    pub epoch: Epoch,
}

/// What the session is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The session's stream is up.
    Connected,
    /// The session's stream has ended. May be repeated.
    Disconnected,
    /// The output stream is up.
    OutputConnected,
    /// The output stream has ended: what it carried without acknowledgement is sent again. May be repeated.
    OutputDisconnected,
    /// A message of the scheduler.
    Orders(OrderBatch),
    /// Frames of an attempt are stored up to this one.
    FramesAcked {
        /// Whose.
        attempt: AttemptId,
        /// The last stored frame.
        number: FrameNo,
    },
    /// Attempts that the keeper held when this process started, with their output as far as it was released. Said before
    /// the first `Connected`; their other frames and their exits follow as `Frame` and `Exited`.
    Kept(Vec<HeldAttempt>),
    /// The attempt runs.
    Started {
        /// Which.
        attempt: AttemptId,
    },
    /// The attempt says how far it is.
    Progressed {
        /// Which.
        attempt: AttemptId,
        /// How far.
        progress: Progress,
    },
    /// The attempt wrote something. Frames come in order, and all of them before `Exited`.
    Frame(Frame),
    /// The attempt ended, or could not be started (`Exit::NotStarted`).
    Exited {
        /// Which.
        attempt: AttemptId,
        /// How.
        exit: Exit,
        /// Its output in all.
        totals: Totals,
        /// A handler's final bytes.
        result: Vec<u8>,
        /// Microseconds from start to end.
        run_us: u64,
        /// Whether every process of its tree is proved gone.
        tree_gone: bool,
    },
    /// The worker will not start an attempt that it was given: why.
    Refused {
        /// Which.
        attempt: AttemptId,
        /// For people.
        reason: String,
    },
    /// The keeper died with this attempt in it.
    KeeperLost {
        /// Which.
        attempt: AttemptId,
    },
    /// So many slots are taken by calls that don't come from the scheduler.
    Borrowed(u32),
    /// The worker's Docker engine answers now, or doesn't: what the next hello offers. Another one than before is said in a
    /// new session.
    Docker(bool),
    /// Take nothing new and give back what hasn't started: this process is about to leave.
    Drain,
    /// As `Drain`, and end everything that runs.
    Interrupt,
    /// Time has passed. Due at least once a second, and at [`crate::Session::next_tick`] for prompt output.
    Tick,
}

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send on the session's stream.
    Send(ToScheduler),
    /// Send on the output stream, as one message.
    SendFrames(Vec<Arc<Frame>>),
    /// Start an attempt; answered by `Started` and `Exited`, or `Refused`.
    Start(Start),
    /// End an attempt's whole process tree; answered by `Exited`. May be repeated.
    Kill(AttemptId),
    /// The keeper may drop the frames up to this one.
    Release {
        /// Whose.
        attempt: AttemptId,
        /// The last frame to drop.
        frame: FrameNo,
    },
    /// All of this started attempt is stored: the keeper may forget it.
    Drop(AttemptId),
    /// Remember this beyond this process, before anything that follows.
    Remember(Known),
    /// Close the session's stream, and connect again after a while: why.
    Disconnect(String),
}

/// A message to the scheduler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToScheduler {
    /// The first one.
    Hello(Hello),
    /// Any other; an empty one says "I am here".
    Update {
        /// What happened, numbered.
        reports: Vec<Report>,
        /// The capacity granted, if it changed.
        offer: Option<Offer>,
    },
}
