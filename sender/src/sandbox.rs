//! The files that a stream needs.

use framegram_cli::sandbox::{Files, Sandbox};

use crate::args::Options;
use crate::source::{self, Row, Spec};

/// Restricts the calling thread, and all threads that it starts, to what these
/// options require.
pub(crate) fn enter(options: &Options) -> Sandbox {
    if options.no_sandbox {
        return Sandbox::off();
    }
    let outputs = options.report.iter().chain(&options.sdp);
    let outputs = outputs.chain(&options.impair_log);
    let files = outputs.fold(Files::default(), |files, path| files.write(path));
    let keys = options.key.key_file.iter();
    let keys = keys.chain(&options.key.passphrase_file);
    let files = keys.fold(files, |files, path| files.read_alone(path));
    let mut files = match &options.source {
        source if source::needs_opencv(source) => files,
        Spec::Path(path) => match Row::of(path) {
            Some(row) => files.read(row.folder()),
            None => files.read(path),
        },
        Spec::Url(_) | Spec::Pattern { .. } | Spec::Stdin => files,
        Spec::Camera(_) | Spec::CameraNamed(_) => files,
    };
    files.has_cameras = source::needs_opencv(&options.source);
    files.has_window = options.preview;
    Sandbox::enter(&files)
}
