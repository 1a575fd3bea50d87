//! What `run` and `submit` alike say about a task, and the spec that it becomes.

use crate::on_lost;
use crate::{container::ContainerOptions, duration, failure::Failure};
use clap::Args;
use domain::limits;
use std::{collections::BTreeMap, io::Read, time::Duration};
use wire::v1;

/// Characters of a command line that serve as the task's name.
const NAME_FROM_COMMAND: usize = 60;
/// Characters of one word that are looked at for it: the word may be long, and blanks at its beginning don't count.
const NAME_WORD: usize = 4 * NAME_FROM_COMMAND;

#[derive(Args)]
pub struct TaskOptions {
    /// Only this worker may run the task
    #[arg(long, value_name = "ID")]
    pub worker: Option<String>,
    /// How long an attempt may run, such as 300ms, 5m or 1h30m [default: without limit]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// How often a failed attempt is tried again, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=i64::from(limits::RETRIES)))]
    pub retries: i32,
    /// What follows if the worker is lost under it: retry, which may overlap with the lost attempt; fail; or wait until the
    /// worker is back, the task is cancelled, or the worker is forgotten
    #[arg(long, value_name = "WAY", default_value = "retry", value_parser = on_lost::parse)]
    pub on_lost: v1::OnLost,
    /// Added to the task's environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// A label that the worker must carry; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// Higher runs first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Give what is read from stdin to the command's stdin, at most 1 MiB
    #[arg(long)]
    pub stdin: bool,
    /// What the task is called [default: the beginning of the command]
    #[arg(long)]
    pub name: Option<String>,
    /// In which queue it waits [default: default]
    #[arg(long)]
    pub queue: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the options")]
    pub container: ContainerOptions,
}

/// What a task is unless it says otherwise itself.
pub struct Defaults {
    /// Without a command and a name.
    pub spec: v1::TaskSpec,
    /// The environment of commands and containers.
    pub env: BTreeMap<String, String>,
}

impl TaskOptions {
    /// The task to submit.
    pub fn spec(mut self, command: Vec<String>) -> Result<v1::TaskSpec, Failure> {
        let image = self.container.docker.iter().map(String::as_str);
        let name = self.name.clone().unwrap_or_else(|| name_of(image.chain(command.iter().map(String::as_str))));
        let stdin = if self.stdin { read_stdin()? } else { Vec::new() };
        let container = std::mem::take(&mut self.container);
        let Defaults { spec, env } = self.defaults()?;
        if let Some(docker) = container.run(&command, &env) {
            return Ok(v1::TaskSpec { name, run: Some(v1::task_spec::Run::Docker(docker)), ..spec });
        }
        let mut words = command.into_iter();
        // clap asks for at least one word.
        let command = words.next().unwrap_or_default();
        let shell = v1::ShellRun { command, args: words.collect(), working_dir: String::new(), env, stdin };
        Ok(v1::TaskSpec { name, run: Some(v1::task_spec::Run::Shell(shell)), ..spec })
    }

    /// What holds for a task that says neither what it is called nor what it runs.
    pub fn defaults(self) -> Result<Defaults, Failure> {
        let Self { worker, timeout, retries, on_lost, env, labels, priority, stdin: _, name: _, queue, container: _ } =
            self;
        // 0 means without limit; the parser lets nothing pass that is longer than 30 days.
        let timeout_ms = timeout.map_or(Ok(0), |t| i64::try_from(t.as_millis()));
        let spec = v1::TaskSpec {
            name: String::new(),
            description: String::new(),
            payload: Vec::new(),
            timeout_secs: 0,
            max_retries: retries,
            idempotency_key: String::new(),
            worker: worker.unwrap_or_default(),
            labels: map("--label", labels)?,
            priority,
            queue: queue.unwrap_or_default(),
            timeout_ms: Some(timeout_ms.map_err(|_| Failure::usage("--timeout is too long"))?),
            array: None,
            run_at_ms: 0,
            on_lost: on_lost.into(),
            start_within_ms: 0,
            traceparent: String::new(),
            tracestate: String::new(),
            run: None,
        };
        Ok(Defaults { spec, env: map("--env", env)? })
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be NAME=VALUE".to_owned()),
    }
}

fn map(option: &str, pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.insert(key.clone(), value).is_some() {
            return Err(Failure::usage(format!("{option} {key} is given twice")));
        }
    }
    Ok(map)
}

/// The command's beginning, as far as it may stand in a name.
pub fn name_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME_WORD));
    }
    let name: String = line.trim().chars().take(NAME_FROM_COMMAND).collect();
    // An empty command is refused by its own name, not by its task's.
    if name.is_empty() { "run".to_owned() } else { name }
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is too much.
    let most = limits::PAYLOAD_BYTES as u64 + 1;
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(|e| Failure::error(format!("stdin: {e}")))?;
    if bytes.len() > limits::PAYLOAD_BYTES {
        return Err(Failure::hint("stdin is over 1 MiB", "larger inputs belong into files that the worker can read"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_printable_beginning_of_the_command() {
        let name_of = |words: &[&str]| super::name_of(words.iter().copied());
        assert_eq!(name_of(&["ls", "a b"]), "ls a b");
        assert_eq!(name_of(&["a\nb\tc"]), "a b c");
        assert_eq!(name_of(&[&"x".repeat(100)]).len(), NAME_FROM_COMMAND);
        assert_eq!(name_of(&[" \n"]), "run");
    }

    #[test]
    fn pairs_have_a_name() {
        assert_eq!(pair("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(pair("A="), Ok(("A".into(), String::new())));
        assert!(pair("A").is_err() && pair("=b").is_err());
    }
}
