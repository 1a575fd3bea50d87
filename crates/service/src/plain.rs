//! What is said, without TLS, to somebody who speaks without it to a port that wants it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a TLS connection begins with: a handshake record.
pub(crate) const HANDSHAKE: u8 = 22;
/// What is read of a request before its answer, and after: an answer that overtakes its request is lost to a reset.
const READ_BYTES: u64 = 64 * 1024;
/// How HTTP/2 begins.
const HTTP2: &[u8] = b"PRI ";
/// No settings, then GOAWAY: nothing was looked at, because of INADEQUATE_SECURITY (12).
const GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x2a\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cthis port speaks TLS: use https://";
const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
    connection: close\r\n\r\n{\"error\": \"this port speaks TLS\", \"details\": \"use https:// and the CA that its certificate is from\"}";

/// Answers in the caller's language and hangs up.
pub(crate) async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let read = stream.read(&mut request).await?;
    let answer = if request[..read].starts_with(HTTP2) { GOAWAY } else { ANSWER };
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(READ_BYTES), &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_what_they_say() {
        let text = std::str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        assert_eq!(usize::from(GOAWAY[11]), GOAWAY.len() - 9 - 9, "the frame behind the empty settings");
    }
}
