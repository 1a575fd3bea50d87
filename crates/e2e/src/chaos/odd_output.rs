//! Output that isn't text, isn't lines, isn't there: bytes stay bytes.

use super::{
    Report,
    load::{block_on, ended, submit},
    sha256,
};
use crate::{Cluster, output_of, shell};
use std::{fs::File, process::Command};
use wire::v1::{self, OutputStream};

/// The long line of a unit of the row.
const LINE_BYTES: u32 = 10_000_000;

pub(super) fn run(times: u32, report: &mut Report) {
    let cluster = Cluster::start(1);
    let line = format!("head -c {} /dev/zero | tr '\\0' x", LINE_BYTES * times);
    let lines = [
        "printf 'a\\0b\\0\\0c\\n\\0'",
        "printf '\\377\\376\\200valid\\303\\050'",
        "printf '\\033[31mred\\033[0m\\r\\n\\007'",
        "printf 'no end of line'",
        "true",
        "printf 'only here\\0\\377' >&2",
        "head -c 3000000 /dev/urandom | tee copy; head -c 1000000 /dev/urandom | tee copy.err >&2",
        "for n in $(seq 2000); do printf .; printf : >&2; done",
        &line,
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let (dir, key) = (cluster.dir().join(format!("odd.{number}")), format!("odd-{number}"));
        std::fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        // Whatever it writes, a copy of it is made beside it: by tee where it is random, else by running it once more.
        let spec = v1::TaskSpec { idempotency_key: key, ..shell(&format!("cd {}; {line}", dir.display())) };
        let ids = block_on(async { submit(&cluster.client(), vec![spec]).await });
        let task = ended(&cluster, &ids).remove(0);
        report.must(task.state == "completed", || format!("{line}: {task:#?}"));
        if !dir.join("copy").exists() {
            let file = |name: &str| File::create(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let run = Command::new("/bin/sh").args(["-c", line]).stdout(file("copy")).stderr(file("copy.err")).status();
            run.unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for (stream, copy, logs) in [(OutputStream::Stdout, "copy", true), (OutputStream::Stderr, "copy.err", false)] {
            let wanted = sha256::of_file(&dir.join(copy));
            let output = block_on(async { output_of(&cluster.client(), &ids[0], stream).await });
            report.tried(1);
            report.wrong(usize::from(sha256::of_bytes(&output) != wanted));
            if logs {
                let printed =
                    cluster.baton(&["logs", &ids[0]]).output().map(|output| output.stdout).unwrap_or_default();
                report.wrong(usize::from(sha256::of_bytes(&printed) != wanted));
            }
        }
    }
    report.figure("longest_line_bytes", LINE_BYTES * times);
}
