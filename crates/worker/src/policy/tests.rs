//! What a policy allows, as a table; and what is wrong with a file.

use super::*;
use domain::{HandlerRun, ShellRun};

const EXAMPLE: &str = include_str!("../../../../docs/policy.toml");

fn policy(text: &str) -> Policy {
    Policy { worker: WorkerId::new("w"), rules: Some(Box::new(Rules::parse(text).expect("a policy"))) }
}

fn wrong(text: &str) -> String {
    Rules::parse(text).expect_err(text)
}

fn spec(name: &str, run: Run) -> Spec {
    let mut spec = Spec::try_from(wire::v1::TaskSpec {
        name: name.into(),
        payload: b"x".to_vec(),
        ..wire::v1::TaskSpec::default()
    })
    .expect("a spec");
    spec.run = run;
    spec
}

fn command(command: &str, args: &[&str]) -> ShellRun {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    ShellRun { command: command.into(), args, ..ShellRun::default() }
}

fn shell(line: &str, args: &[&str]) -> Spec {
    spec("s", Run::Shell(command(line, args)))
}

fn image(name: &str, limits: ContainerLimits) -> Spec {
    let container = Container { image: name.into(), limits, ..Container::default() };
    spec("d", Run::Docker(DockerRun::Run(container)))
}

fn denied(policy: &Policy, spec: Spec) -> String {
    policy.judge(spec).expect_err("denied")
}

#[test]
fn the_documented_example_is_a_policy_and_allows_what_it_says() {
    let policy = policy(EXAMPLE);
    assert!(policy.commands() && policy.docker() && policy.is_given() && policy.run_as() == Some("build:build"));
    assert!(policy.handler("thumbnail-small") && !policy.handler("other"));
    assert!(policy.judge(shell("/usr/bin/make", &["all"])).is_ok());
}

#[test]
fn an_empty_file_allows_nothing_and_none_allows_everything() {
    let (none, open) = (policy(""), Policy { worker: WorkerId::new("w"), rules: None });
    assert!(!none.commands() && !none.docker() && !none.handler("h") && none.is_given());
    assert!(open.commands() && open.docker() && open.handler("h") && !open.is_given());
    let all = || {
        let handler = spec("h", Run::Handler(HandlerRun::default()));
        [shell("true", &[]), image("busybox", ContainerLimits::default()), handler]
    };
    for spec in all() {
        assert!(denied(&none, spec.clone()).starts_with("the policy of worker w does not allow "));
        assert_eq!(open.judge(spec.clone()).as_ref(), Ok(&spec));
    }
}

#[test]
fn only_named_programs_start_and_by_their_absolute_paths() {
    let policy =
        policy("[commands]\nprograms = [\"/bin/ls\", \"/opt/jobs/*\"]\nenv = [\"CI_*\"]\nworking_dirs = [\"/srv/**\"]");
    let run = |spec| match policy.judge(spec).map(|spec| spec.run) {
        Ok(Run::Shell(shell)) => Ok(shell),
        Ok(other) => panic!("{other:?}"),
        Err(why) => Err(why),
    };
    assert_eq!(run(shell("/bin/ls", &["-l"])), Ok(command("/bin/ls", &["-l"])));
    // A line without any shell syntax, as it is started without a shell.
    assert_eq!(run(shell("/bin/ls -l  /", &[])), Ok(command("/bin/ls", &["-l", "/"])));
    for (line, args, rule) in [
        ("/bin/ls; id", &[][..], "a line for the shell ([commands] shell)"),
        ("/bin/ls $(id)", &[], "a line for the shell ([commands] shell)"),
        ("/usr/bin/id", &["-u"], "the program /usr/bin/id ([commands] programs)"),
        ("/opt/jobs/../../bin/sh", &["-c"], "the program /opt/jobs/../../bin/sh: only an absolute path"),
        ("./ls", &["x"], "the program ./ls: only an absolute path"),
        ("/bin/sh", &["-c", "id"], "the program /bin/sh ([commands] programs)"),
    ] {
        assert!(run(shell(line, args)).is_err_and(|why| why.contains(rule)), "{line} {args:?}");
    }
    let with = |env: &[&str], dir: Option<&str>| {
        let env = env.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        spec("s", Run::Shell(ShellRun { env, working_dir: dir.map(str::to_owned), ..command("/bin/ls", &["/"]) }))
    };
    assert!(run(with(&["CI_ID"], Some("/srv/a/b"))).is_ok());
    assert!(run(with(&["CI_ID", "LD_PRELOAD"], None)).is_err_and(|why| why.contains("the variable LD_PRELOAD")));
    for dir in ["/etc", "/srv/../etc"] {
        assert!(run(with(&[], Some(dir))).is_err_and(|why| why.contains("the working directory")), "{dir}");
    }
}

