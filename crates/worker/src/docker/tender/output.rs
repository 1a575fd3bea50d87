//! A container's output, passed on byte for byte.
//!
//! When nobody takes it, the container is to be blocked, as a command in front of a full pipe is. But the engine drops
//! what it holds of a container's output two seconds after its end: so once it has ended, the rest is taken at any rate.

use bollard::{container::LogOutput, errors::Error};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::{
    fs::File,
    io::{self, Write as _},
    mem::ManuallyDrop,
    os::fd::{FromRawFd as _, RawFd},
    sync::Arc,
    thread,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Bytes that are held here and not yet written.
const HELD: u32 = 1024 * 1024;
/// Bytes more once the container has ended: what the engine and the kernel hold of two streams, and room to spare.
const REST: usize = 8 * 1024 * 1024;

/// How a stream of output ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// All is written.
    Whole,
    /// The engine hung up in the middle.
    Broken,
    /// Nobody reads what is written.
    Unread,
}

/// Where output goes.
pub(super) struct Output {
    to: mpsc::UnboundedSender<(RawFd, Bytes)>,
    room: Arc<Semaphore>,
    done: oneshot::Receiver<io::Result<()>>,
}

/// Lets the rest of the output in, whatever is held.
#[derive(Clone)]
pub(super) struct Rest(Arc<Semaphore>);

impl Rest {
    /// The container has ended.
    pub fn take(&self) {
        self.0.add_permits(REST);
    }
}

impl Output {
    /// To this process's stdout and stderr, by a thread that may block.
    pub fn open() -> Self {
        let room = Arc::new(Semaphore::new(HELD as usize));
        let (to, from) = mpsc::unbounded_channel();
        let (tell, done) = oneshot::channel();
        let free = Arc::clone(&room);
        thread::spawn(move || {
            // Nobody to tell: this process is ending.
            let _ = tell.send(write(from, &free));
        });
        Self { to, room, done }
    }

    pub fn rest(&self) -> Rest {
        Rest(Arc::clone(&self.room))
    }

    /// Passes a stream on until it ends. May be called again with the next one.
    pub async fn pass(&self, mut stream: impl Stream<Item = Result<LogOutput, Error>> + Unpin) -> Ended {
        while let Some(piece) = stream.next().await {
            let (descriptor, bytes) = match piece {
                Ok(LogOutput::StdErr { message }) => (libc::STDERR_FILENO, message),
                // A terminal has one stream.
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => (libc::STDOUT_FILENO, message),
                Ok(LogOutput::StdIn { .. }) => continue,
                Err(_) => return Ended::Broken,
            };
            let Ok(room) = self.room.acquire_many(size(&bytes)).await else { return Ended::Unread };
            room.forget();
            if self.to.send((descriptor, bytes)).is_err() {
                return Ended::Unread;
            }
        }
        Ended::Whole
    }

    /// Waits until all that was passed is written.
    pub async fn close(self) -> Ended {
        drop(self.to);
        match self.done.await {
            Ok(Ok(())) => Ended::Whole,
            Ok(Err(_)) | Err(_) => Ended::Unread,
        }
    }
}

/// As permits: a piece that is larger than all the room takes all of it.
fn size(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(HELD).min(HELD)
}

fn write(mut from: mpsc::UnboundedReceiver<(RawFd, Bytes)>, room: &Semaphore) -> io::Result<()> {
    while let Some((descriptor, bytes)) = from.blocking_recv() {
        // SAFETY: stdout and stderr are open as long as this process lives, and never closed by this.
        let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        if let Err(error) = file.write_all(&bytes) {
            room.close();
            return Err(error);
        }
        room.add_permits(size(&bytes) as usize);
    }
    Ok(())
}
