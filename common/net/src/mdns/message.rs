//! DNS messages (<https://www.rfc-editor.org/rfc/rfc1035#section-4>). The decoder
//! treats them as hostile; the encoder does not compress names.

use std::net::IpAddr;

pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const TXT: u16 = 16;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;
pub(super) const ANY: u16 = 255;

/// The class IN, and the cache-flush bit, which marks a record as the only one of
/// its name and type (<https://www.rfc-editor.org/rfc/rfc6762#section-10.2>).
const INTERNET: u16 = 1;
const UNIQUE: u16 = 0x8000;

/// Header flags: response, authoritative answer.
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;

/// Upper bound on the questions and records read from a message. A service has a
/// handful; a message of 9,000 bytes
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-17>) could have far more than
/// are useful.
const MAX_ENTRIES: usize = 256;

/// Upper bound on the compression pointers of a name: one for each label, and a
/// name has no more labels than this. It bounds the work for a chain of pointers
/// through a long message.
const MAX_JUMPS: usize = 127;

/// Upper bound on the length of a name in bytes
/// (<https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>).
const MAX_NAME_BYTES: usize = 255;

/// A name in wire format, uncompressed.
#[derive(Clone, Debug)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// A name from labels of 1 to 63 bytes.
    pub(super) fn of(labels: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for label in labels {
            debug_assert!((1..=super::MAX_NAME).contains(&label.len()));
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first label, if it is text and the remaining labels are `others`.
    pub(super) fn label_before(&self, others: &[&str]) -> Option<&str> {
        let len = usize::from(*self.0.first()?);
        let (label, rest) = self.0.get(1..)?.split_at_checked(len)?;
        let same = Self(rest.to_vec()) == Self::of(others);
        std::str::from_utf8(label).ok().filter(|_| same)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // Length bytes are below all letters, so they compare exactly.
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: u16,
}

/// A resource record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    /// Time to live in seconds; 0 withdraws the record.
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// The data of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Data {
    Pointer(Name),
    /// Port and host of a service.
    Service(u16, Name),
    Address(IpAddr),
    Text(Vec<u8>),
    Other,
}

/// A decoded message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) is_response: bool,
    pub(super) questions: Vec<Question>,
    /// Records of all sections.
    pub(super) records: Vec<Record>,
}

impl Message {
    /// Decodes a message. `None` if it is invalid or truncated.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = MessageReader { bytes, at: 2 };
        let flags = reader.u16()?;
        let [questions, answers, authorities, additional] =
            [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
        let records = answers + authorities + additional;
        if questions + records > MAX_ENTRIES {
            return None;
        }
        let mut message = Self {
            is_response: flags & RESPONSE != 0,
            ..Self::default()
        };
        for _ in 0..questions {
            let name = reader.name()?;
            let (kind, _class) = (reader.u16()?, reader.u16()?);
            message.questions.push(Question { name, kind });
        }
        for _ in 0..records {
            message.records.push(reader.record()?);
        }
        Some(message)
    }

    /// Encodes a query, or a response if there are no questions. The records are
    /// answers; in a query they are the claims that it is probing for.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        let flags = if self.is_response {
            RESPONSE | AUTHORITATIVE
        } else {
            0
        };
        let (answers, claims) = if self.is_response {
            (self.records.len(), 0)
        } else {
            (0, self.records.len())
        };
        let counts = [self.questions.len(), answers, claims, 0].map(|count| count as u16);
        for field in [0, flags].into_iter().chain(counts) {
            out.extend(field.to_be_bytes());
        }
        for question in &self.questions {
            out.extend(&question.name.0);
            out.extend(question.kind.to_be_bytes());
            out.extend(INTERNET.to_be_bytes());
        }
        for record in &self.records {
            record.encode(self.is_response, out);
        }
    }
}

