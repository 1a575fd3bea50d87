//! The TypeScript client in a page of another origin than the gateway's, in a real browser.

use crate::node::{NO_NODE, node};
use e2e::{Cluster, Process, connected, skip};
use std::{path::Path, process::Command};

#[test]
fn the_typescript_client_works_in_a_browsers_page() {
    let Some(node) = node() else { return skip(NO_NODE) };
    if Command::new("chromium").arg("--version").output().is_err() {
        return skip("no chromium");
    }
    let cluster = Cluster::start(1);
    connected(&cluster, 1);
    let mut command = node.command(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/page.mjs"));
    command.arg(node.built()).arg(format!("http://{}", cluster.http_address));
    let mut page = Process::start("page", cluster.dir(), &mut command);
    let url = format!("http://{}/", page.listening());
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.args(["--disable-background-networking", "--remote-debugging-port=0"]);
    command.arg(format!("--user-data-dir={}", cluster.dir().join("browser").display())).arg(url);
    let _browser = Process::start("chromium", cluster.dir(), command.env("HOME", cluster.dir()));
    assert_eq!(page.line(), "from a page, failed, 4, 1");
}
