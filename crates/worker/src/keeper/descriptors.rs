//! Limits of open descriptors, and descriptors that travel from the keeper to its worker.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
};

/// Descriptors of one message, at most: of a process and of its two pipes.
pub(super) const RIGHTS: usize = 3;

/// Raises the limit as far as may be, once, and gives the one that held before: tasks get that, whatever ours is.
pub(super) fn raise_limit() -> libc::rlimit {
    static BEFORE: OnceLock<libc::rlimit> = OnceLock::new();
    *BEFORE.get_or_init(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: plain data, filled and read by the calls.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
                let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised);
            }
        }
        limit
    })
}

/// Sends bytes with descriptors: they arrive with the first of the bytes.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], rights: &[OwnedFd]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RIGHTS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights: Vec<_> = rights.iter().take(RIGHTS).map(AsFd::as_fd).collect();
    control.push(SendAncillaryMessage::ScmRights(&rights));
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives bytes, and descriptors behind those that came before; `None` takes their place if some were lost, because
/// this process may have no more: then nobody knows any more which belongs to what.
pub(super) fn receive(socket: impl AsFd, bytes: &mut [u8], rights: &mut Option<Vec<OwnedFd>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RIGHTS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for received in control.drain() {
        // Otherwise they are closed.
        if let (RecvAncillaryMessage::ScmRights(fds), Some(rights)) = (received, &mut *rights) {
            rights.extend(fds);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        *rights = None;
    }
    Ok(message.bytes)
}
