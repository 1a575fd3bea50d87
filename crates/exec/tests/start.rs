//! What a started process gets, and what is said when it can't be started.

use exec::start::{Command, Failure, Loading, Program, Stage, Started, Starter, Status};
use exec::tree::{Cookie, Trees};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Everything a finished process left.
struct Ran {
    status: Status,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    progress: Vec<u8>,
}

fn env(entries: &[(&str, &str)]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

fn start(program: Program, env: &BTreeMap<Vec<u8>, Vec<u8>>, dir: &Path, stdin: &[u8]) -> Result<Ran, (Stage, String)> {
    let mut trees = Trees::open("unused", Some(domain::KillLevel::BestEffort));
    let mut tree = trees.take(Cookie(Vec::new())).expect("a tree");
    let mut starter = Starter::new().expect("a starter");
    let started = starter
        .start(&Command { program, env, dir, stdin, user: None }, &mut tree)
        .map_err(|failure| (failure.stage, failure.to_string()))?;
    let Started { child, stdout, stderr, progress, loading } = started;
    loaded(&mut starter, &loading).map_err(|failure| {
        wait_readable(child.pidfd());
        child.reap().expect("a child").expect("an end");
        (failure.stage, failure.to_string())
    })?;
    let (stdout, stderr, progress) = (read(stdout), read(stderr), read(progress));
    wait_readable(child.pidfd());
    let status = child.reap().expect("a child").expect("an end");
    Ok(Ran { status, stdout, stderr, progress })
}

/// How a start went.
fn loaded(starter: &mut Starter, loading: &Loading) -> Result<(), Failure> {
    loop {
        if let Some(how) = starter.loaded(loading) {
            return how;
        }
        std::thread::yield_now();
    }
}

fn wait_readable(fd: &OwnedFd) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid entry.
    unsafe { libc::poll(&raw mut poll, 1, -1) };
}

fn read(pipe: OwnedFd) -> Vec<u8> {
    // SAFETY: a valid descriptor; from here on it blocks.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, 0) };
    let mut bytes = Vec::new();
    File::from(pipe).read_to_end(&mut bytes).expect("output");
    bytes
}

fn line(line: &str) -> Ran {
    start(Program::Line(line), &env(&[("PATH", "/usr/bin:/bin")]), Path::new("/"), b"").expect("it starts")
}