#[test]
fn a_shell_may_be_allowed_as_a_whole() {
    let policy = policy("[commands]\nshell = true");
    for spec in [shell("id; ls | cat", &[]), shell("./anything", &["x"])] {
        assert_eq!(policy.judge(spec.clone()), Ok(spec));
    }
    assert!(denied(&policy, image("busybox", ContainerLimits::default())).contains("containers ([docker])"));
}

#[test]
fn containers_get_at_most_what_is_allowed_and_that_if_they_ask_for_nothing() {
    let policy = policy("[docker]\nimages = [\"ci/*\"]\nmemory = \"1GiB\"\ncpus = 1.5\npids = 64");
    let most = ContainerLimits { memory_bytes: Some(1 << 30), cpu_millis: Some(1_500), pids: Some(64) };
    let limits = |asked| match policy.judge(image("ci/x:1", asked)).map(|spec| spec.run) {
        Ok(Run::Docker(DockerRun::Run(container))) => Ok(container.limits),
        Ok(other) => panic!("{other:?}"),
        Err(why) => Err(why),
    };
    assert_eq!(limits(ContainerLimits::default()), Ok(most));
    let less = ContainerLimits { memory_bytes: Some(1 << 20), cpu_millis: Some(10), pids: Some(1) };
    assert_eq!(limits(less), Ok(less));
    for (asked, rule) in [
        (ContainerLimits { memory_bytes: Some((1 << 30) + 1), ..less }, "[docker] memory"),
        (ContainerLimits { cpu_millis: Some(1_501), ..less }, "[docker] cpus"),
        (ContainerLimits { pids: Some(65), ..less }, "[docker] pids"),
    ] {
        assert!(limits(asked).is_err_and(|why| why.contains(rule)), "{asked:?}");
    }
    assert!(denied(&policy, image("other/x", less)).contains("the image other/x ([docker] images)"));
    let stop = || spec("d", Run::Docker(DockerRun::Stop(ContainerName("db".into()))));
    assert!(denied(&policy, stop()).contains("docker stop ([docker] operations)"));
    let named = self::policy("[docker]\noperations = [\"stop\"]\ncontainers = [\"ci-*\"]");
    assert!(denied(&named, stop()).contains("the container db ([docker] containers)"));
    assert!(denied(&named, image("ci/x", less)).contains("docker run ([docker] operations)"));
}

#[test]
fn a_timeout_is_at_most_that_of_the_policy() {
    let policy = policy("[commands]\nshell = true\n[limits]\ntimeout = \"1h\"");
    let judged = |seconds: Option<u64>| {
        let timeout = seconds.map(Duration::from_secs);
        policy.judge(Spec { timeout, ..shell("true", &[]) }).map(|spec| spec.timeout.map(|t| t.as_secs()))
    };
    assert_eq!((judged(None), judged(Some(60))), (Ok(Some(3_600)), Ok(Some(60))));
    assert!(judged(Some(3_601)).is_err_and(|why| why.contains("at most 3600 s ([limits] timeout)")));
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_key_and_line() {
    for (text, said) in [
        ("[commands]\nshell = true\nprogramms = []", &["line 3", "programms", "unknown field"][..]),
        ("nonsense = 1", &["line 1", "nonsense"]),
        ("[commands]\nshell = \"yes\"", &["line 2", "shell = \"yes\"", "invalid type"]),
        ("[docker]\nimages = [\"x\"]\nmemory = \"lots\"", &["line 3", "memory = \"lots\"", "is not a size"]),
        ("[docker]\nimages = [\"x\"]\ncpus = 0.0", &["line 3", "cpus = 0.0", "at least 0.01"]),
        ("[docker]\nimages = [\"x\"]\noperations = [\"exec\"]", &["line 3", "exec", "unknown variant"]),
        ("[limits]\ntimeout = 5", &["line 2", "timeout = 5"]),
        ("[handlers]\nnames = [\"\"]", &["line 2", "names", "must not be empty"]),
        ("[commands]", &["[commands]", "needs shell = true, or programs"]),
        ("[commands]\nshell = true\nprograms = [\"/x\"]", &["[commands] programs", "limits nothing"]),
        ("[commands]\nprograms = [\"make\"]", &["[commands] programs", "absolute paths"]),
        ("[docker]", &["[docker] images", "must not be empty"]),
        ("[commands", &["line 1"]),
    ] {
        let found = wrong(text);
        assert!(said.iter().all(|word| found.contains(word)), "{text:?}: {found}");
    }
    let missing = Policy::read(WorkerId::new("w"), Some(Path::new("/does/not/exist"))).expect_err("no file");
    assert!(missing.to_string().starts_with("cannot read policy /does/not/exist: "), "{missing}");
}
