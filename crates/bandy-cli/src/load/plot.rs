//! Plots as SVG, without a script: axes, lines, areas, cells. Colours are the page's, so light and dark are its affair.

use std::fmt::Write;

/// How values lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evenly, from 0.
    Linear { max: f64 },
    /// By powers of ten.
    Log { min: f64, max: f64 },
    /// Evenly, from one to the other.
    Between { min: f64, max: f64 },
}

impl Scale {
    /// One that has room for these on powers of ten; they are above 0.
    pub fn log(values: impl Iterator<Item = f64>) -> Scale {
        let (mut min, mut max) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            min = min.min(value);
            max = max.max(value);
        }
        if max == 0.0 {
            return Scale::Log {
                min: 0.1,
                max: 10.0,
            };
        }
        // Never less than a doubling in view.
        let (min, max) = (min * 0.8, max * 1.25);
        Scale::Log {
            min: min.min(max / 4.0),
            max,
        }
    }

    /// Where a value is, 0 to 1.
    pub fn place(self, value: f64) -> f64 {
        let part = match self {
            Scale::Linear { max } => value / max.max(f64::MIN_POSITIVE),
            Scale::Log { min, max } => (value.max(min) / min).ln() / (max / min).ln(),
            Scale::Between { min, max } => (value - min) / (max - min).max(f64::MIN_POSITIVE),
        };
        part.clamp(0.0, 1.0)
    }

    /// Values worth a mark.
    pub fn ticks(self) -> Vec<f64> {
        match self {
            Scale::Linear { max } => steps(0.0, max),
            Scale::Between { min, max } => steps(min, max),
            Scale::Log { min, max } => {
                let span = (max / min).log10();
                let digits: &[f64] = match span {
                    span if span > 2.5 => &[1.0],
                    span if span > 1.2 => &[1.0, 3.0],
                    _ => &[1.0, 2.0, 3.0, 5.0, 7.0],
                };
                let from = min.log10().floor() as i32;
                let to = max.log10().ceil() as i32;
                (from..=to)
                    .flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)))
                    .filter(|value| (min..=max).contains(value))
                    .collect()
            }
        }
    }
}

/// Some five round numbers.
fn steps(min: f64, max: f64) -> Vec<f64> {
    let span = max - min;
    if span.is_nan() || span <= 0.0 {
        return vec![min];
    }
    let raw = span / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|step| *step >= raw)
        .unwrap_or(power * 10.0);
    let first = (min / step).ceil() as i64;
    let last = (max / step).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A plot that is being drawn.
#[derive(Debug)]
pub struct Plot {
    svg: String,
    x: Scale,
    y: Scale,
    height: f64,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = svg.write_fmt(text);
}

impl Plot {
    /// An empty one with its axes. `label` is for those who cannot see it.
    pub fn new(
        label: &str,
        height: f64,
        (x, x_text): (Scale, &dyn Fn(f64) -> String),
        (y, y_text): (Scale, &dyn Fn(f64) -> String),
    ) -> Plot {
        Plot::with_ticks(label, height, (x, &x.ticks(), x_text), (y, y_text))
    }

