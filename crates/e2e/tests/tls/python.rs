//! The client and the worker of Python, with a CA of one's own.

use crate::fleet::{authority, ca, files, prepared};
use e2e::skip;
use std::{path::Path, process::Command};

/// A worker of its own, with a certificate, and a client that has it work.
const PROGRAM: &str = r#"
import sys, threading
from baton import Client, Worker, handler
scheduler, gateway, ca, cert, key, data = sys.argv[1:]
worker = Worker(scheduler, id="python", data_dir=data, ca=ca, cert=cert, key=key)

@worker.handler("reverse")
def reverse(context, payload):
    return payload[::-1]

running = threading.Thread(target=worker.run)
running.start()
try:
    client = Client(gateway, ca=ca)
    print(client.wait(client.submit(handler("reverse", "stressed")).task_id).result.decode())
    try:
        Client(gateway).workers()
    except Exception as error:
        print(type(error).__name__, "its certificate is not good" in str(error))
finally:
    worker.stop()
    running.join()
"#;

#[test]
fn python_trusts_the_ca_that_it_is_given_and_no_other() {
    let python = std::env::var("BATON_TEST_PYTHON").ok().filter(|p| !p.is_empty()).unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", "import grpc, google.protobuf"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("there is no Python with grpcio and protobuf");
    }
    // No other worker: its demo handler would be as good until the Python one is there.
    let mut cluster = prepared();
    cluster.start_scheduler();
    cluster.start_gateway();
    let dir = authority(&cluster);
    ca(&["issue", &dir.to_string_lossy(), "--worker", "python"]);
    let [_, cert, _, key, _, trusted] = files(&dir, "worker-python", &dir).try_into().unwrap();
    let output = Command::new(python)
        .args(["-B", "-c", PROGRAM])
        .arg(format!("https://localhost:{}", cluster.scheduler_address.port()))
        .arg(format!("https://localhost:{}", cluster.http_address.port()))
        .args([trusted, cert, key])
        .arg(cluster.dir().join("python"))
        .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/python"))
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "desserts\nUnreachable True\n", "{stderr}");
}
