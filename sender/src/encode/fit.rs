//! Finds the quality and scale at which a frame fits into a number of bytes: quality first, then
//! scale. It takes few tries, since it remembers what fitted for the next frame.
//!
//! [`Fit`] is the memory, [`QualitySearch`] the tries of one frame.

/// The scales that are tried, in 64ths of a side: about two thirds of the area at first, then
/// quickly down to where anything fits.
const SCALES: [usize; 10] = [64, 48, 36, 26, 18, 12, 8, 4, 2, 1];

/// Tries for one frame before the best one that fits is taken.
const ENOUGH_TRIES: u32 = 5;

/// Tries at one scale before the lowest quality shows whether it fits at all.
const TRIES_A_SCALE: u32 = 3;

/// A frame this full, in percent of the limit, is good enough.
const FULL_ENOUGH: usize = 88;

/// Target of a guess, in percent of the limit.
const AIM: usize = 95;

/// Bytes of a JPEG that do not depend on quality: markers and tables.
const OVERHEAD: f64 = 600.0;

/// The exponent with which a JPEG's bytes shrink as the quantization step grows, in camera
/// pictures. It affects only the guesses, not the results.
const SHRINK: f64 = 0.75;

/// Frames in a row that must allow a better quality before it is raised, if quality is to be
/// steady.
const PATIENCE: u32 = 15;

/// The same where the limit has grown since the quality was chosen, by one part in [`GROWN`], and
/// exceeds what the picture needed then by one part in [`ROOM`]: then it is the path that allows
/// better, not a picture that is easy for a moment.
const PATIENCE_GROWN: u32 = 2;
const GROWN: usize = 16;
const ROOM: usize = 8;

/// Quality and scale of the last frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    limit: usize,
    /// The limit for which quality and scale were chosen.
    chosen_for: usize,
    /// The limit that the picture needed then; `None` before its length is seen.
    needed: Option<usize>,
    asked: u8,
    /// Below this quality, the picture is scaled down.
    lowest: u8,
    start: Try,
    patience: u32,
    /// Frames in a row that allowed better, and the least that they allowed.
    calm: u32,
    better: Option<Try>,
    /// For a source's own JPEGs: whether the last one was too long, and how many in a row were
    /// short since then.
    own_too_long: bool,
    own_calm: u32,
}

/// One encoding to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    /// JPEG quality, 1 to 100.
    pub(super) quality: u8,
    step: usize,
}

impl Try {
    /// A side of the picture at this scale, at least one pixel.
    pub(super) fn side(self, side: usize) -> usize {
        (side * SCALES[self.step] / SCALES[0]).max(1)
    }

    pub(super) fn is_scaled(self) -> bool {
        self.step > 0
    }
}

/// What to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FitVerdict {
    /// Try this.
    Next(Try),
    /// The best that fitted is good enough.
    Done,
    /// Nothing fits.
    Hopeless,
}

/// The tries of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct QualitySearch {
    limit: usize,
    asked: u8,
    lowest: u8,
    began: Try,
    current: Try,
    fitted: Option<(Try, usize)>,
    too_large: Option<u8>,
    tries: u32,
    tries_here: u32,
}

impl Fit {
    /// For frames of at most `limit` bytes, with quality `asked` if that fits. Pictures are scaled
    /// down below the `lowest` quality.
    pub(super) fn new(limit: usize, asked: u8, lowest: u8) -> Self {
        Self {
            limit,
            chosen_for: limit,
            needed: None,
            asked,
            lowest,
            start: Try {
                quality: asked,
                step: 0,
            },
            patience: 0,
            calm: 0,
            better: None,
            own_too_long: false,
            own_calm: 0,
        }
    }

    /// Delays improvements from now on, so that the quality of consecutive frames does not pump.
    pub(super) fn keep_steady(&mut self) {
        self.patience = PATIENCE;
    }

    /// Limits frames to `limit` bytes from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        let had_grown = self.has_grown();
        self.limit = limit;
        if self.has_grown() && !had_grown {
            // What frames allowed so far was less.
            self.forget_better();
        }
    }

    /// Whether the limit came to leave room since quality and scale were chosen.
    fn has_grown(&self) -> bool {
        let above = |limit: usize, part: usize| self.limit > limit + limit / part;
        above(self.chosen_for, GROWN) && self.needed.is_none_or(|needed| above(needed, ROOM))
    }

    fn forget_better(&mut self) {
        self.calm = 0;
        self.better = None;
    }

    /// Whether a source's own JPEG of this many bytes can be sent unchanged.
    pub(super) fn passes(&mut self, len: usize) -> bool {
        if len > self.limit {
            self.own_too_long = true;
            self.own_calm = 0;
            return false;
        }
        if self.own_too_long && percent(len, self.limit) < FULL_ENOUGH {
            self.own_calm += 1;
        }
        if self.patience == 0 || self.own_calm > self.patience {
            self.own_too_long = false;
        }
        !self.own_too_long
    }

    /// Whether [`passes`](Self::passes) is `true`, and asking it would change nothing.
    pub(super) fn surely_passes(&self, len: usize) -> bool {
        len <= self.limit && !self.own_too_long
    }

    /// Begins a frame.
    pub(super) fn search(&self) -> QualitySearch {
        QualitySearch {
            limit: self.limit,
            asked: self.asked,
            lowest: self.lowest,
            began: self.start,
            current: self.start,
            fitted: None,
            too_large: None,
            tries: 0,
            tries_here: 0,
        }
    }

    /// Remembers the result of a frame as the start of the next search.
    pub(super) fn remember(&mut self, search: &QualitySearch) {
        let Some((fitted, size)) = search.fitted else {
            return;
        };
        if fitted == search.began && self.start != search.began {
            // Another encoder has newer results.
            return;
        }
        if fitted != self.start {
            (self.chosen_for, self.needed) = (search.limit, None);
            self.forget_better();
        }
        self.start = fitted;
        self.needed.get_or_insert(size * 100 / AIM);
        if percent(size, self.limit) >= FULL_ENOUGH {
            self.forget_better();
            return;
        }
        let allowed = self.allowed(fitted, size);
        let worse = |better: &Try| (better.step, allowed.quality) < (allowed.step, better.quality);
        let better = self
            .better
            .filter(|better| !worse(better))
            .unwrap_or(allowed);
        self.calm += 1;
        let patience = if self.has_grown() {
            self.patience.min(PATIENCE_GROWN)
        } else {
            self.patience
        };
        if self.calm > patience {
            self.start = better;
            (self.chosen_for, self.needed) = (self.limit, None);
            self.forget_better();
        } else {
            self.better = Some(better);
        }
    }

    /// The best quality and scale at which a frame that takes `size` bytes would have fitted.
    fn allowed(&self, fitted: Try, size: usize) -> Try {
        let better = guess(fitted.quality, size, self.limit);
        let quality = better.clamp(fitted.quality, self.asked);
        if let Some(larger) = fitted.step.checked_sub(1) {
            let area = (SCALES[larger] as f64 / SCALES[fitted.step] as f64).powi(2);
            let larger_size = (size as f64 * area) as usize;
            let quality = guess(fitted.quality, larger_size, self.limit);
            if quality >= self.asked.min(self.lowest.saturating_add(10)) {
                return Try {
                    quality: quality.min(self.asked),
                    step: larger,
                };
            }
        }
        Try { quality, ..fitted }
    }
}

