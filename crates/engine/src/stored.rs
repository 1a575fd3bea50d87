//! Stored: output became durable; an attempt that waited for it is done.

use crate::Engine;
use domain::{AttemptId, FrameNo, Now};

impl Engine {
    pub(crate) fn stored(&mut self, now: Now, attempt: AttemptId, frames: FrameNo) {
        let Some(resident) = self.holder(attempt) else { return };
        resident.stored = resident.stored.max(frames);
        let stored = resident.stored;
        let Some(finishing) = resident.finishing.take_if(|f| stored >= f.tail.streamed(f.totals)) else { return };
        let report = finishing.report;
        self.finish(now, attempt, *finishing);
        let Some((session, number)) = report else { return };
        let Some(worker) = self.workers.by_session_mut(session) else { return };
        let id = worker.hello.worker.clone();
        if let Some(session) = &mut worker.session {
            session.waiting.remove(&number);
        }
        self.acknowledge(session);
        self.assign_worker(now, &id);
    }
}
