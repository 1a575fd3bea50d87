//! Which shell lines need no shell: a shell between doubles what a small task costs, so that, as in make, lines
//! without any syntax are started directly.

/// What a POSIX shell, dash or bash may take for something else than a program.
const WORDS: [&str; 82] = [
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "login",
    "logout",
    "mapfile",
    "newgrp",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "setvar",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// The words of a line that a shell would only split at blanks; `None` if it needs a shell.
pub fn words(line: &str) -> Option<Vec<&str>> {
    // `=` may be an assignment, `~` a home, `%` a job, `#` a comment, and everything else that isn't here is syntax.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@+:,./- \t".contains(c);
    let assignment_only_first = |c: char| plain(c) || c == '=' || c == '%';
    let line = line.trim_matches([' ', '\t']);
    let words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
    let (first, rest) = words.split_first()?;
    let direct =
        first.chars().all(plain) && !WORDS.contains(first) && rest.iter().all(|w| w.chars().all(assignment_only_first));
    direct.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_without_syntax_are_split() {
        assert_eq!(words(" /bin/ls  -l\ta=b x%y "), Some(vec!["/bin/ls", "-l", "a=b", "x%y"]));
        for line in [
            "", " ", "echo hi", "a|b", "a;b", "a&", "A=1 b", "ls *", "ls ~", "ls $X", "a 'b'", "a\nb", "! a", "ls #x",
            "a >b",
        ] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
