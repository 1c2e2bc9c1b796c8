//! `framegram-view`: receives video frames from UDP datagrams and shows them.

use std::process::ExitCode;

use clap::Parser;
use framegram_cli::exit;
use framegram_view::args::Args;

fn main() -> ExitCode {
    let args = Args::try_parse().and_then(Args::check);
    exit::main("framegram-view", args, framegram_view::run)
}
