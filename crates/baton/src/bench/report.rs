//! What was measured, under which conditions: a figure without them says nothing.

use super::Setting;
use crate::{failure::Failure, printer, printer::Form};
use serde_json::{Map, Value, json};

/// Figures, in the order in which they are shown.
pub struct Report {
    what: &'static str,
    figures: Vec<(&'static str, Value)>,
}

impl Report {
    /// None yet.
    pub fn new(what: &'static str) -> Self {
        Self { what, figures: Vec::new() }
    }

    /// One more. The name says the unit.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.figures.push((name, value.into()));
        self
    }

    /// Those of another report behind these.
    pub fn and(mut self, more: Vec<(&'static str, Value)>) -> Self {
        self.figures.extend(more);
        self
    }

    /// Prints it.
    pub fn show(self, form: Form, setting: &Setting) -> Result<(), Failure> {
        let Self { what, figures } = self;
        match form {
            Form::Json => {
                let figures: Map<String, Value> = figures.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
                let conditions: Map<String, Value> =
                    setting.words().into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
                printer::json(&json!({"bench": what, "figures": figures, "conditions": conditions}))?;
            }
            Form::Table => {
                let figures = figures.iter().map(|(name, value)| vec![(*name).to_owned(), value.to_string()]);
                let words = setting.words().into_iter().map(|(name, text)| vec![name.to_owned(), text]);
                printer::table(&["BENCH", what], figures.chain(words).collect())?;
            }
        }
        Ok(())
    }
}

/// A figure with as many decimals as it is worth.
pub fn rounded(value: f64) -> Value {
    let places = if value.abs() >= 100.0 { 1.0 } else { 1_000.0 };
    if value.abs() >= 100.0 { json!(value.round() as i64) } else { json!((value * places).round() / places) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_decimals_they_are_worth() {
        let shown = [0.123_45, 12.345_6, 1_234.56, 0.0].map(|value| rounded(value).to_string());
        assert_eq!(shown, ["0.123", "12.346", "1235", "0.0"]);
    }
}
