//! Points as a table in Markdown and as a plot: a panel a figure, its number of workers (tasks, watchers) by powers of ten.

use std::fmt::Write as _;

/// Size of a panel, and how many stand side by side.
const PANEL: (f64, f64) = (300.0, 140.0);
const COLUMNS: usize = 3;

/// What was measured with `n` of something.
pub struct Point {
    pub n: usize,
    /// Names with their units, in the same order at each point of one curve.
    pub figures: Vec<(&'static str, f64)>,
}

/// Points of one kind, fewest first.
pub struct Curve {
    pub of: &'static str,
    pub points: Vec<Point>,
}

impl Curve {
    fn names(&self) -> Vec<&'static str> {
        self.points.first().map(|point| point.figures.iter().map(|(name, _)| *name).collect()).unwrap_or_default()
    }

    /// A row a point.
    pub fn table(&self) -> String {
        let names = self.names();
        let mut text = format!("| {} | {} |\n|{}\n", self.of, names.join(" | "), " ---: |".repeat(names.len() + 1));
        for Point { n, figures } in &self.points {
            let cells: Vec<String> = figures.iter().map(|(_, value)| shown(*value)).collect();
            let _ = writeln!(text, "| {} | {} |", counted(*n), cells.join(" | "));
        }
        text
    }
}

/// All curves as one picture.
pub fn svg(curves: &[Curve]) -> String {
    let panels: Vec<(&Curve, usize, &str)> = curves
        .iter()
        .flat_map(|curve| curve.names().into_iter().enumerate().map(move |(index, name)| (curve, index, name)))
        .collect();
    let (wide, high) = (COLUMNS as f64 * PANEL.0, panels.len().div_ceil(COLUMNS) as f64 * PANEL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"{wide}\" height=\"{high}\" fill=\"white\"/>\n"
    );
    for (place, (curve, index, name)) in panels.into_iter().enumerate() {
        let corner = ((place % COLUMNS) as f64 * PANEL.0, (place / COLUMNS) as f64 * PANEL.1);
        let values: Vec<(usize, f64)> = curve.points.iter().map(|p| (p.n, p.figures[index].1)).collect();
        panel(&mut svg, corner, &format!("{name} by {}", curve.of), &values);
    }
    svg + "</svg>\n"
}

/// From 0 to the most, so that what is flat looks flat.
fn panel(svg: &mut String, (left, top): (f64, f64), title: &str, values: &[(usize, f64)]) {
    let most = values.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let steps = values.len().saturating_sub(1).max(1) as f64;
    let (inner, drop) = (PANEL.0 - 60.0, PANEL.1 - 65.0);
    let at =
        |step: usize, value: f64| (left + 25.0 + step as f64 / steps * inner, top + 35.0 + (1.0 - value / most) * drop);
    let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>", left + 10.0, top + 15.0);
    let mut points = String::new();
    for (step, (n, value)) in values.iter().enumerate() {
        let (x, y) = at(step, *value);
        let _ = write!(points, "{x:.1},{y:.1} ");
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"#1f6feb\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{}</text>",
            y - 5.0,
            shown(*value),
            top + PANEL.1 - 15.0,
            counted(*n),
        );
    }
    let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"#1f6feb\" points=\"{}\"/>", points.trim_end());
}

fn counted(n: usize) -> String {
    if n < 10_000 { n.to_string() } else { shown(n as f64) }
}

/// With as many decimals as it is worth, and k and M from 10,000 on.
fn shown(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", (v / 1e5).round() / 10.0),
        v if v >= 1e4 => format!("{} k", (v / 1e3).round()),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Curve {
        let point = |n: usize| Point { n, figures: vec![("tasks/s", 40_000.0), ("MiB", n as f64 / 10.0)] };
        Curve { of: "workers", points: vec![point(1), point(10), point(1_000)] }
    }

    #[test]
    fn a_table_has_a_row_a_point() {
        let table = "| workers | tasks/s | MiB |\n| ---: | ---: | ---: |\n| 1 | 40 k | 0.10 |\n| 10 | 40 k | 1.00 |\n\
                     | 1000 | 40 k | 100 |\n";
        assert_eq!(curve().table(), table);
    }

    #[test]
    fn a_plot_has_a_panel_a_figure_and_a_dot_a_point() {
        let svg = svg(&[curve()]);
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 6), "{svg}");
        assert!(svg.contains("MiB by workers") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
