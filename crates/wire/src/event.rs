//! A task's story as watchers get it, and the older, coarser form of it.

use crate::{status::task_status, v1};
use domain::{Event, EventKind, Frame, StateWord, StoryId, UnixMillis, WorkerId};
use v1::task_event::Event as Body;

/// An engine event. `sequence` is its position in the story, from 1.
pub fn state_event(event: &Event, sequence: u64) -> v1::TaskEvent {
    let Event { task, stamp, attempt, kind } = event;
    v1::TaskEvent {
        task_id: task.to_string(),
        id: StoryId { event: stamp.event, frame: 0 }.to_string(),
        sequence,
        at_ms: stamp.at.0,
        attempt: *attempt,
        event: Some(body(kind, *attempt, stamp.at)),
    }
}

/// A frame that follows the event numbered `after`. `sequence` is its position in the story, from 1.
pub fn output_event(frame: Frame, after: u64, sequence: u64) -> v1::TaskEvent {
    let Frame { attempt, number, stream, offset, at, data, dropped } = frame;
    v1::TaskEvent {
        task_id: attempt.task.to_string(),
        id: StoryId { event: after, frame: number }.to_string(),
        sequence,
        at_ms: at.0,
        attempt: attempt.no.0,
        event: Some(Body::Output(v1::OutputEvent {
            stream: v1::OutputStream::from(stream).into(),
            offset,
            data,
            dropped,
        })),
    }
}

fn body(kind: &EventKind, attempt: u32, at: UnixMillis) -> Body {
    match kind {
        EventKind::Accepted => state(StateWord::Queued, "accepted".into(), None),
        EventKind::Begun => state(StateWord::Running, "first member sent to a worker".into(), None),
        EventKind::Dispatched(worker) => state(StateWord::Dispatched, format!("sent to worker {worker}"), Some(worker)),
        EventKind::Started(worker) => state(StateWord::Running, format!("started on worker {worker}"), Some(worker)),
        EventKind::Progressed(progress) => {
            Body::Progress(v1::ProgressEvent { percent: progress.percent.into(), message: progress.message.clone() })
        }
        EventKind::CancelRequested => state(StateWord::Cancelling, "cancelling".into(), None),
        EventKind::AttemptEnded(ending, None) => {
            state(StateWord::Queued, format!("attempt {attempt}: {}; queued again", ending.text()), None)
        }
        EventKind::AttemptEnded(ending, Some(until)) => {
            let text = format!("attempt {attempt}: {}; next in {}", ending.text(), seconds(until.0 - at.0));
            state(StateWord::BackingOff, text, None)
        }
        EventKind::Finished(end, code) => {
            let word = domain::State::Final(end.clone()).word();
            Body::State(v1::StateEvent {
                status: task_status(word).into(),
                state: word.as_str().into(),
                message: end.text(),
                r#final: true,
                exit_code: *code,
                worker_id: String::new(),
            })
        }
    }
}

fn state(word: StateWord, message: String, worker: Option<&WorkerId>) -> Body {
    Body::State(v1::StateEvent {
        status: task_status(word).into(),
        state: word.as_str().into(),
        message,
        r#final: false,
        exit_code: 0,
        worker_id: worker.map_or_else(String::new, |w| w.as_str().into()),
    })
}

/// `1.2s`, to a tenth: how long back-off lasts, for people.
fn seconds(ms: i64) -> String {
    let tenths = (ms.max(0) + 50) / 100;
    format!("{}.{}s", tenths / 10, tenths % 10)
}

/// The story in the older form, [`v1::TaskProgress`]: keeps the percentage between events that don't say one.
#[derive(Clone, Debug, Default)]
pub struct ProgressView {
    percent: i32,
    attempt: u32,
}

impl ProgressView {
    /// The next event in the older form; `None` for output, which it doesn't have.
    pub fn next(&mut self, event: &v1::TaskEvent) -> Option<v1::TaskProgress> {
        let v1::TaskEvent { task_id, id: _, sequence: _, at_ms, attempt, event } = event;
        if *attempt != self.attempt {
            // A new attempt begins from the beginning.
            *self = Self { percent: 0, attempt: *attempt };
        }
        let (status, message) = match event.as_ref()? {
            Body::State(state) => (state.status, state.message.clone()),
            Body::Progress(progress) => {
                self.percent = progress.percent;
                (v1::TaskStatus::Running.into(), progress.message.clone())
            }
            Body::Output(_) => return None,
        };
        if status == i32::from(v1::TaskStatus::Completed) {
            self.percent = 100;
        }
        Some(v1::TaskProgress {
            task_id: task_id.clone(),
            status,
            progress_percent: self.percent,
            message,
            timestamp: at_ms.div_euclid(1_000),
        })
    }
}

/// For readers of a task that is known only by its events.
impl v1::TaskEvent {
    /// Whether nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(&self.event, Some(Body::State(state)) if state.r#final)
    }
}
