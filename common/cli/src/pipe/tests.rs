use std::io::Read;
use std::os::fd::OwnedFd;

use super::*;

fn piped(is_standard: bool) -> (io::PipeReader, Pipe, Stop) {
    let (reader, writer) = io::pipe().unwrap();
    let stop = Stop::new();
    let file = File::from(OwnedFd::from(writer));
    let pipe = Pipe::spawn(&Threads::new(&stop), is_standard, || Ok(file)).unwrap();
    (reader, pipe, stop)
}

#[test]
fn a_wide_pipe_holds_more_without_a_reader() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    widen(&writer);
    // Would block in any other pipe.
    writer.write_all(&vec![1; PIPE_BYTES as usize]).unwrap();
    drop(writer);
    let mut all = Vec::new();
    assert_eq!(reader.read_to_end(&mut all).unwrap(), PIPE_BYTES as usize);
    widen(File::open("/dev/null").unwrap());
}

#[test]
fn a_reader_gets_all() {
    let (mut reader, pipe, stop) = piped(false);
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    for byte in 0..4 {
        assert!(pipe.put(vec![byte; MAX_WAITING / 2], None).unwrap());
    }
    // A reader that reads gets the rest even after a signal.
    stop.stop();
    pipe.finish().unwrap();
    drop(pipe);
    assert_eq!(reading.join().unwrap().len(), 2 * MAX_WAITING);
}

#[test]
fn the_memory_of_what_was_written_is_used_again() {
    let (mut reader, pipe, _) = piped(false);
    let item = vec![1; 10];
    let address = item.as_ptr();
    assert!(pipe.buffer().is_empty());
    pipe.put(item, None).unwrap();
    pipe.finish().unwrap();
    let buffer = pipe.buffer();
    assert!(pipe.buffer().is_empty());
    assert_eq!((buffer.as_ptr(), buffer), (address, vec![1; 10]));
    let mut read = [0; 10];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(read, [1; 10]);
}

#[test]
fn a_reader_that_stalls_blocks_nobody() {
    let (reader, pipe, stop) = piped(false);
    let half = || vec![0; MAX_WAITING / 2];
    let taken = |patience| pipe.put(half(), patience).unwrap();
    assert!(taken(None));
    // The first item is being written, so the next two wait, and the fourth
    // has no room.
    pipe.wait_until(None, |state| state.writing);
    assert!(taken(Some(Duration::ZERO)) && taken(Some(Duration::ZERO)));
    assert!(!taken(Some(Duration::from_millis(1))));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| stop.stop());
        assert!(!taken(None));
    });
    let error = pipe.finish().unwrap_err().to_string();
    assert_eq!(error, "nobody reads what is written to it");
    assert!(begun.elapsed() < 20 * ENDING);
    drop(reader);
}

#[test]
fn a_pipe_without_a_deadline_can_still_be_read() {
    let (mut reader, pipe, _) = piped(false);
    assert!(pipe.put(vec![7; 1 << 20], None).unwrap());
    assert!(pipe.finish_soon().is_err());
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    pipe.finish_soon().unwrap();
    drop(pipe);
    assert_eq!(reading.join().unwrap().len(), 1 << 20);
}

#[test]
fn a_closed_pipe_is_a_success_only_for_standard_output() {
    for is_standard in [true, false] {
        let (reader, pipe, _) = piped(is_standard);
        drop(reader);
        pipe.put(vec![1], None).unwrap();
        let error = pipe.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(is_reader_gone(&error), is_standard);
    }
}

#[test]
fn an_unopenable_trace_is_reported_at_the_start_and_a_full_disk_at_the_end() {
    let threads = Threads::new(&Stop::new());
    assert!(
        Pipe::to(Path::new("/no/such/file"), &threads)
            .unwrap()
            .is_none()
    );
    // A folder exists but is not a regular file.
    assert!(Pipe::to(Path::new("/"), &threads).is_err());
    let full = Pipe::to(Path::new("/dev/full"), &threads).unwrap().unwrap();
    full.put(vec![1], None).unwrap();
    let error = full.finish().unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
}