/// As in a Docker container: from here on this thread, and what it starts, has no `clone3`.
fn forget_clone3() {
    let statement = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = u32::try_from(libc::SYS_clone3).expect("a number");
    let program = [
        // The call's number, which stands first.
        statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        statement((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, number),
        statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: a valid program, which the kernel copies; it holds for this thread alone.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

#[test]
fn a_kernel_that_has_only_the_older_call_starts_the_same() {
    let ran = std::thread::spawn(|| {
        forget_clone3();
        let starts = (0..3).map(|_| line("printf out; echo err >&2; echo '42 half' >&3; exit 7"));
        starts.collect::<Vec<_>>()
    });
    for Ran { status, stdout, stderr, progress } in ran.join().expect("it starts") {
        assert_eq!(
            (status, &*stdout, &*stderr, &*progress),
            (Status::Code(7), &b"out"[..], &b"err\n"[..], &b"42 half\n"[..])
        );
    }
}

#[test]
fn codes_signals_and_bytes_come_back_exactly() {
    let ran = line(r#"printf 'a\0b\377'; echo e >&2; echo '42 half' >&3; exit 7"#);
    assert_eq!(ran.status, Status::Code(7));
    assert_eq!(ran.stdout, b"a\0b\xff");
    assert_eq!((ran.stderr.as_slice(), ran.progress.as_slice()), (b"e\n".as_slice(), b"42 half\n".as_slice()));
    assert_eq!(line("kill -9 $$").status, Status::Signal(9));
    assert_eq!(line("/bin/true").status, Status::Code(0));
}

#[test]
fn arguments_reach_a_program_without_a_shell() {
    let args = ["a b".to_owned(), "$HOME;*".to_owned(), String::new(), "-n".to_owned()];
    let args = [&["%s|".to_owned()], args.as_slice()].concat();
    let ran = start(Program::Direct("printf", &args), &env(&[("PATH", "/usr/bin:/bin")]), Path::new("/"), b"");
    assert_eq!(ran.expect("it starts").stdout, b"a b|$HOME;*||-n|");
}

#[test]
fn the_environment_is_what_was_given_and_nothing_else() {
    let given = env(&[("PATH", "/usr/bin:/bin"), ("ODD", "a=b\nc"), ("EMPTY", "")]);
    let ran = start(Program::Direct("env", &["-0".to_owned()]), &given, Path::new("/"), b"").expect("it starts");
    let mut found: Vec<&[u8]> = ran.stdout.split(|b| *b == 0).filter(|e| !e.is_empty()).collect();
    found.sort_unstable();
    assert_eq!(found, [b"EMPTY=".as_slice(), b"ODD=a=b\nc", b"PATH=/usr/bin:/bin"]);
}

#[test]
fn a_process_has_its_own_session_default_signals_and_no_other_descriptors() {
    // The shell reads its signals itself: while it starts another program it blocks them.
    let ran = line(
        "ls /proc/self/fd; cut -d' ' -f1,5,6 /proc/$$/stat; \
         while read -r l; do case $l in SigBlk*|SigIgn*) echo \"$l\";; esac; done < /proc/$$/status; echo $$; pwd",
    );
    let text = String::from_utf8(ran.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    // 0, 1, 2, progress, and the directory that ls reads.
    assert_eq!(lines.get(..5), Some(["0", "1", "2", "3", "4"].as_slice()), "{text}");
    let pid = lines.get(8).expect("its number");
    assert_eq!(lines.get(5), Some(&format!("{pid} {pid} {pid}").as_str()), "leader of group and session");
    assert_eq!(lines.get(6), Some(&"SigBlk:\t0000000000000000"));
    assert_eq!(lines.get(7), Some(&"SigIgn:\t0000000000000000"));
    assert_eq!(lines.get(9), Some(&"/"));
}

#[test]
fn stdin_is_what_was_given_or_nothing() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let path = env(&[("PATH", "/usr/bin:/bin")]);
    let given = start(Program::Line("cat"), &path, Path::new("/"), &bytes).expect("it starts");
    assert_eq!(given.stdout, bytes);
    assert_eq!(line("readlink /proc/self/fd/0").stdout, b"/dev/null\n");
}

#[test]
fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "not a program").expect("a file");
    let path = env(&[("PATH", "/usr/bin:/bin")]);
    let direct = |program: &str, dir: &Path| {
        start(Program::Direct(program, &[String::new()]), &path, dir, b"").err().expect("it can't start")
    };
    let root = Path::new("/");
    assert_eq!(direct("foo-nowhere", root), (Stage::Program, "no such file or directory: foo-nowhere".into()));
    assert_eq!(direct("/etc", root), (Stage::Program, "permission denied: /etc".into()));
    assert_eq!(direct("", root).0, Stage::Program);
    assert_eq!(direct("a\0b", root).0, Stage::Program);
    let text = plain.to_str().expect("text");
    assert_eq!(direct(text, root), (Stage::Program, format!("permission denied: {text}")));
    let nowhere = (Stage::Directory, "working directory: no such file or directory: /no/where".into());
    assert_eq!(direct("true", Path::new("/no/where")), nowhere);
}

#[test]
fn a_shell_line_whose_program_is_missing_fails_as_a_shell_says() {
    let ran = line("foo-nowhere --bar");
    assert_eq!(ran.status, Status::Code(127));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("foo-nowhere"), "{:?}", ran.stderr);
}

#[test]
fn a_script_without_a_first_line_runs_in_the_shell() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("script");
    let mut file = File::create(&script).expect("a file");
    file.write_all(b"echo \"$0 $1\"").expect("written");
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("executable");
    drop(file);
    let text = script.to_str().expect("text");
    let ran = start(Program::Direct(text, &["x y".into()]), &env(&[]), dir.path(), b"").expect("it starts");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{text} x y\n"));
}

#[test]
fn the_path_of_the_task_counts_and_its_empty_part_is_the_working_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("mine");
    std::fs::write(&script, "#!/bin/sh\necho found").expect("a file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    for path in ["/nowhere:", dir.path().to_str().expect("text")] {
        let ran = start(Program::Direct("mine", &[String::new()]), &env(&[("PATH", path)]), dir.path(), b"");
        assert_eq!(ran.expect("it starts").stdout, b"found\n", "PATH={path}");
    }
}

#[test]
fn more_are_started_at_once_than_can_be_loaded_and_each_says_how_it_went() {
    let mut trees = Trees::open("unused", Some(domain::KillLevel::BestEffort));
    let mut starter = Starter::new().expect("a starter");
    let (path, dir) = (env(&[("PATH", "/usr/bin:/bin")]), Path::new("/"));
    let mut start = |number: usize| {
        let mut tree = trees.take(Cookie(Vec::new())).expect("a tree");
        let program = if number.is_multiple_of(3) { "foo-nowhere" } else { "cat" };
        let command = Command { program: Program::Direct(program, &[]), env: &path, dir, stdin: b"mine", user: None };
        (program, starter.start(&command, &mut tree).expect("a process"))
    };
    let all: Vec<(&str, Started)> = (0..50).map(&mut start).collect();
    for (program, Started { child, stdout, loading, .. }) in all {
        let how = loaded(&mut starter, &loading);
        assert!(starter.loaded(&loading).is_none(), "it is said once");
        let (output, stage) = (read(stdout), how.err().map(|failure| failure.stage));
        wait_readable(child.pidfd());
        let status = child.reap().expect("a child").expect("an end");
        match program {
            "cat" => assert_eq!((stage, status, &*output), (None, Status::Code(0), &b"mine"[..])),
            _nowhere => assert_eq!((stage, status, &*output), (Some(Stage::Program), Status::Code(127), &b""[..])),
        }
    }
}
