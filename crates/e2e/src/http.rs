//! A plain HTTP client that shows what is really sent: requests of one answer, and streams of events byte by byte.

use crate::PATIENCE;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, lower case, one a line.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Its body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Makes a request and reads its answer to the end.
///
/// # Panics
/// If nobody answers.
pub fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut events = opened(Events::request(address, method, path, headers, body));
    let mut rest = Vec::new();
    events.socket.read_to_end(&mut rest).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let body = [std::mem::take(&mut events.unread), rest].concat();
    Answer { status: events.status, head: events.head, body }
}

fn opened(events: io::Result<Events>) -> Events {
    events.unwrap_or_else(|error| panic!("nobody answers: {error}"))
}

/// `GET` without anything else.
///
/// # Panics
/// If nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    http(address, "GET", path, &[], "")
}

/// The status and body of a route; status 0 if nobody answers.
pub fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let Ok(mut events) = Events::request(address, "GET", path, &[], "") else { return (0, String::new()) };
    let mut body = std::mem::take(&mut events.unread);
    match events.socket.read_to_end(&mut body) {
        Ok(_) => (events.status, String::from_utf8_lossy(&body).into_owned()),
        Err(_) => (0, String::new()),
    }
}

/// `POST` of a JSON body.
///
/// # Panics
/// If nobody answers.
pub fn post(address: SocketAddr, path: &str, body: &serde_json::Value) -> Answer {
    http(address, "POST", path, &[("content-type", "application/json")], &body.to_string())
}

/// A stream of server-sent events.
pub struct Events {
    socket: TcpStream,
    unread: Vec<u8>,
    head: String,
    /// The status of the answer.
    pub status: u16,
}

impl Events {
    /// Follows this path behind an event, or from the beginning.
    ///
    /// # Panics
    /// If nobody answers.
    pub fn open(address: SocketAddr, path: &str, last_event_id: Option<&str>) -> Self {
        opened(Self::try_open(address, path, last_event_id))
    }

    /// As [`Self::open`], where somebody may be away.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn try_open(address: SocketAddr, path: &str, last_event_id: Option<&str>) -> io::Result<Self> {
        let seen: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
        Self::request(address, "GET", path, &seen, "")
    }

    /// Follows this path with these headers.
    ///
    /// # Panics
    /// If nobody answers.
    pub fn request_as(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        opened(Self::request(address, "GET", path, headers, ""))
    }

    fn request(
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        // An answer to this older version is not cut into chunks.
        let mut request = format!("{method} {path} HTTP/1.0\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        // Who refuses a body needn't read it.
        let _ = socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.write_all(request.as_bytes()));
        let mut events = Self { socket, unread: Vec::new(), head: String::new(), status: 0 };
        let head = events.until(b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        events.head = head.to_ascii_lowercase();
        events.status = events.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(events)
    }

    /// What else was said, if it is no stream.
    pub fn rest(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.unread))
    }

    /// The bytes up to this separator, which is dropped; `None` at the end.
    fn until(&mut self, separator: &[u8]) -> Option<String> {
        let (mut seen, mut bytes) = (0, vec![0; 64 * 1024]);
        loop {
            if let Some(at) = self.unread[seen..].windows(separator.len()).position(|window| window == separator) {
                let rest = self.unread.split_off(seen + at + separator.len());
                let mut found = std::mem::replace(&mut self.unread, rest);
                found.truncate(seen + at);
                return Some(String::from_utf8_lossy(&found).into_owned());
            }
            seen = self.unread.len().saturating_sub(separator.len());
            match self.socket.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => self.unread.extend_from_slice(&bytes[..n]),
                // It was killed.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the stream doesn't go on: {error}"),
            }
        }
    }
}

/// Each event as it was sent, without comments.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let text = self.until(b"\n\n")?;
            if !text.starts_with(':') {
                return Some(Event(text));
            }
        }
    }
}

/// One event, byte by byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event(pub String);

impl Event {
    /// A field: `id`, `event`, `data`.
    ///
    /// # Panics
    /// If it has none.
    pub fn field(&self, name: &str) -> &str {
        let found = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Its data.
    ///
    /// # Panics
    /// If it is no JSON.
    pub fn data(&self) -> serde_json::Value {
        serde_json::from_str(self.field("data")).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The innermost part of `event: response`.
    ///
    /// # Panics
    /// If it is no JSON.
    pub fn response(&self) -> serde_json::Value {
        self.data()["event_response"]["result"]["data"].take()
    }

    /// Whether nothing follows.
    ///
    /// # Panics
    /// If it is no JSON.
    pub fn is_final(&self) -> bool {
        self.field("event") == "response" && self.response()["is_final"] == true
    }
}
