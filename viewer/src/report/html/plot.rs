//! Plots as SVG that stretches to any width. Labels are text next to it, so that
//! they are never stretched.

use std::fmt::Write as _;

use framegram_cli::numbers;
use maud::{Markup, html};

use crate::report::timeline::Spread;

/// Stacked bars.
pub(super) struct Bars {
    /// Each series with its CSS class, from the bottom up.
    pub(super) series: Vec<(&'static str, Vec<f64>)>,
    /// Minimum upper end of the scale.
    pub(super) least: f64,
}

/// A plot with a title, a scale and a legend.
pub(super) struct Plot {
    title: String,
    unit: &'static str,
    top: f64,
    svg: Markup,
    legend: Vec<(&'static str, &'static str)>,
}

impl Plot {
    fn new(title: &str, top: f64, count: usize, content: &Markup) -> Self {
        Self {
            title: title.to_owned(),
            unit: "",
            top,
            svg: html! {
                svg viewBox=(format!("0 0 {} {HEIGHT}", count.max(1))) preserveAspectRatio="none"
                    aria-hidden="true"
                {
                    path.grid d=(format!("M0 {}H{count}", HEIGHT / 2.0)) {}
                    (content)
                }
            },
            legend: Vec::new(),
        }
    }

    pub(super) fn bars(title: &str, bars: &Bars) -> Self {
        let count = bars.series.first().map_or(0, |(_, values)| values.len());
        let total = |at: usize| {
            bars.series
                .iter()
                .map(|(_, values)| values[at])
                .sum::<f64>()
        };
        let top = nice((0..count).map(total).fold(bars.least, f64::max));
        let mut tops = vec![HEIGHT; count];
        let each = bars.series.iter();
        let each =
            each.flat_map(|(class, values)| values.iter().enumerate().map(move |it| (class, it)));
        let parts = each.filter(|(_, (_, value))| **value > 0.0);
        let parts = parts.map(|(class, (at, value))| {
            let height = value / top * HEIGHT;
            tops[at] -= height;
            bar(class, at, tops[at], height)
        });
        let svg = html! { @for part in parts { (part) } };
        Self::new(title, top, count, &svg)
    }

    /// A line of means in a band from minimum to maximum.
    pub(super) fn spread(title: &str, spreads: &[Option<Spread>]) -> Self {
        let known = || {
            spreads
                .iter()
                .enumerate()
                .filter_map(|(at, it)| Some((at, (*it)?)))
        };
        let top = nice(known().map(|(_, it)| it.max).fold(0.001, f64::max));
        let y = |value: f64| HEIGHT - value / top * HEIGHT;
        let means: Vec<_> = spreads.iter().map(|it| it.map(|it| it.mean)).collect();
        let svg = html! {
            @for (at, it) in known() {
                (bar("band", at, y(it.max), (y(it.min) - y(it.max)).max(0.5)))
            }
            (line(&means, y))
        };
        Self::new(title, top, spreads.len(), &svg)
            .with_legend(&[("mean", "mean"), ("band", "minimum to maximum")])
    }

    pub(super) fn line(title: &str, values: &[Option<f64>], top: f64) -> Self {
        let svg = line(values, |value| HEIGHT - value / top * HEIGHT);
        Self::new(title, top, values.len(), &svg)
    }

    pub(super) fn with_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Adds a legend: pairs of CSS class and label.
    pub(super) fn with_legend(self, legend: &[(&'static str, &'static str)]) -> Self {
        Self {
            legend: legend.to_vec(),
            ..self
        }
    }

    /// Renders the plot with a time axis of this many seconds.
    pub(super) fn over(self, seconds: u64) -> Markup {
        let ticks = [0, seconds / 2, seconds].map(numbers::clock);
        self.between(&ticks)
    }

    /// Renders the plot with labels below its left end, middle and right end.
    pub(super) fn between(self, ticks: &[String; 3]) -> Markup {
        let top = match self.top {
            top if top < 1.0 => format!("{top:.2}"),
            top if top < 2.0 => format!("{top}"),
            top => numbers::count(top as u64),
        };
        html! {
            figure {
                figcaption {
                    (self.title)
                    @if !self.legend.is_empty() {
                        " "
                        span.legend {
                            @for (class, name) in &self.legend { span { i class=(class) {} (name) } }
                        }
                    }
                }
                div.plot {
                    div.scale {
                        span { (format!("{top} {}", self.unit).trim_end()) }
                        span { "0" }
                    }
                    (self.svg)
                    div.ticks { @for tick in ticks { span { (tick) } } }
                }
            }
        }
    }
}

fn bar(class: &str, at: usize, y: f64, height: f64) -> Markup {
    html! {
        rect class=(class) x=(at) y=(format!("{y:.2}")) width="1" height=(format!("{height:.2}")) {}
    }
}

/// A line, with gaps where values are unknown.
fn line(values: &[Option<f64>], y: impl Fn(f64) -> f64) -> Markup {
    let mut data = String::new();
    let mut open = false;
    for (at, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let step = if open { 'L' } else { 'M' };
            // Writing into a string cannot fail.
            let _ = write!(data, "{step}{at} {0:.2}h1", y(*value));
        }
        open = value.is_some();
    }
    html! { path.mean d=(data) {} }
}

/// Rounds a value up to an end of scale with few significant digits.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&step| step >= value * 0.999_999)
        .unwrap_or(value)
}

/// Height of a plot in SVG units.
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
        let plot = Plot::bars("it", &bars).with_legend(&[("lost", "lost")]);
        let plot = plot.over(90).into_string();
        assert!(plot.contains("class=\"lost\" x=\"0\" y=\"80.00\" width=\"1\" height=\"20.00\""));
        assert!(
            plot.contains("class=\"repaired\" x=\"0\" y=\"0.00\" width=\"1\" height=\"80.00\"")
        );
        assert_eq!(plot.matches("<rect").count(), 3);
        assert!(plot.contains("<span>5</span>") && plot.contains("<span>1:30</span>"));
    }

    #[test]
    fn a_plotted_line_has_gaps_at_unknown_values() {
        let plot = Plot::line("it", &[Some(50.0), None, Some(100.0), Some(0.0)], 100.0);
        let plot = plot.over(4).into_string();
        assert!(
            plot.contains("d=\"M0 50.00h1M2 0.00h1L3 100.00h1\""),
            "{plot}"
        );
    }
}
