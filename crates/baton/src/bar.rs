//! How far it is, on stderr: a bar that is redrawn on a terminal, plain lines now and then elsewhere.

use crate::printer::{self, Stream};
use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

/// Characters of the bar itself.
const WIDTH: usize = 20;
/// Characters of a line: more would wrap on a common terminal, and a wrapped line can't be redrawn.
const LINE: usize = 79;
/// Where there is no terminal, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// One bar.
pub struct Bar {
    terminal: bool,
    shown: String,
    at: Option<Instant>,
}

impl Bar {
    /// Shows nothing yet.
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: String::new(), at: None }
    }

    /// Shows how far it is, 0 to 100.
    pub fn show(&mut self, percent: i32, text: &str) {
        let line = line(percent, text);
        if line == self.shown || (!self.terminal && self.at.is_some_and(|at| at.elapsed() < LINE_EVERY)) {
            return;
        }
        self.draw(line);
    }

    /// Shows the last of it, and leaves it standing.
    pub fn end(&mut self, percent: i32, text: &str) {
        let line = line(percent, text);
        if line != self.shown {
            self.draw(line);
        }
        if self.terminal {
            // Other words may follow.
            printer::note("");
        }
    }

    fn draw(&mut self, line: String) {
        self.at = Some(Instant::now());
        self.shown = line;
        if self.terminal {
            // If nobody can see it, so be it.
            let _ = printer::bytes(Stream::Err, format!("\r\x1b[K{}", self.shown).as_bytes());
        } else {
            printer::note(&self.shown);
        }
    }
}

fn line(percent: i32, text: &str) -> String {
    let percent = usize::try_from(percent.clamp(0, 100)).unwrap_or(0);
    let full = percent * WIDTH / 100;
    let line = format!("[{}{}] {percent:>3} %  {text}", "#".repeat(full), ".".repeat(WIDTH - full));
    line.chars().take(LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_end_and_fits_a_line() {
        assert_eq!(line(0, "x"), "[....................]   0 %  x");
        assert_eq!(line(99, "x"), "[###################.]  99 %  x");
        assert_eq!(line(100, ""), "[####################] 100 %  ");
        assert_eq!(line(250, &"x".repeat(200)).chars().count(), LINE);
    }
}
