//! What was sampled over time: as a table, as a plot, and whether it grows.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A line may grow by so much from the second quarter to the last and still be flat …
const GROWTH: f64 = 1.25;
/// … and by so much in its unit: a few MiB of an allocator, a file more.
const SLACK: f64 = 8.0;
/// Size of one panel of the plot, and how many stand side by side.
const PANEL: (usize, usize) = (340, 130);
const COLUMNS: usize = 3;

/// All figures at one time.
pub(super) struct Sample {
    pub at: Duration,
    pub values: Vec<(&'static str, f64)>,
}

/// All samples, oldest first.
#[derive(Default)]
pub(super) struct Curves(Vec<Sample>);

impl Curves {
    pub fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.first().map(|sample| sample.values.iter().map(|(name, _)| *name).collect()).unwrap_or_default()
    }

    fn column(&self, index: usize) -> Vec<f64> {
        self.0.iter().filter_map(|sample| sample.values.get(index).map(|(_, value)| *value)).collect()
    }

    /// Each line's median in the second quarter and in the last.
    pub fn trends(&self) -> Vec<(&'static str, f64, f64)> {
        let quarter = self.0.len() / 4;
        let trend = |(index, name)| {
            let column = self.column(index);
            let first = median(&column[quarter..(2 * quarter).max(quarter + 1).min(column.len())]);
            (name, first, median(&column[(3 * quarter).min(column.len().saturating_sub(1))..]))
        };
        self.names().into_iter().enumerate().map(trend).collect()
    }

    /// The lines that aren't flat.
    pub fn growing(&self) -> Vec<&'static str> {
        let grows = |(_, first, last): &(&str, f64, f64)| *last > first * GROWTH + SLACK;
        self.trends().into_iter().filter(grows).map(|(name, ..)| name).collect()
    }

    /// Writes `soak.csv` and `soak.svg`; gives the latter's path.
    pub fn write(&self, dir: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("soak.csv"), self.table())?;
        let plot = dir.join("soak.svg");
        fs::write(&plot, self.plot())?;
        Ok(plot)
    }

    fn table(&self) -> String {
        let mut text = format!("seconds,{}\n", self.names().join(","));
        for Sample { at, values } in &self.0 {
            let values: Vec<String> = values.iter().map(|(_, value)| format!("{value:.1}")).collect();
            let _ = writeln!(text, "{:.0},{}", at.as_secs_f64(), values.join(","));
        }
        text
    }

    fn plot(&self) -> String {
        let (names, (width, height)) = (self.names(), PANEL);
        let (wide, high) = (COLUMNS * width, names.len().div_ceil(COLUMNS) * height);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{wide}\" height=\"{high}\" fill=\"white\"/>\n"
        );
        let whole = self.0.last().map_or(1.0, |sample| sample.at.as_secs_f64()).max(1.0);
        for (index, name) in names.into_iter().enumerate() {
            let (left, top) = ((index % COLUMNS * width) as f64, (index / COLUMNS * height) as f64);
            let column = self.column(index);
            let most = column.iter().copied().fold(1.0, f64::max);
            let (inner, drop) = (width as f64 - 20.0, height as f64 - 35.0);
            let point = |(sample, value): (&Sample, &f64)| {
                let x = left + 10.0 + sample.at.as_secs_f64() / whole * inner;
                format!("{x:.1},{:.1}", top + 25.0 + (1.0 - value / most) * drop)
            };
            let points: Vec<String> = self.0.iter().zip(&column).map(point).collect();
            let last = column.last().copied().unwrap_or(0.0);
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{:.0}\">{name}: at most {most:.1}, at the end {last:.1}; {:.0} min</text>\n\
                 <polyline fill=\"none\" stroke=\"#1f6feb\" points=\"{}\"/>",
                left + 10.0,
                top + 15.0,
                whole / 60.0,
                points.join(" ")
            );
        }
        svg + "</svg>\n"
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted.get(sorted.len() / 2).copied().unwrap_or(0.0) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(line: impl Fn(u32) -> f64) -> Curves {
        let sample =
            |n: u32| Sample { at: Duration::from_secs(u64::from(n)), values: vec![("flat", 50.0), ("line", line(n))] };
        Curves((0..100).map(sample).collect())
    }

    #[test]
    fn what_grows_is_found_and_what_wavers_is_not() {
        assert_eq!(curves(|n| 10.0 + f64::from(n)).growing(), ["line"]);
        assert_eq!(curves(|n| 60.0 + f64::from(n % 7)).growing(), Vec::<&str>::new());
        // Filling a cache in the first quarter is no growth.
        assert_eq!(curves(|n| f64::from(n.min(20)) * 10.0).growing(), Vec::<&str>::new());
    }
}
