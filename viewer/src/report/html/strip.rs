//! One mark for each frame, coloured by its outcome.

use framegram_cli::numbers;
use framegram_common::Statistics;
use framegram_common::stats::{OUTCOMES, Outcome};

use super::plot::clock;
use super::{escaped, put};
use crate::report::timeline::Timeline;

/// The strip with its legend.
pub(super) fn section(timeline: &Timeline, statistics: &Statistics) -> String {
    let letters = timeline.outcomes.chars();
    let marks: Vec<Outcome> = letters.filter_map(Outcome::of_letter).collect();
    if marks.is_empty() {
        return String::new();
    }
    let group = marks.len().div_ceil(MAX_DRAWN);
    let drawn: Vec<Outcome> = marks
        .chunks(group)
        .filter_map(|group| group.iter().max().copied())
        .collect();
    let frames = group as u64 * u64::from(timeline.frames_per_letter);
    let all = marks.len() as f64 * f64::from(timeline.frames_per_letter);
    let fps = Some(all / statistics.duration_s).filter(|fps| fps.is_finite());
    let columns = columns(drawn.len(), fps.map(|fps| fps / frames as f64));
    let mut section = "<section>\n<h2>Every frame</h2>\n".to_owned();
    if frames > 1 {
        put(
            &mut section,
            format_args!("<p>A mark is {frames} frames, with the worst outcome of them.</p>\n"),
        );
    }
    section += &legend(&marks, timeline, statistics);
    section += "<div class=\"strip\">\n";
    for (index, row) in drawn.chunks(columns).enumerate() {
        let first = (index * columns) as u64 * frames;
        let label = match fps {
            Some(fps) if fps > 0.0 => clock((first as f64 / fps).round() as u64),
            _ => numbers::count(first),
        };
        put(
            &mut section,
            format_args!("<span>{label}</span>{}\n", svg(row, columns, first, frames)),
        );
    }
    section + "</div>\n</section>\n"
}

/// Marks a row: whole seconds, where there are some.
fn columns(marks: usize, a_second: Option<f64>) -> usize {
    let wanted = marks.div_ceil(MAX_ROWS).max(MIN_COLUMNS);
    let second = a_second
        .filter(|&marks| marks >= 1.0)
        .unwrap_or(1.0)
        .round() as usize;
    wanted.div_ceil(second) * second
}

/// A row, in which neighbours of one outcome are one area.
fn svg(row: &[Outcome], columns: usize, first: u64, frames: u64) -> String {
    let mut svg = format!("<svg viewBox=\"0 0 {columns} 1\" preserveAspectRatio=\"none\">");
    let mut start = 0;
    for run in row.chunk_by(|a, b| a == b) {
        let info = run[0].info();
        put(
            &mut svg,
            format_args!(
                "<rect class=\"{}\" x=\"{start}\" width=\"{}\" height=\"1\"",
                info.class,
                run.len()
            ),
        );
        if info.outcome == Outcome::IntactUnrepaired {
            svg += "/>";
        } else {
            let from = first + start as u64 * frames;
            let to = from + run.len() as u64 * frames - 1;
            let which = if from == to {
                format!("frame {from}")
            } else {
                format!("frames {from} to {to}")
            };
            put(
                &mut svg,
                format_args!("><title>{which}: {}</title></rect>", escaped(info.legend)),
            );
        }
        start += run.len();
    }
    svg + "</svg>"
}

/// The outcomes there are, each with its number.
fn legend(marks: &[Outcome], timeline: &Timeline, statistics: &Statistics) -> String {
    let mut legend = "<p class=\"legend\">".to_owned();
    for info in &OUTCOMES {
        let count = statistics.outcomes[info.outcome];
        let drawn = timeline.frames_per_letter == 1 && marks.contains(&info.outcome);
        if count.is_some_and(|count| count > 0) || drawn {
            put(
                &mut legend,
                format_args!(
                    "<span><i class=\"{}\"></i>{} {}</span>",
                    info.class,
                    count.map_or_else(|| "?".to_owned(), numbers::count),
                    escaped(info.legend),
                ),
            );
        }
    }
    legend + "</p>\n"
}

/// More marks take too long to draw, and are too small to see.
const MAX_DRAWN: usize = 20_000;

/// Rows of marks.
const MAX_ROWS: usize = 60;

/// Marks a row at least: on a phone each has two pixels then.
const MIN_COLUMNS: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_seconds() {
        assert_eq!(columns(100, Some(30.0)), 150);
        assert_eq!(columns(1800, Some(29.97)), 150);
        assert_eq!(columns(1800, Some(25.0)), 150);
        assert_eq!(columns(18_000, Some(60.0)), 300);
        assert_eq!(columns(20_000, Some(0.5)), 334);
        assert_eq!(columns(10, None), 150);
    }

    #[test]
    fn neighbours_of_one_outcome_are_one_area_and_losses_are_named() {
        use Outcome::{IntactUnrepaired as Whole, LostNetwork as Lost};
        let svg = svg(&[Whole, Whole, Lost, Whole, Lost, Lost], 150, 300, 1);
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
        let section = section(&timeline, &Statistics::default());
        assert!(section.contains("A mark is 6 frames"));
        assert!(section.matches("<rect").count() <= MAX_DRAWN);
        assert!(section.matches("<svg").count() <= MAX_ROWS);
        assert!(section.contains("class=\"lost\""));
    }
}