impl QualitySearch {
    /// The limit of this frame in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// What to encode now.
    pub(super) fn current(&self) -> Try {
        self.current
    }

    /// Records that the current try made `size` bytes. A try that fits is the best so far.
    pub(super) fn judge(&mut self, size: usize) -> FitVerdict {
        self.tries += 1;
        self.tries_here += 1;
        if size <= self.limit {
            self.fitted = Some((self.current, size));
            self.after_fit(size)
        } else {
            self.after_too_large(size)
        }
    }

    fn after_fit(&mut self, size: usize) -> FitVerdict {
        let quality = self.current.quality;
        let Some(too_large) = self.too_large else {
            // A first guess that fits is accepted; the next frame begins higher.
            return FitVerdict::Done;
        };
        if percent(size, self.limit) >= FULL_ENOUGH
            || self.tries >= ENOUGH_TRIES
            || quality + 1 >= too_large
        {
            return FitVerdict::Done;
        }
        let quality = guess(quality, size, self.limit).clamp(quality + 1, too_large - 1);
        self.next(quality)
    }

    fn after_too_large(&mut self, size: usize) -> FitVerdict {
        let quality = self.current.quality;
        self.too_large = Some(quality);
        let lowest = self.lowest_quality();
        if let Some((fitted, _)) = self.fitted {
            if self.tries >= ENOUGH_TRIES || fitted.quality + 1 >= quality {
                return FitVerdict::Done;
            }
            let quality = guess(quality, size, self.limit).clamp(fitted.quality + 1, quality - 1);
            return self.next(quality);
        }
        if quality > lowest {
            let quality = if self.tries_here >= TRIES_A_SCALE {
                lowest
            } else {
                guess(quality, size, self.limit).clamp(lowest, quality - 1)
            };
            return self.next(quality);
        }
        self.shrink(size)
    }

    fn shrink(&mut self, size: usize) -> FitVerdict {
        let Some(smaller) = SCALES
            .get(self.current.step + 1..)
            .filter(|rest| !rest.is_empty())
        else {
            return FitVerdict::Hopeless;
        };
        let here = SCALES[self.current.step] as f64;
        let room = (self.limit as f64 - OVERHEAD).max(1.0) / (size as f64 - OVERHEAD).max(1.0);
        let side = here * room.sqrt();
        let step = smaller
            .iter()
            .position(|&scale| scale as f64 <= side)
            .unwrap_or(smaller.len() - 1);
        self.current.step += 1 + step;
        self.too_large = None;
        self.tries_here = 0;
        let lowest = self.lowest_quality();
        self.next(lowest)
    }

    /// At the smallest scale, only quality can be lowered further.
    fn lowest_quality(&self) -> u8 {
        if self.current.step + 1 == SCALES.len() {
            1
        } else {
            self.lowest.min(self.asked)
        }
    }

    fn next(&mut self, quality: u8) -> FitVerdict {
        self.current.quality = quality;
        FitVerdict::Next(self.current)
    }
}

/// The quality at which a frame with `size` bytes at `quality` should just fit.
fn guess(quality: u8, size: usize, limit: usize) -> u8 {
    let aim = (limit * AIM / 100) as f64;
    let ratio = (size as f64 - OVERHEAD).max(1.0) / (aim - OVERHEAD).max(1.0);
    let step = quantisation(quality) * ratio.powf(1.0 / SHRINK);
    let quality = if step >= 100.0 {
        5000.0 / step
    } else {
        (200.0 - step) / 2.0
    };
    quality.clamp(1.0, 100.0) as u8
}

/// The scale of libjpeg's quantization steps at a quality, in percent.
fn quantisation(quality: u8) -> f64 {
    let quality = f64::from(quality);
    if quality < 50.0 {
        5000.0 / quality
    } else {
        // At 100 all steps are 1, about as at a scale of 2 %.
        (200.0 - 2.0 * quality).max(2.0)
    }
}

fn percent(part: usize, total: usize) -> usize {
    part * 100 / total.max(1)
}

#[cfg(test)]
mod tests;
