//! Charts, drawn as SVG on the server. Every chart stands beside its table.

use std::fmt::Write as _;

/// The size of a chart, in its own units.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 180.0;
/// The room for the labels at the left and below.
const LEFT: f64 = 44.0;
const BELOW: f64 = 22.0;
const ABOVE: f64 = 10.0;

/// A point: where it is from left to right, 0 to 1, and its value.
pub(crate) type Point = (f64, f64);

/// Texts at the ends of an axis.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
}

/// Draws a balance over time: it stays until the next point.
pub(crate) fn steps(points: &[Point], ends: &Ends<'_>, label: &str) -> String {
    let frame = Scale::of(points.iter().map(|(_, value)| *value));
    let mut path = String::new();
    let mut last = None;
    for (at, value) in points {
        let (x, y) = (x(*at), frame.y(*value));
        match last {
            None => drop(write!(path, "M{x:.1} {y:.1}")),
            Some(_) => drop(write!(path, "H{x:.1}V{y:.1}")),
        }
        last = Some(y);
    }
    let zero = frame.y(0.0);
    let area = points.first().map_or(String::new(), |(first, _)| {
        format!(r#"<path class="area" d="{path}H{:.1}V{zero:.1}H{:.1}Z"/>"#, x(1.0), x(*first))
    });
    frame.around(&format!(r#"{area}<path class="curve" d="{path}H{:.1}"/>"#, x(1.0)), ends, label)
}

/// Draws one bar for each value.
pub(crate) fn bars(values: &[f64], ends: &Ends<'_>, label: &str) -> String {
    let frame = Scale::of(values.iter().copied());
    let width = (WIDTH - LEFT) / values.len().max(1) as f64;
    let zero = frame.y(0.0);
    let mut bars = String::new();
    for (at, value) in values.iter().enumerate() {
        let (x, y) = (LEFT + width * at as f64 + width * 0.15, frame.y(*value));
        let (top, height) = (y.min(zero), (y - zero).abs());
        if height > 0.0 {
            let width = width * 0.7;
            let _ = write!(
                bars,
                r#"<rect class="column" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#
            );
        }
    }
    frame.around(&bars, ends, label)
}

/// The height of a rank, and the room for its name and for its value.
const RANK: f64 = 22.0;
const NAMES: f64 = 150.0;
const VALUES: f64 = 70.0;
/// The longest name of a rank, in characters.
const NAME_CHARS_MAX: usize = 24;

/// Draws one bar for each name, with its value as a text behind it.
pub(crate) fn ranks(rows: &[(String, f64, String)], label: &str) -> String {
    let most = rows.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    let height = RANK * rows.len() as f64;
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}">"#, escaped(label));
    for (at, (name, value, text)) in rows.iter().enumerate() {
        let (top, share) = (RANK * at as f64, if most > 0.0 { value.max(0.0) / most } else { 0.0 });
        let width = share * (WIDTH - NAMES - VALUES);
        let (foot, after) = (top + 15.0, NAMES + width + 6.0);
        let name = match name.char_indices().nth(NAME_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.clone(),
        };
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{foot:.1}" text-anchor="end">{}</text><rect class="column" x="{NAMES}" y="{:.1}" width="{width:.1}" height="14" rx="2"/><text x="{after:.1}" y="{foot:.1}">{}</text>"#,
            NAMES - 8.0,
            escaped(&name),
            top + 4.0,
            escaped(text)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn x(at: f64) -> f64 {
    LEFT + at.clamp(0.0, 1.0) * (WIDTH - LEFT)
}

/// The scale of the values: from at most 0 to a round number.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(0.0, f64::min);
        let high = values.fold(0.0, f64::max);
        Self { low: 0.0 - round_up(-low), high: if high <= 0.0 && low >= 0.0 { 1.0 } else { round_up(high) } }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BELOW - share * (HEIGHT - BELOW - ABOVE)
    }

    fn around(&self, drawing: &str, ends: &Ends<'_>, label: &str) -> String {
        let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escaped(label));
        for value in [self.low, (self.low + self.high) / 2.0, self.high] {
            let y = self.y(value);
            let _ = write!(
                svg,
                r#"<path class="rule" d="M{LEFT} {y:.1}H{WIDTH}"/><text x="{}" y="{:.1}" text-anchor="end">{value}</text>"#,
                LEFT - 6.0,
                y + 4.0
            );
        }
        let foot = HEIGHT - 4.0;
        let _ = write!(
            svg,
            r#"{drawing}<text x="{LEFT}" y="{foot}">{}</text><text x="{WIDTH}" y="{foot}" text-anchor="end">{}</text></svg>"#,
            escaped(ends.from),
            escaped(ends.to)
        );
        svg
    }
}

/// Returns the next of 1, 2, 5, 10, 20, … that is not below the value.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number() {
        for (value, end) in [(0.0, 0.0), (0.3, 0.5), (1.0, 1.0), (7.0, 10.0), (12.0, 20.0), (480.0, 500.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}: {}", round_up(value));
        }
    }

    #[test]
    fn a_chart_has_its_label_and_no_markup_of_others() {
        let ends = Ends { from: "<b>", to: "now" };
        let svg = steps(&[(0.0, 5.0), (0.5, -2.0)], &ends, "a \"label\" & <script>");
        assert!(svg.contains("a &quot;label&quot; &amp; &lt;script&gt;") && svg.contains("&lt;b&gt;"), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains("NaN"), "{svg}");
        for svg in [steps(&[], &ends, ""), bars(&[], &ends, ""), bars(&[0.0, 0.0], &ends, "")] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let rows = [("<b>".to_owned(), 4.0, "4".to_owned()), ("x".repeat(80), 0.0, "0 & less".to_owned())];
        let svg = ranks(&rows, "\"<i>");
        assert!(
            !svg.contains("<b>") && !svg.contains("<i>") && svg.contains("0 &amp; less") && svg.contains("xx…"),
            "{svg}"
        );
        assert!(!ranks(&[], "").contains("NaN") && !ranks(&[(String::new(), 0.0, String::new())], "").contains("NaN"));
        assert_eq!(bars(&[1.0, 0.0, 3.0], &ends, "").matches("<rect").count(), 2);
    }
}
