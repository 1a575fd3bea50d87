//! A page in a real browser follows a task with its own EventSource, while the gateway is started again.

use crate::{file, story, submit};
use e2e::{Cluster, Gate, PATIENCE, Process, connected, skip};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
    thread,
};

/// Serves the page, and passes on what it hands in: where to, and what.
fn serve(page: Vec<u8>) -> (SocketAddr, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, handed_in) = mpsc::channel();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (page, sender) = (page.clone(), sender.clone());
            // A browser that goes away in between has nothing to hand in.
            thread::spawn(move || answer(socket, &page, &sender).ok());
        }
    });
    (address, handed_in)
}

fn answer(socket: TcpStream, page: &[u8], sender: &mpsc::Sender<(String, String)>) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if let Some(path) = first.strip_prefix("POST /").and_then(|rest| rest.split(' ').next()) {
        let _ = sender.send((path.to_owned(), String::from_utf8_lossy(&body).into_owned()));
    }
    let mut socket = socket;
    write!(
        socket,
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        page.len()
    )?;
    socket.write_all(page)
}

#[test]
fn a_page_follows_a_task_over_a_restart_of_the_gateway_and_misses_nothing() {
    if Command::new("chromium").arg("--version").output().is_err() {
        return skip("no chromium");
    }
    let mut cluster = Cluster::start(1);
    connected(&cluster, 1);
    let gate = Gate::new(cluster.dir(), "gate");
    let id = submit(&cluster, &format!("echo one; {}; echo two; printf '\\377' >&2", gate.line()));
    let (page, handed_in) = serve(fs::read(file("page.html")).unwrap());
    // Another origin than the gateway's, on this machine.
    let url = format!("http://{page}/?follow=http://{}/stream?ref={id}", cluster.http_address);
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.args(["--disable-background-networking", "--remote-debugging-port=0"]);
    command.arg(format!("--user-data-dir={}", cluster.dir().join("browser").display())).arg(url);
    command.env("HOME", cluster.dir());
    let browser = Process::start("chromium", cluster.dir(), &mut command);
    let next = |wanted: &str| {
        let (path, body) =
            handed_in.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {wanted}: {}", browser.log()));
        assert_eq!(path, wanted, "{body}");
        serde_json::from_str::<Vec<String>>(&body).unwrap()
    };
    next("begun");
    gate.begun(1);
    cluster.kill_gateway();
    gate.open();
    cluster.start_gateway();
    let seen = next("closed");
    let story: Vec<_> = story(&cluster, &id).iter().map(|e| format!("{} {}", e.field("id"), e.field("data"))).collect();
    assert_eq!(seen, story);
}
