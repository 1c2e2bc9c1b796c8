//! `framegram-lab`: measuring tools that need no network.

use std::process::ExitCode;

use clap::Parser;
use framegram_cli::exit;
use framegram_lab::args::{Args, LabCommand};
use framegram_lab::{analyze, check, replay};

fn main() -> ExitCode {
    let args = Args::try_parse().and_then(Args::check);
    exit::main("framegram-lab", args, |args| match &args.command {
        LabCommand::Analyze(args) => analyze::run(args),
        LabCommand::Check(args) => check::run(&args.report, &args.logs, args.quiet),
        LabCommand::WhatIf(args) => replay::run(args),
    })
}
