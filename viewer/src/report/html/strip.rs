//! The outcome strip: one mark per frame, coloured by outcome.

use framegram_cli::numbers;
use framegram_common::Statistics;
use framegram_common::stats::{OUTCOMES, Outcome};

use maud::{Markup, html};

use crate::report::timeline::Timeline;

/// The strip and its legend.
pub(super) fn section(timeline: &Timeline, statistics: &Statistics) -> Markup {
    let letters = timeline.outcomes.chars();
    let marks: Vec<Outcome> = letters.filter_map(Outcome::of_letter).collect();
    if marks.is_empty() {
        return Markup::default();
    }
    let group = marks.len().div_ceil(MAX_DRAWN);
    let groups = marks.chunks(group);
    let drawn: Vec<Outcome> = groups
        .filter_map(|group| group.iter().max().copied())
        .collect();
    let frames = group as u64 * u64::from(timeline.frames_per_letter);
    let all = marks.len() as f64 * f64::from(timeline.frames_per_letter);
    let fps = Some(all / statistics.duration_s).filter(|fps| fps.is_finite() && *fps > 0.0);
    let columns = columns(drawn.len(), fps.map(|fps| fps / frames as f64));
    let label = |first: u64| match fps {
        Some(fps) => numbers::clock((first as f64 / fps).round() as u64),
        None => numbers::count(first),
    };
    html! {
        section {
            h2 { "Every frame" }
            @if frames > 1 {
                p { "A mark is " (frames) " frames, coloured by the worst outcome among them." }
            }
            (legend(&marks, timeline, statistics))
            div.strip {
                @for (index, row) in drawn.chunks(columns).enumerate() {
                    @let first = (index * columns) as u64 * frames;
                    span { (label(first)) }
                    (svg(row, columns, first, frames))
                }
            }
        }
    }
}

/// Marks per row: a whole number of seconds, if rows are long enough.
fn columns(marks: usize, a_second: Option<f64>) -> usize {
    let wanted = marks.div_ceil(MAX_ROWS).max(MIN_COLUMNS);
    let second = a_second
        .filter(|&marks| marks >= 1.0)
        .unwrap_or(1.0)
        .round() as usize;
    wanted.div_ceil(second) * second
}

/// Renders a row. Neighbouring marks with the same outcome are one area.
fn svg(row: &[Outcome], columns: usize, first: u64, frames: u64) -> Markup {
    let mut start = 0;
    let runs = row.chunk_by(|a, b| a == b).map(|run| {
        let from = first + start as u64 * frames;
        let to = from + run.len() as u64 * frames - 1;
        let which = match from {
            from if from == to => format!("frame {from}"),
            from => format!("frames {from} to {to}"),
        };
        let x = start;
        start += run.len();
        (run[0].info(), x, run.len(), which)
    });
    html! {
        svg viewBox=(format!("0 0 {columns} 1")) preserveAspectRatio="none" {
            @for (info, x, width, which) in runs {
                rect class=(info.key) x=(x) width=(width) height="1" {
                    @if info.outcome != Outcome::IntactUnrepaired {
                        title { (which) ": " (info.legend) }
                    }
                }
            }
        }
    }
}

/// The outcomes that occur, each with its count.
fn legend(marks: &[Outcome], timeline: &Timeline, statistics: &Statistics) -> Markup {
    html! {
        p.legend {
            @for info in &OUTCOMES {
                @let count = statistics.outcomes[info.outcome];
                @let drawn = timeline.frames_per_letter == 1 && marks.contains(&info.outcome);
                @if drawn || count > Some(0) {
                    span {
                        i class=(info.key) {}
                        (count.map_or_else(|| "?".to_owned(), numbers::count)) " " (info.legend)
                    }
                }
            }
        }
    }
}

/// Upper bound on marks: more take too long to draw and are too small to see.
const MAX_DRAWN: usize = 20_000;

/// Upper bound on rows.
const MAX_ROWS: usize = 60;

/// Minimum number of marks per row. On a phone, each mark is two pixels wide.
const MIN_COLUMNS: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_span_an_integral_number_of_seconds() {
        assert_eq!(columns(100, Some(30.0)), 150);
        assert_eq!(columns(1800, Some(29.97)), 150);
        assert_eq!(columns(1800, Some(25.0)), 150);
        assert_eq!(columns(18_000, Some(60.0)), 300);
        assert_eq!(columns(20_000, Some(0.5)), 334);
        assert_eq!(columns(10, None), 150);
    }

    #[test]
    fn neighbours_of_one_outcome_are_one_area_and_losses_are_named() {
        use Outcome::{IntactUnrepaired as Intact, LostNetwork as Lost};
        let svg = svg(&[Intact, Intact, Lost, Intact, Lost, Lost], 150, 300, 1).into_string();
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("<title>frame 302: lost on the network</title>"));
        assert!(svg.contains("<title>frames 304 to 305: lost on the network</title>"));
    }

    #[test]
    fn a_long_stream_is_drawn_with_the_worst_of_each_group() {
        let timeline = Timeline {
            frames_per_letter: 2,
            outcomes: ".....n....".repeat(6000),
            ..Timeline::default()
        };
        let section = section(&timeline, &Statistics::default()).into_string();
        assert!(section.contains("A mark is 6 frames"));
        assert!(section.matches("<rect").count() <= MAX_DRAWN);
        assert!(section.matches("<svg").count() <= MAX_ROWS);
        assert!(section.contains("class=\"lost_network\""));
    }
}
