//! Plots as SVG that stretch to any width; what is to be read stands beside
//! them as text, so that it never stretches.

use framegram_cli::numbers;

use super::{escaped, put};

/// Bars, several on top of each other.
pub(super) struct Bars {
    /// Each with its class, the lowest first.
    pub(super) series: Vec<(&'static str, Vec<f64>)>,
    /// The scale goes up to this at least.
    pub(super) least: f64,
}

/// A plot with a title, a scale and a legend.
pub(super) struct Plot {
    title: String,
    unit: &'static str,
    top: f64,
    svg: String,
    legend: String,
}

impl Plot {
    pub(super) fn bars(title: &str, bars: &Bars, legend: &[(&str, &str)]) -> Self {
        let count = bars.series.first().map_or(0, |(_, values)| values.len());
        let total = |at: usize| {
            bars.series
                .iter()
                .map(|(_, values)| values[at])
                .sum::<f64>()
        };
        let top = nice((0..count).map(total).fold(bars.least, f64::max));
        let mut svg = String::new();
        for at in 0..count {
            let mut below = 0.0;
            for (class, values) in &bars.series {
                let value = values[at];
                if value <= 0.0 {
                    continue;
                }
                let height = value / top * HEIGHT;
                let y = HEIGHT - below - height;
                below += height;
                put(
                    &mut svg,
                    format_args!(
                        "<rect class=\"{class}\" x=\"{at}\" y=\"{y:.2}\" width=\"1\" height=\"{height:.2}\"/>"
                    ),
                );
            }
        }
        Self {
            title: title.to_owned(),
            unit: "",
            top,
            svg: framed(count, &svg),
            legend: legend_of(legend),
        }
    }

    /// A line of means in a band from the least to the largest.
    pub(super) fn band(
        title: &str,
        unit: &'static str,
        line: &[Option<f64>],
        band: &[Option<(f64, f64)>],
    ) -> Self {
        let top = nice(
            band.iter()
                .flatten()
                .map(|(_, most)| *most)
                .fold(0.001, f64::max),
        );
        let y = |value: f64| HEIGHT - value / top * HEIGHT;
        let mut svg = String::new();
        for (at, (least, most)) in band
            .iter()
            .enumerate()
            .filter_map(|(at, b)| Some((at, (*b)?)))
        {
            put(
                &mut svg,
                format_args!(
                    "<rect class=\"band\" x=\"{at}\" y=\"{:.2}\" width=\"1\" height=\"{:.2}\"/>",
                    y(most),
                    (y(least) - y(most)).max(0.5)
                ),
            );
        }
        svg += &path(line, y);
        Self {
            title: title.to_owned(),
            unit,
            top,
            svg: framed(line.len(), &svg),
            legend: legend_of(&[("mean", "mean"), ("band", "from the least to the largest")]),
        }
    }

    pub(super) fn line(title: &str, line: &[Option<f64>], top: f64) -> Self {
        let svg = path(line, |value| HEIGHT - value / top * HEIGHT);
        Self {
            title: title.to_owned(),
            unit: "",
            top,
            svg: framed(line.len(), &svg),
            legend: String::new(),
        }
    }

    pub(super) fn with_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// The plot over so many seconds.
    pub(super) fn over(self, seconds: u64) -> String {
        let ticks = [0, seconds / 2, seconds].map(clock);
        self.between(&ticks)
    }

    /// The plot with these words below its left end, middle and right end.
    pub(super) fn between(self, ticks: &[String; 3]) -> String {
        let top = if self.top < 1.0 {
            format!("{:.2}", self.top)
        } else if self.top < 2.0 {
            format!("{}", self.top)
        } else {
            numbers::count(self.top as u64)
        };
        let [left, middle, right] = ticks.each_ref().map(|tick| escaped(tick));
        format!(
            "<figure>\n<figcaption>{}{}</figcaption>\n<div class=\"plot\">\
             <div class=\"scale\"><span>{top}{}{}</span><span>0</span></div>{}\
             <div class=\"ticks\"><span>{left}</span><span>{middle}</span><span>{right}</span></div>\
             </div>\n</figure>\n",
            escaped(&self.title),
            self.legend,
            if self.unit.is_empty() { "" } else { " " },
            self.unit,
            self.svg,
        )
    }
}

/// Seconds as a clock shows them.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A legend of classes and what they stand for.
fn legend_of(entries: &[(&str, &str)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(class, name)| format!("<span><i class=\"{class}\"></i>{}</span>", escaped(name)))
        .collect();
    if entries.is_empty() {
        entries
    } else {
        format!(" <span class=\"legend\">{entries}</span>")
    }
}

fn framed(count: usize, content: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"grid\" d=\"M0 {}H{count}\"/>{content}</svg>",
        count.max(1),
        HEIGHT / 2.0,
    )
}

/// A line with gaps where nothing is known.
fn path(line: &[Option<f64>], y: impl Fn(f64) -> f64) -> String {
    let mut data = String::new();
    let mut open = false;
    for (at, value) in line.iter().enumerate() {
        if let Some(value) = value {
            let step = if open { 'L' } else { 'M' };
            put(&mut data, format_args!("{step}{at} {0:.2}h1", y(*value)));
        }
        open = value.is_some();
    }
    format!("<path class=\"mean\" d=\"{data}\"/>")
}

/// A value to end a scale with, at least this: few digits and zeros.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&step| step >= value * 0.999_999)
        .unwrap_or(value)
}

/// Height of a plot in its own units.
const HEIGHT: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_with_round_numbers() {
        for (value, end) in [
            (0.03, 0.03),
            (1.0, 1.0),
            (1.1, 1.5),
            (4.5, 5.0),
            (81.0, 100.0),
        ] {
            assert!((nice(value) - end).abs() < 1e-9, "{value}: {}", nice(value));
        }
    }

    #[test]
    fn bars_stand_on_each_other_and_fill_the_scale() {
        let bars = Bars {
            series: vec![("lost", vec![1.0, 0.0]), ("repaired", vec![4.0, 2.0])],
            least: 1.0,
        };
        let plot = Plot::bars("it", &bars, &[("lost", "lost")]).over(90);
        assert!(plot.contains("class=\"lost\" x=\"0\" y=\"80.00\" width=\"1\" height=\"20.00\""));
        assert!(
            plot.contains("class=\"repaired\" x=\"0\" y=\"0.00\" width=\"1\" height=\"80.00\"")
        );
        assert_eq!(plot.matches("<rect").count(), 3);
        assert!(plot.contains("<span>5</span>") && plot.contains("<span>1:30</span>"));
    }

    #[test]
    fn a_line_has_gaps_where_nothing_is_known() {
        let plot = Plot::line("it", &[Some(50.0), None, Some(100.0), Some(0.0)], 100.0).over(4);
        assert!(
            plot.contains("d=\"M0 50.00h1M2 0.00h1L3 100.00h1\""),
            "{plot}"
        );
    }
}