impl Record {
    fn encode(&self, is_response: bool, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let (kind, shared) = match &self.data {
            Data::Pointer(to) => {
                data.extend(&to.0);
                (PTR, true)
            }
            Data::Service(port, host) => {
                // Priority and weight are 0.
                data.extend([0; 4]);
                data.extend(port.to_be_bytes());
                data.extend(&host.0);
                (SRV, false)
            }
            Data::Address(IpAddr::V4(v4)) => {
                data.extend(v4.octets());
                (A, false)
            }
            Data::Address(IpAddr::V6(v6)) => {
                data.extend(v6.octets());
                (AAAA, false)
            }
            Data::Text(text) => {
                data.extend(text);
                (TXT, false)
            }
            Data::Other => return,
        };
        let unique = if is_response && !shared { UNIQUE } else { 0 };
        out.extend(&self.name.0);
        out.extend(kind.to_be_bytes());
        out.extend((INTERNET | unique).to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
}

struct MessageReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl MessageReader<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Reads a name. Each compression pointer must lead to an earlier position
    /// than the one before, so that reading ends.
    fn name(&mut self) -> Option<Name> {
        let mut name = Vec::new();
        let mut behind = None;
        let mut earliest = self.at;
        let mut jumps = 0;
        loop {
            let len = self.u8()?;
            match len {
                0 => break,
                1..=63 => {
                    name.push(len);
                    let label = self.take(len.into())?;
                    name.extend(label);
                }
                0xc0.. => {
                    let to = usize::from(len & 0x3f) << 8 | usize::from(self.u8()?);
                    jumps += 1;
                    if to >= earliest || jumps > MAX_JUMPS {
                        return None;
                    }
                    earliest = to;
                    behind = behind.or(Some(self.at));
                    self.at = to;
                }
                _ => return None,
            }
            if name.len() >= MAX_NAME_BYTES {
                return None;
            }
        }
        name.push(0);
        self.at = behind.unwrap_or(self.at);
        Some(Name(name))
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, _class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let len = usize::from(self.u16()?);
        let end = self.at.checked_add(len)?;
        if end > self.bytes.len() {
            return None;
        }
        let data = match (kind, len) {
            (PTR, _) => Data::Pointer(self.name()?),
            (SRV, _) => {
                self.take(4)?;
                Data::Service(self.u16()?, self.name()?)
            }
            (A, 4) => Data::Address(self.u32()?.to_be_bytes().into()),
            (AAAA, 16) => {
                let octets: [u8; 16] = self.take(16)?.try_into().ok()?;
                Data::Address(octets.into())
            }
            (TXT, _) => Data::Text(self.take(len)?.to_vec()),
            _ => Data::Other,
        };
        if self.at > end {
            return None;
        }
        self.at = end;
        Some(Record { name, ttl, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> Message {
        let host = Name::of(&["host", "local"]);
        let name = Name::of(&["Küche 2", "_framegram", "_udp", "local"]);
        let record = |data| Record {
            name: name.clone(),
            ttl: 120,
            data,
        };
        Message {
            is_response: true,
            questions: Vec::new(),
            records: vec![
                record(Data::Pointer(host.clone())),
                record(Data::Service(5005, host)),
                record(Data::Address([192, 0, 2, 1].into())),
                record(Data::Address("2001:db8::1".parse().unwrap())),
                record(Data::Text(b"\x09txtvers=1".to_vec())),
            ],
        }
    }

    #[test]
    fn written_entries_are_read_back() {
        let (message, mut bytes) = (message(), Vec::new());
        message.encode(&mut bytes);
        let read = Message::decode(&bytes).unwrap();
        assert!(read.is_response && read.questions.is_empty());
        for (read, written) in read.records.iter().zip(&message.records) {
            assert_eq!(read.name, written.name);
            assert_eq!((read.ttl, &read.data), (written.ttl, &written.data));
        }
        assert_eq!(read.records.len(), message.records.len());
        for len in 0..bytes.len() {
            assert!(Message::decode(&bytes[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn only_backward_compression_pointers_are_followed() {
        let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question = |name: &[u8]| [&header[..], name, &[0, 12, 0, 1]].concat();
        // The end of the header has no "local"; a pointer to itself; a pointer
        // ahead.
        for name in [
            &[0xc0, 12][..],
            &[0xc0, 20],
            &[0xc0, 14, 0xc0, 12],
            &[0x40, 1],
        ] {
            assert!(Message::decode(&question(name)).is_none(), "{name:?}");
        }
        let mut twice = header;
        twice[5] = 2;
        let bytes = [
            &twice[..],
            b"\x05local\0\0\x0c\0\x01",
            b"\x04HOST\xc0\x0c\0\x0c\0\x01",
        ]
        .concat();
        let read = Message::decode(&bytes).unwrap();
        assert_eq!(read.questions[1].name, Name::of(&["host", "local"]));
        assert_eq!(
            read.questions[1].name.label_before(&["LOCAL"]),
            Some("HOST")
        );
    }

    #[test]
    fn a_chain_of_pointers_through_a_message_is_not_followed() {
        // Text in which each pair of bytes points to the pair before it, and the
        // first one to an empty name. The name of the record after it begins at
        // the last pair.
        let chain = |steps: u16| {
            let step = |step| 0xc000 | (22 + 2 * step + u16::from(step == 0));
            let text: Vec<_> = (0..steps).flat_map(|at| step(at).to_be_bytes()).collect();
            let len = u16::try_from(1 + text.len()).unwrap().to_be_bytes();
            [
                &[0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0][..],
                &[0, 0, 16, 0, 1, 0, 0, 0, 1],
                &len,
                &[0],
                &text,
                &step(steps).to_be_bytes(),
                &[0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 1],
            ]
            .concat()
        };
        assert!(Message::decode(&chain(100)).is_some());
        assert!(Message::decode(&chain(4_000)).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(read) = Message::decode(&bytes) {
                let all = read.questions.len() + read.records.len();
                prop_assert!(all <= MAX_ENTRIES);
            }
        }

        #[test]
        fn a_damaged_message_does_not_panic(at in 0_usize..300, to in any::<u8>()) {
            let mut bytes = Vec::new();
            message().encode(&mut bytes);
            let at = at % bytes.len();
            bytes[at] = to;
            if let Some(read) = Message::decode(&bytes) {
                let longest = read.records.iter().map(|record| record.name.0.len()).max();
                prop_assert!(longest.unwrap_or(0) <= MAX_NAME_BYTES);
            }
        }
    }
}
