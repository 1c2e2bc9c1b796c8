//! Figures of several programs side by side, their medians, and the ratios to GStreamer in the same
//! run.

use serde_json::{Value, json};

use crate::players::Player;

/// A ratio misses its target if it is above it by more than this.
const TOLERANCE: f64 = 0.02;

/// If the distance between the quartiles of the ratios is greater than this share of their median,
/// the machine was too busy to judge.
const MAX_SPREAD: f64 = 0.08;

/// The measurements of one piece of work.
#[derive(Clone, Debug)]
pub(crate) struct FigureRow {
    pub(crate) work: String,
    pub(crate) unit: &'static str,
    /// The target for the ratio of framegram to GStreamer.
    pub(crate) target: Option<f64>,
    /// The figures of each program, one per run.
    figures: [Vec<f64>; Player::ALL.len()],
}

/// The result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowVerdict {
    /// There is no target.
    Told,
    Reached,
    Missed,
    /// The ratios differ too much between runs.
    Unsteady,
}

impl FigureRow {
    pub(crate) fn new(work: String, unit: &'static str, target: Option<f64>) -> Self {
        Self {
            work,
            unit,
            target,
            figures: Default::default(),
        }
    }

    pub(crate) fn push(&mut self, player: Player, figure: f64) {
        self.figures[player as usize].push(figure);
    }

    /// Forgets the figures of one program.
    pub(crate) fn discard(&mut self, player: Player) {
        self.figures[player as usize].clear();
    }

    pub(crate) fn clear(&mut self) {
        self.figures.iter_mut().for_each(Vec::clear);
    }

    /// The median; `None` if nothing was measured.
    pub(crate) fn median(&self, player: Player) -> Option<f64> {
        quartile(&self.figures[player as usize], 2)
    }

    /// The median of the ratios of the runs.
    pub(crate) fn ratio(&self, player: Player) -> Option<f64> {
        quartile(&self.ratios(player), 2)
    }

    /// The distance between the quartiles of the ratios, as a share of the median.
    pub(crate) fn spread(&self, player: Player) -> Option<f64> {
        let ratios = self.ratios(player);
        let [low, middle, high] = [1, 2, 3].map(|part| quartile(&ratios, part));
        Some((high? - low?) / middle?)
    }

    pub(crate) fn verdict(&self) -> RowVerdict {
        let (Some(target), Some(ratio), Some(spread)) = (
            self.target,
            self.ratio(Player::Framegram),
            self.spread(Player::Framegram),
        ) else {
            return RowVerdict::Told;
        };
        if spread > MAX_SPREAD {
            RowVerdict::Unsteady
        } else if ratio > target + TOLERANCE {
            RowVerdict::Missed
        } else {
            RowVerdict::Reached
        }
    }

    fn ratios(&self, player: Player) -> Vec<f64> {
        let pairs = self.figures[player as usize]
            .iter()
            .zip(&self.figures[Player::GStreamer as usize]);
        pairs.map(|(one, other)| one / other).collect()
    }

    /// Its cells in the table.
    pub(crate) fn cells(&self) -> Vec<String> {
        let mut cells = vec![format!("{}, {}", self.work, self.unit)];
        cells.extend(Player::ALL.map(|player| number(self.median(player))));
        for player in [Player::Framegram, Player::Ffmpeg] {
            cells.push(number(self.ratio(player)));
        }
        let spread = self.spread(Player::Framegram);
        cells.push(spread.map_or(NONE.to_owned(), |spread| format!("{:.0} %", spread * 100.0)));
        cells.push(number(self.target));
        cells.push(self.verdict().name().to_owned());
        cells
    }

    pub(crate) fn to_json(&self) -> Value {
        let players = Player::ALL.map(|player| {
            let figures = &self.figures[player as usize];
            let of = json!({
                "figures": figures,
                "median": self.median(player),
                "ratio": self.ratio(player),
                "spread": self.spread(player),
            });
            (player.name().to_owned(), of)
        });
        json!({
            "work": self.work,
            "unit": self.unit,
            "target": self.target,
            "verdict": self.verdict().name(),
            "programs": players.into_iter().collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl RowVerdict {
    fn name(self) -> &'static str {
        match self {
            Self::Told => "",
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::Unsteady => "unsteady",
        }
    }
}

/// The cell of a figure that is not known.
pub(crate) const NONE: &str = "–";

/// The head of the table.
pub(crate) const HEAD: [&str; 9] = [
    "work",
    "framegram",
    "GStreamer",
    "FFmpeg",
    "framegram / GStreamer",
    "FFmpeg / GStreamer",
    "spread",
    "target",
    "",
];

/// The first, second or third quartile, interpolated if necessary.
pub(crate) fn quartile(figures: &[f64], part: usize) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = sorted.len().checked_sub(1)? as f64 * part as f64 / 4.0;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

fn number(figure: Option<f64>) -> String {
    match figure {
        None => NONE.to_owned(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: &[f64], theirs: f64, target: f64) -> FigureRow {
        let mut row = FigureRow::new("work".to_owned(), "ms", Some(target));
        for figure in ours {
            row.push(Player::Framegram, *figure);
            row.push(Player::GStreamer, theirs);
        }
        row
    }

    #[test]
    fn quartiles_lie_between_figures() {
        assert_eq!(quartile(&[], 2), None);
        assert_eq!(quartile(&[3.0], 1), Some(3.0));
        assert_eq!(quartile(&[4.0, 1.0, 2.0, 3.0], 2), Some(2.5));
        assert_eq!(quartile(&[5.0, 1.0, 2.0, 3.0, 4.0], 3), Some(4.0));
    }

    #[test]
    fn a_program_without_figures_has_empty_cells() {
        let mut row = row(&[1.0, 1.0], 2.0, 0.5);
        row.push(Player::Ffmpeg, 3.0);
        row.discard(Player::Ffmpeg);
        let cells = row.cells();
        assert_eq!(&cells[1..6], ["1.00", "2.00", NONE, "0.50", NONE]);
        let told = row.to_json();
        assert!(told["programs"]["FFmpeg"]["median"].is_null());
        assert!(told["programs"]["FFmpeg"]["ratio"].is_null());
        assert_eq!(row.verdict(), RowVerdict::Reached);
    }

    #[test]
    fn a_target_is_reached_within_the_tolerance_and_by_steady_runs() {
        let verdict = |ours: &[f64]| row(ours, 2.0, 0.5).verdict();
        assert_eq!(verdict(&[1.0, 1.02, 1.04]), RowVerdict::Reached);
        assert_eq!(verdict(&[1.06, 1.06, 1.06]), RowVerdict::Missed);
        assert_eq!(verdict(&[0.8, 1.0, 1.2]), RowVerdict::Unsteady);
        assert_eq!(row(&[], 2.0, 0.5).verdict(), RowVerdict::Told);
    }
}
