//! The files that a run of the viewer needs.

use std::path::Path;

use framegram_cli::sandbox::{Files, Sandbox};

use crate::args::Args;

/// Restricts the calling thread, and all threads that it starts, to what these
/// arguments require.
pub(crate) fn enter(args: &Args) -> Sandbox {
    if args.no_sandbox {
        return Sandbox::off();
    }
    let outputs = args
        .report
        .iter()
        .chain(&args.trace)
        .chain(&args.impair_log);
    let outputs = outputs.chain(&args.output).chain(&args.snapshot);
    let files = outputs.fold(Files::default(), |files, path| files.write(path));
    let files = args.sdp.iter().fold(files, |files, path| files.read(path));
    let keys = args.key.key_file.iter().chain(&args.key.passphrase_file);
    let files = keys.fold(files, |files, path| files.read_alone(path));
    if args.headless {
        return Sandbox::enter(&files);
    }
    // The key s writes snapshots into the current folder, unless --snapshot names
    // another one.
    let mut files = files.write_new(Path::new(SNAPSHOT));
    files.has_window = true;
    Sandbox::enter(&files)
}

/// A file in the current folder.
const SNAPSHOT: &str = "framegram";
