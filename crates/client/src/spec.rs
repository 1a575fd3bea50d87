//! What is submitted: the three kinds of tasks. Everything else is a field of [`v1::TaskSpec`], as
//! `TaskSpec { max_retries: 3, ..shell("make") }`.

use crate::v1;

/// Characters of a name that is taken from a command.
const NAME_CHARS: usize = 60;

/// A line for `/bin/sh -c`.
pub fn shell(line: &str) -> v1::TaskSpec {
    command(v1::ShellRun { command: line.into(), ..Default::default() })
}

/// A program and at least one argument, started without a shell.
pub fn program(name: &str, args: &[&str]) -> v1::TaskSpec {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    command(v1::ShellRun { command: name.into(), args, ..Default::default() })
}

/// A task for the handler of this name.
pub fn handler(name: &str, payload: impl Into<Vec<u8>>) -> v1::TaskSpec {
    v1::TaskSpec { name: name.into(), payload: payload.into(), ..Default::default() }
}

/// Called by its beginning.
fn command(run: v1::ShellRun) -> v1::TaskSpec {
    let words: Vec<_> = run.command.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line: String = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let name = if line.is_empty() { "shell".into() } else { line.chars().take(NAME_CHARS).collect() };
    v1::TaskSpec { name, run: Some(v1::task_spec::Run::Shell(run)), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_called_by_its_beginning() {
        for (line, name) in [("echo  a\n  b", "echo a b"), ("\u{7}", "shell"), (&"x".repeat(100), &"x".repeat(60))] {
            assert_eq!(shell(line).name, name);
        }
    }
}
