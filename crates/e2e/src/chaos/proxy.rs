//! A TCP proxy that breaks what passes: it delays, resets all at once, cuts in the middle of a message, says things twice.

use rustix::net::sockopt::set_socket_linger;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// What is read at one time: a few messages.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long each chunk is held up.
const DELAY: Duration = Duration::from_millis(30);

/// What it does to each chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Mode {
    /// Nothing.
    Fair = 0,
    /// Holds it up.
    Slow = 1,
    /// Says it twice: no network does that, but whoever hears it must not act twice.
    Twice = 2,
    /// Passes half of it on, then resets the connection.
    Half = 3,
}

const MODES: [Mode; 4] = [Mode::Fair, Mode::Slow, Mode::Twice, Mode::Half];

/// A proxy in threads of its own; they end with their connections.
pub(super) struct Proxy {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Passes connections on to this address.
    ///
    /// # Panics
    /// If there is no port.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let (mode, open) = (Arc::<AtomicU8>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (modes, all) = (Arc::clone(&mode), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Nobody there: hanging up says so.
                let Ok(server) = TcpStream::connect(target) else { continue };
                for socket in [&client, &server] {
                    let _ = socket.set_nodelay(true);
                    all.lock().unwrap_or_else(|e| e.into_inner()).extend(socket.try_clone());
                }
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let modes = Arc::clone(&modes);
                    thread::spawn(move || pass(from, to, &modes));
                }
            }
        });
        Self { address, mode, open }
    }

    /// Where to call it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Resets every connection that is open.
    pub fn reset(&self) -> usize {
        let sockets = std::mem::take(&mut *self.open.lock().unwrap_or_else(|e| e.into_inner()));
        sockets.iter().for_each(break_off);
        sockets.len() / 2
    }
}

/// With a reset instead of a farewell.
fn break_off(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
    let _ = socket.shutdown(Shutdown::Both);
}

fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut chunk) {
        let chunk = &chunk[..bytes];
        let done = match MODES[usize::from(mode.load(Ordering::Relaxed)) % MODES.len()] {
            Mode::Fair => to.write_all(chunk),
            Mode::Slow => {
                thread::sleep(DELAY);
                to.write_all(chunk)
            }
            Mode::Twice => to.write_all(chunk).and_then(|()| to.write_all(chunk)),
            Mode::Half => {
                let _ = to.write_all(&chunk[..bytes / 2]);
                break;
            }
        };
        if done.is_err() {
            break;
        }
    }
    break_off(&from);
    break_off(&to);
}
