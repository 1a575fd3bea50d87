//! Streams that stay open while the scheduler is away, and go on where they were.

use super::{CALL_WITHIN, Upstream};
use domain::{Error, Kind, Result};
use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::{Response, Status, Streaming};
use wire::{
    Resume,
    v1::{OutputChunk, ReadOutputRequest, TaskEvent, WatchTaskRequest},
};

/// Pauses between tries: the first is short for a connection that broke, the last bounds the load of many readers.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(1);
/// After its last item a stream ends at once.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A reading call to the scheduler.
pub(crate) trait Reading: Resume + Send + 'static {
    /// Makes the call.
    fn open(self, upstream: &Upstream) -> impl Future<Output = Result<Response<Streaming<Self::Item>>, Status>> + Send;
}

impl Reading for WatchTaskRequest {
    async fn open(self, upstream: &Upstream) -> Result<Response<Streaming<TaskEvent>>, Status> {
        upstream.streams.clone().watch_task(self).await
    }
}

impl Reading for ReadOutputRequest {
    async fn open(self, upstream: &Upstream) -> Result<Response<Streaming<OutputChunk>>, Status> {
        upstream.streams.clone().read_output(self).await
    }
}

struct Reader<R: Reading> {
    upstream: Upstream,
    request: R,
    state: State<R::Item>,
}

enum State<T> {
    Open(Open<T>),
    /// To be tried again after this pause.
    Broken(Duration),
    /// The last item was passed on; the stream's own end is still to come.
    Ending(BoxStream<'static, Result<T, Status>>),
    Ended,
}

struct Open<T> {
    stream: BoxStream<'static, Result<T, Status>>,
    since: Instant,
    /// How long to pause if it breaks at once.
    pause: Duration,
}

impl<T> Open<T> {
    fn new(stream: BoxStream<'static, Result<T, Status>>, pause: Duration) -> Self {
        Self { stream, since: Instant::now(), pause }
    }

    /// Whether it held long enough to count as a connection.
    fn held(&self) -> bool {
        self.since.elapsed() >= PAUSE_LAST
    }
}

impl Upstream {
    /// Opens a stream. What is wrong with the first call is an error; later breaks only make it pause, as long as the
    /// caller stays.
    pub(crate) async fn read<R: Reading>(
        &self,
        request: R,
    ) -> Result<impl Stream<Item = Result<R::Item>> + Send + use<R>>
    where
        R::Item: Send + 'static,
    {
        let stream = self.answer(request.clone().open(self)).await?;
        Ok(self.go_on(request, Some(stream.boxed())))
    }

    /// A stream that another call has opened, or that is still to be opened.
    pub(super) fn go_on<R: Reading>(
        &self,
        request: R,
        open: Option<BoxStream<'static, Result<R::Item, Status>>>,
    ) -> impl Stream<Item = Result<R::Item>> + Send + use<R>
    where
        R::Item: Send + 'static,
    {
        let broken = State::Broken(PAUSE_FIRST);
        let state = open.map_or(broken, |stream| State::Open(Open::new(stream, PAUSE_FIRST)));
        let reader = Reader { upstream: self.clone(), request, state };
        stream::unfold(reader, |mut reader| async { reader.next().await.map(|item| (item, reader)) })
    }
}

impl<R: Reading> Reader<R> {
    async fn next(&mut self) -> Option<Result<R::Item>> {
        loop {
            let failed = match &mut self.state {
                State::Ended => return None,
                State::Ending(stream) => {
                    // Dropped before its end, it would be reset: HTTP/2 allows a connection only so many resets.
                    let _ = timeout(END_WITHIN, stream.next()).await;
                    self.state = State::Ended;
                    return None;
                }
                State::Open(open) => match open.stream.try_next().await {
                    Ok(Some(item)) => return Some(Ok(self.pass(item))),
                    Ok(None) => {
                        self.state = State::Ended;
                        return None;
                    }
                    Err(status) => {
                        self.state = State::Broken(if open.held() { PAUSE_FIRST } else { open.pause });
                        status
                    }
                },
                State::Broken(pause) => {
                    let pause = *pause;
                    tokio::time::sleep(pause).await;
                    // Without a limit, a scheduler that takes a call and says nothing would hold the reader for ever.
                    let opened = timeout(CALL_WITHIN, self.request.clone().open(&self.upstream)).await;
                    match opened.unwrap_or_else(|_| Err(Status::unavailable("the scheduler does not answer"))) {
                        Ok(stream) => {
                            self.state =
                                State::Open(Open::new(stream.into_inner().boxed(), (pause * 2).min(PAUSE_LAST)));
                            continue;
                        }
                        Err(status) => {
                            self.state = State::Broken((pause * 2).min(PAUSE_LAST));
                            status
                        }
                    }
                }
            };
            if !passes(&failed) {
                self.state = State::Ended;
                return Some(Err(self.upstream.error(&failed)));
            }
        }
    }

    fn pass(&mut self, item: R::Item) -> R::Item {
        self.request.seen(&item);
        if R::is_last(&item) {
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Open(open) => State::Ending(open.stream),
                State::Broken(_) | State::Ending(_) | State::Ended => State::Ended,
            };
        }
        item
    }
}

/// Whether the failure may be gone at the next try.
fn passes(status: &Status) -> bool {
    wire::unsent(status) || wire::broken(status) || is_away(&wire::error(status))
}

fn is_away(error: &Error) -> bool {
    // A gateway that isn't let in may be given another token.
    matches!(error.kind(), Kind::Unavailable | Kind::Unknown) || super::is_about_us(error)
}
