//! Writes the generated files: `docs/report.md` from the structs, `docs/cli.md` from the command
//! lines, and man pages and shell completions to the given folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_complete::{Shell, generate_to};
use framegram_tools::{cli_page, programs, report_page};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, text) in [
        ("docs/cli.md", cli_page()),
        ("docs/report.md", report_page(&root)?),
    ] {
        let page = root.join(name);
        fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
    }
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| root.join("target/docs"), PathBuf::from);
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)
        .with_context(|| format!("cannot make {}", completions.display()))?;
    for mut program in programs() {
        let name = program.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut program, &name, &completions)?;
        }
        clap_mangen::generate_to(program, &folder)?;
    }
    Ok(())
}
