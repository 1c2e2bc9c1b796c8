//! Multiple errors at the end of a program, and thresholds that were crossed.

use std::io;

use thiserror::Error;

use crate::pipe::{self, ReaderGone};

/// Two or more errors.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(line).collect::<Vec<_>>().join("; "))]
struct Failures(Vec<anyhow::Error>);

/// Thresholds that were crossed, one line each.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("--fail-if {}", .0.join("; --fail-if "))]
pub struct Failed(pub Vec<String>);

/// Combines errors, each once. A closed standard output is ignored if there are
/// other errors.
///
/// # Errors
/// The only error unchanged, or several as one.
pub fn all_of(outcomes: impl IntoIterator<Item = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut failures: Vec<anyhow::Error> = Vec::new();
    for error in outcomes.into_iter().filter_map(Result::err) {
        let several = match error.downcast::<Failures>() {
            Ok(Failures(several)) => several,
            Err(one) => vec![one],
        };
        for error in several {
            if failures.iter().all(|known| line(known) != line(&error)) {
                failures.push(error);
            }
        }
    }
    if !failures.iter().all(is_reader_gone) {
        failures.retain(|error| !is_reader_gone(error));
    }
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => Err(Failures(failures).into()),
    }
}

/// The errors, one line each.
pub fn lines(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Failures>() {
        Some(Failures(several)) => several.iter().map(line).collect(),
        None => vec![line(error)],
    }
}

/// Whether the only problem is that nobody reads standard output any more. That
/// is no failure.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    if let Some(Failures(several)) = error.downcast_ref::<Failures>() {
        return several.iter().all(is_reader_gone);
    }
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        cause.is::<ReaderGone>() || io.is_some_and(pipe::is_reader_gone)
    })
}

fn line(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn gone() -> anyhow::Error {
        ReaderGone.into()
    }

    #[test]
    fn every_error_is_reported_once() {
        let inner = all_of([Err(anyhow!("no report")), Ok(()), Err(anyhow!("no log"))]);
        let all = all_of([Err(anyhow!("no log")), inner, Err(gone())]).unwrap_err();
        assert_eq!(lines(&all), ["no log", "no report"]);
        assert!(!is_reader_gone(&all));
        assert!(all_of([Ok(()), Ok(())]).is_ok());
    }

    #[test]
    fn one_failure_stays_what_it_is() {
        let failed = || Err(Failed(Vec::new()).into());
        assert!(all_of([Ok(()), failed()]).unwrap_err().is::<Failed>());
        assert!(all_of([Err(gone()), failed()]).unwrap_err().is::<Failed>());
        let other = all_of([Err(anyhow!("no log")), failed()]).unwrap_err();
        assert!(!other.is::<Failed>());
        assert!(is_reader_gone(&all_of([Err(gone()), Ok(())]).unwrap_err()));
    }
}
