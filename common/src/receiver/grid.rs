//! Which sources have a tile when all streams are shown side by side.

use std::time::Duration;

use super::Receiver;
use super::session::Session;
use super::tile::Tile;
use crate::prefix::{SourcePrefix, crowds};

/// Upper bound on tiles: nobody watches more.
pub const MAX_TILES: usize = 64;

/// Upper bound on tiles for one address. A machine may have many cameras, and the rest is for other
/// machines.
pub const MAX_TILES_OF_ONE_ADDRESS: usize = MAX_TILES / 4 * 3;

/// When all tiles are taken, a source that is silent for this long loses its tile. A source that
/// was there for a shorter time loses it after that time.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The least such silence: a sender that has just begun may be held up.
const MIN_FORGOTTEN: Duration = Duration::from_millis(250);

impl Tile {
    fn prefix(&self) -> Option<SourcePrefix> {
        self.from().map(|from| SourcePrefix::of(from.ip()))
    }

    /// Whether another source may have it.
    fn is_forgotten(&self, now: Duration) -> bool {
        let last_received = self.last_received().unwrap_or(self.begun);
        let there = last_received.saturating_sub(self.begun);
        let patience = there.clamp(MIN_FORGOTTEN, FORGOTTEN);
        now.saturating_sub(last_received) >= patience
    }
}

impl Receiver {
    /// Whether there is a free tile for a source with this prefix.
    pub(super) fn has_room(&self, prefix: SourcePrefix) -> bool {
        self.tiles.len() < MAX_TILES && !self.is_crowded(prefix)
    }

    /// Makes a tile for a session that began at `begun`: a free one, or that of another source if
    /// the session has frames. `None` if there is none.
    pub(super) fn make_tile(
        &mut self,
        session: &Session,
        begun: Duration,
        now: Duration,
    ) -> Option<usize> {
        let prefix = SourcePrefix::of(session.from().ip());
        let tile = Tile::new(begun, self.started);
        if self.has_room(prefix) {
            self.tiles.push(tile);
            return Some(self.tiles.len() - 1);
        }
        let displaced = session.has_frames().then(|| self.displaced(prefix, now));
        let displaced = displaced.flatten()?;
        self.tiles[displaced] = tile;
        Some(displaced)
    }

    fn is_crowded(&self, prefix: SourcePrefix) -> bool {
        let own = |tile: &&Tile| tile.prefix() == Some(prefix);
        self.tiles.iter().filter(own).count() >= MAX_TILES_OF_ONE_ADDRESS
    }

    /// The tile that a source with frames may take over. First those without a frame, then
    /// forgotten ones, the longest silent first; otherwise the newest tile of a source prefix that
    /// has more than its share.
    fn displaced(&self, prefix: SourcePrefix, now: Duration) -> Option<usize> {
        let own = self.is_crowded(prefix);
        let tiles = || {
            let tiles = self.tiles.iter().enumerate();
            tiles.filter(move |(_, tile)| !own || tile.prefix() == Some(prefix))
        };
        let silence = |tile: &Tile| now.saturating_sub(tile.last_received().unwrap_or_default());
        let useless = tiles().filter(|(_, tile)| !tile.has_frames() || tile.is_forgotten(now));
        let useless = useless.max_by_key(|(_, tile)| (!tile.has_frames(), silence(tile)));
        if let Some((index, _)) = useless {
            return Some(index);
        }
        let crowds = crowds(self.tiles.iter().filter_map(Tile::prefix), prefix);
        tiles()
            .filter(|(_, tile)| tile.prefix().is_some_and(|prefix| crowds.contains(&prefix)))
            .max_by_key(|(_, tile)| tile.begun)
            .map(|(index, _)| index)
    }
}
