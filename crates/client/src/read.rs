//! The calls that are answered by a stream, and how a stream goes on after a broken connection.

use crate::{Client, Error, Result, v1};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Response, Status, Streaming};
use wire::Resume;

/// Pauses between tries: the first is short for a connection that broke, the last bounds the load on a gateway that comes
/// back to all its readers.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(2);
/// After its last item a stream ends at once.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A task's story.
pub type Story = BoxStream<'static, Result<v1::TaskEvent>>;
/// A task's output.
pub type Output = BoxStream<'static, Result<v1::OutputChunk>>;

impl Client {
    /// The story of a task: its events and, if `output`, its output frames; ends after the final event. `after` is the id
    /// of the last event seen, empty for all. Once open, it survives the gateway's restarts without loss or repetition.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`; in the stream: whatever lasts longer than [`Self::patience`].
    pub async fn watch(&self, task_id: &str, after: &str, output: bool) -> Result<Story> {
        let request = v1::WatchTaskRequest { task_id: task_id.into(), after: after.into(), output };
        self.read(request).await
    }

    /// Submits a task and follows it in the same call: it is on disk when this returns, and the story is as that of
    /// [`Self::watch`]. A short task is back sooner so than by submit and watch one after the other.
    ///
    /// # Errors
    /// As [`Self::submit`]; in the stream as of [`Self::watch`].
    pub async fn run(&self, spec: v1::TaskSpec, output: bool) -> Result<(v1::TaskAccepted, Story)> {
        let request = v1::RunTaskRequest { spec: Some(spec.clone()), output };
        let mut told = match self.gateway.clone().run_task(request).await {
            // A gateway of before there was this call.
            Err(status) if status.code() == Code::Unimplemented => {
                let accepted = self.submit(spec).await?;
                let story = self.watch(&accepted.task_id, "", output).await?;
                return Ok((accepted, story));
            }
            answer => self.answer(answer)?,
        };
        let first = told.message().await.and_then(|first| first.unwrap_or_default().into_accepted());
        let accepted = first.map_err(|status| Error::of(&status, &self.url))?;
        self.receipts.keep(&accepted);
        let request = v1::WatchTaskRequest { task_id: accepted.task_id.clone(), after: String::new(), output };
        let story = told.map(|answer| answer.and_then(v1::RunTaskResponse::into_event)).boxed();
        Ok((accepted, self.go_on(request, story)))
    }

    /// The bytes of one stream from an offset, following the attempt until its end if asked to. Once open, it survives the
    /// gateway's restarts.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`; in the stream: whatever lasts longer than [`Self::patience`].
    pub async fn output(&self, request: v1::ReadOutputRequest) -> Result<Output> {
        self.read(request).await
    }

    /// Waits for a task's end and gives the task.
    ///
    /// # Errors
    /// As [`Self::watch`] and in its stream.
    pub async fn wait(&self, task_id: &str) -> Result<v1::Task> {
        let mut story = self.watch(task_id, "", false).await?;
        while let Some(event) = story.next().await {
            event?;
        }
        self.get(task_id).await
    }

    async fn read<R: Reading>(&self, request: R) -> Result<BoxStream<'static, Result<R::Item>>> {
        let stream = self.answer(request.clone().open(self).await)?;
        Ok(self.go_on(request, stream.boxed()))
    }

    /// Reads on in a stream that is open.
    fn go_on<R: Reading>(
        &self,
        request: R,
        stream: BoxStream<'static, Result<R::Item, Status>>,
    ) -> BoxStream<'static, Result<R::Item>> {
        let state = State::Open(Open::new(stream, PAUSE_FIRST));
        let reader = Reader { client: self.clone(), request, state, lost: None };
        stream::unfold(reader, |mut reader| async { reader.next().await.map(|item| (item, reader)) }).boxed()
    }
}

trait Reading: Resume<Item: Send + 'static> + Send + 'static {
    fn open(self, client: &Client) -> impl Future<Output = Result<Response<Streaming<Self::Item>>, Status>> + Send;
}

impl Reading for v1::WatchTaskRequest {
    async fn open(self, client: &Client) -> Result<Response<Streaming<v1::TaskEvent>>, Status> {
        client.gateway.clone().watch_task(self).await
    }
}

impl Reading for v1::ReadOutputRequest {
    async fn open(self, client: &Client) -> Result<Response<Streaming<v1::OutputChunk>>, Status> {
        client.gateway.clone().read_output(self).await
    }
}

struct Reader<R: Reading> {
    client: Client,
    request: R,
    state: State<R::Item>,
    /// Since when nothing could be read.
    lost: Option<Instant>,
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
                        let held = open.held();
                        if held {
                            self.lost = None;
                        }
                        self.state = State::Broken(if held { PAUSE_FIRST } else { open.pause });
                        status
                    }
                },
                State::Broken(pause) => {
                    let pause = *pause;
                    sleep(pause).await;
                    match self.request.clone().open(&self.client).await {
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
            let lost = *self.lost.get_or_insert_with(Instant::now);
            let error = Error::of(&failed, &self.client.url);
            if !error.passes() || lost.elapsed() >= self.client.patience {
                self.state = State::Ended;
                return Some(Err(error));
            }
        }
    }

    fn pass(&mut self, item: R::Item) -> R::Item {
        self.lost = None;
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
