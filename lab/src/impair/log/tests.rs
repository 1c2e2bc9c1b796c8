use std::io;

use proptest::prelude::*;

use super::*;
use crate::impair::Impairment;

fn row(act: Act) -> LogRow {
    LogRow {
        time: Duration::from_nanos(8_150_020_117_250),
        name: Some(PacketName {
            stream: 0xf3,
            destination: 2,
            channel: Channel::Media,
            number: 17,
            place: Some(LoggedChunk {
                frame: 3,
                chunk: 4,
                chunks: 8,
            }),
        }),
        bytes: 1452,
        copy: 1,
        act,
        delay: Some(Duration::from_nanos(20_000_001)),
    }
}

#[test]
fn a_row_matches_the_documentation() {
    let text = "8150.020117250,00000000000000f3,2,media,17,3,4,8,1452,1,delivered,20.000001";
    assert_eq!(row(Act::Delivered).to_string(), text);
    let unknown = LogRow {
        name: None,
        copy: 0,
        delay: None,
        ..row(Act::Lost)
    };
    assert_eq!(unknown.to_string(), "8150.020117250,,,,,,,,1452,0,lost,");
    assert_eq!(text.split(',').count(), HEADER.split(',').count());
}

#[test]
fn a_log_begins_and_ends_as_such() {
    let mut out = Vec::new();
    let impairment = "loss=5%,seed=7".parse().unwrap();
    let mut log = Log::new(&mut out, Side::Viewer, &impairment);
    log.write(&row(Act::Delivered));
    let _ = log.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        "# framegram impairment log, version 1, viewer, loss=5%,seed=7"
    );
    assert_eq!((lines[1], lines[3]), (HEADER, "# end, 1 rows"));
}

#[test]
fn an_early_error_is_reported_at_the_end() {
    #[derive(Debug)]
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut log = Log::new(Full(300), Side::Sender, &Impairment::default());
    for _ in 0..10 {
        log.write(&row(Act::Lost));
    }
    let error = log.finish().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

prop_compose! {
    fn any_row()(
        time: u64,
        name in prop::option::of((any::<(u64, u16, u64)>(), 0..3_usize, any::<Option<(u32, u16, u16)>>())),
        bytes: u32,
        copy: u8,
        act in 0..Act::NAMES.len(),
        delay: Option<u64>,
    ) -> LogRow {
        LogRow {
            time: Duration::from_nanos(time),
            name: name.map(|((stream, destination, number), channel, place)| PacketName {
                stream, destination, channel: Channel::ALL[channel], number,
                place: place.map(|(frame, chunk, chunks)| LoggedChunk { frame, chunk, chunks }),
            }),
            bytes,
            copy,
            act: Act::NAMES[act].0,
            delay: delay.map(Duration::from_nanos),
        }
    }
}

proptest! {
    #[test]
    fn written_values_are_read_back(row in any_row()) {
        prop_assert_eq!(row.to_string().parse(), Ok(row));
    }

    #[test]
    fn a_damaged_row_is_an_error_or_a_different_row(row in any_row(), at: prop::sample::Index, byte in 32..127_u8) {
        let mut text = row.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Ok(read) = text.parse::<LogRow>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,120}") {
        let _ = text.parse::<LogRow>();
    }
}
