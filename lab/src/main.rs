//! `framegram-lab`: what belongs to measuring and needs no network.

use std::process::ExitCode;

use clap::Parser;
use framegram_cli::exit::{complain, is_reader_gone, misused};
use framegram_lab::args::{Args, Command};
use framegram_lab::{check, replay};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misused(NAME, &error),
    };
    if let Some(conflict) = args.conflict() {
        return misused(NAME, &conflict);
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(NAME, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Check {
            report,
            logs,
            quiet,
        } => check::run(report, logs, *quiet),
        Command::WhatIf(args) => replay::run(args),
    }
}

const NAME: &str = "framegram-lab";