    /// The same with marks of one's own on the x axis.
    pub fn with_ticks(
        label: &str,
        height: f64,
        (x, x_ticks, x_text): (Scale, &[f64], &dyn Fn(f64) -> String),
        (y, y_text): (Scale, &dyn Fn(f64) -> String),
    ) -> Plot {
        let mut plot = Plot {
            svg: String::new(),
            x,
            y,
            height,
        };
        let svg = &mut plot.svg;
        put(
            svg,
            format_args!(
                "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n<g class=\"axes\">\n",
                escape(label)
            ),
        );
        for value in y.ticks() {
            let at = plot.y(value);
            put(
                &mut plot.svg,
                format_args!(
                    "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" class=\"y\">{}</text>\n",
                    WIDTH - RIGHT,
                    LEFT - 8.0,
                    at + 4.0,
                    escape(&y_text(value))
                ),
            );
        }
        for &value in x_ticks {
            let at = plot.x(value);
            put(
                &mut plot.svg,
                format_args!(
                    "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" class=\"x\">{}</text>\n",
                    height - BOTTOM,
                    height - BOTTOM + 18.0,
                    escape(&x_text(value))
                ),
            );
        }
        plot.svg.push_str("</g>\n");
        plot
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - self.y.place(value)) * (self.height - TOP - BOTTOM)
    }

    /// A line through points; a gap where there is none.
    pub fn line(&mut self, class: &str, points: &[(f64, Option<f64>)]) {
        let mut path = String::new();
        let mut is_on = false;
        for (x, y) in points {
            let Some(y) = y else {
                is_on = false;
                continue;
            };
            let letter = if is_on { 'L' } else { 'M' };
            put(
                &mut path,
                format_args!("{letter}{:.1} {:.1}", self.x(*x), self.y(*y)),
            );
            is_on = true;
        }
        if !path.is_empty() {
            put(
                &mut self.svg,
                format_args!("<path class=\"line {class}\" d=\"{path}\"/>\n"),
            );
        }
    }

    /// What is below a line.
    pub fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        let floor = self.height - BOTTOM;
        let mut path = format!("M{:.1} {floor:.1}", self.x(first.0));
        for (x, y) in points {
            put(
                &mut path,
                format_args!("L{:.1} {:.1}", self.x(*x), self.y(*y)),
            );
        }
        put(
            &mut path,
            format_args!("L{:.1} {floor:.1}Z", self.x(last.0)),
        );
        put(
            &mut self.svg,
            format_args!("<path class=\"area {class}\" d=\"{path}\"/>\n"),
        );
    }

    /// A cell from one corner to the other, as strong as `part` says, 0 to 1.
    pub fn cell(&mut self, x: (f64, f64), y: (f64, f64), part: f64, title: &str) {
        let (left, right) = (self.x(x.0), self.x(x.1));
        let (bottom, top) = (self.y(y.0), self.y(y.1));
        put(
            &mut self.svg,
            format_args!(
                "<rect class=\"cell\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill-opacity=\"{:.2}\">",
                (right - left + 0.3).max(0.5),
                (bottom - top + 0.3).max(0.5),
                part.clamp(0.06, 1.0)
            ),
        );
        put(
            &mut self.svg,
            format_args!("<title>{}</title></rect>\n", escape(title)),
        );
    }

    /// A point with words beside it.
    pub fn point(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y) = (self.x(x), self.y(y));
        // Lines come from the left below and go on to the right above: the words stand on the left, if there is room.
        let (anchor, offset) = match x > LEFT + 170.0 {
            true => ("end", -9.0),
            false => ("start", 9.0),
        };
        put(
            &mut self.svg,
            format_args!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/><text class=\"note\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
                x + offset,
                y - 7.0,
                escape(text)
            ),
        );
    }

    /// Done: the SVG, with what is written on its axes.
    pub fn finish(mut self, x_name: &str, y_name: &str) -> String {
        put(
            &mut self.svg,
            format_args!(
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n</svg>\n",
                WIDTH - RIGHT,
                self.height - 6.0,
                escape(x_name),
                LEFT + 6.0,
                TOP + 10.0,
                escape(y_name)
            ),
        );
        self.svg
    }
}

/// A part of a bar: its class, its value, and what it is.
pub type Part<'a> = (&'a str, f64, String);

/// Bars one below the other, each of parts, all on one scale.
pub fn bars(label: &str, rows: &[(String, Vec<Part<'_>>)], text: &dyn Fn(f64) -> String) -> String {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 190.0;
    let height = ROW * rows.len() as f64 + 8.0;
    let longest = rows
        .iter()
        .map(|(_, parts)| parts.iter().map(|(_, value, _)| value).sum::<f64>())
        .fold(f64::MIN_POSITIVE, f64::max);
    let width = WIDTH - NAMES - 110.0;
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(label)
        ),
    );
    for (i, (name, parts)) in rows.iter().enumerate() {
        let top = i as f64 * ROW + 6.0;
        put(
            &mut svg,
            format_args!(
                "<text class=\"row\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                NAMES - 12.0,
                top + 16.0,
                escape(name)
            ),
        );
        let mut left = NAMES;
        let mut all = 0.0;
        for (class, value, what) in parts {
            let wide = value / longest * width;
            all += value;
            put(
                &mut svg,
                format_args!(
                    "<rect class=\"bar {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"22\" rx=\"3\"><title>{}: {}</title></rect>\n",
                    wide.max(1.0),
                    escape(what),
                    escape(&text(*value))
                ),
            );
            if wide > 8.0 * what.len() as f64 + 10.0 {
                put(
                    &mut svg,
                    format_args!(
                        "<text class=\"in\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                        left + 7.0,
                        top + 15.5,
                        escape(what)
                    ),
                );
            }
            left += wide;
        }
        put(
            &mut svg,
            format_args!(
                "<text class=\"row strong\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                left + 9.0,
                top + 16.0,
                escape(&text(all))
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text as HTML has it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_place_and_mark() {
        let log = Scale::Log {
            min: 1.0,
            max: 100.0,
        };
        assert_eq!(
            [1.0, 10.0, 100.0, 0.0, 1e9].map(|v| log.place(v)),
            [0.0, 0.5, 1.0, 0.0, 1.0]
        );
        assert_eq!(
            Scale::Linear { max: 100.0 }.ticks(),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(Scale::Linear { max: 0.0 }.ticks(), [0.0]);
        let ticks = Scale::log([0.3, 4.0].into_iter()).ticks();
        assert!(ticks.len() >= 2, "{ticks:?}");
    }

    #[test]
    fn what_others_said_stays_text() {
        assert_eq!(
            escape("<b a=\"1\">&\u{1b}"),
            "&lt;b a=&quot;1&quot;&gt;&amp;\u{fffd}"
        );
    }
}
