//! Chunks, frame headers, parity and tables.

use super::examples::inner_chunk;
use super::*;

#[test]
fn the_count_of_chunks_follows_from_length_and_size() {
    let count = |len, size| {
        let header = chunk().header.unwrap();
        FrameHeader {
            len,
            size,
            ..header
        }
        .count()
    };
    assert_eq!((count(24, 12), count(25, 12), count(1, 12)), (2, 3, 1));
}

#[test]
fn parity_and_tables_are_taken_to_the_edges_of_their_bounds_and_no_further() {
    let refused = |packet: &Packet<'_>| match Packet::decode(&encoded(packet)) {
        Ok((_, decoded)) => {
            assert_eq!(&decoded, packet);
            None
        }
        Err(WireError::Range { field, .. }) => Some(field),
        Err(other) => panic!("{other}"),
    };
    let parity = |counts: &[u16], shards: u16, shard: usize| {
        refused(&Packet::Parity(Parity {
            block: 1,
            first: FrameSeq::new(0),
            counts: counts.to_vec(),
            shards,
            index: 0,
            shard: &[0x5a; 64][..shard],
        }))
    };
    let most = MAX_CHUNKS as u16;
    assert_eq!(parity(&[1; MAX_BLOCK_FRAMES], most, SHARD_BODY), None);
    assert_eq!(parity(&[most], 1, SHARD_BODY + 2), None);
    let too_many = [1; MAX_BLOCK_FRAMES + 1];
    assert_eq!(parity(&too_many, 1, 32), Some("frames of a block"));
    assert_eq!(parity(&[], 1, 32), Some("frames of a block"));
    assert_eq!(parity(&[1], 0, 32), Some("shards of a code"));
    assert_eq!(parity(&[1], most + 1, 32), Some("shards of a code"));
    assert_eq!(parity(&[1], 1, SHARD_BODY - 2), Some("shard size"));
    assert_eq!(parity(&[1], 1, SHARD_BODY + 1), Some("shard size"));
    assert_eq!(parity(&[1, 0], 1, 32), Some("chunks of a block"));
    assert_eq!(parity(&[most, 1], 1, 32), Some("chunks of a block"));
    let block = Parity {
        block: 1,
        first: FrameSeq::new(0),
        counts: vec![3, 4],
        shards: 1,
        index: 0,
        shard: &[],
    };
    assert_eq!(block.chunks(), 7);
    let tables = |quality, part, parts| {
        refused(&Packet::Tables(Tables {
            set: 1,
            quality,
            part,
            parts,
            header: b"header",
        }))
    };
    assert_eq!(tables(Some(100), 15, MAX_TABLES_PARTS), None);
    assert_eq!(tables(None, 2, 3), None);
    assert_eq!(tables(Some(101), 0, 1), Some("quality"));
}

#[test]
fn refuses_chunks_that_contradict_themselves() {
    let refused = |chunk: &Chunk<'static>, field: &str| {
        let mut body = Vec::new();
        chunk.encode(&mut body);
        match Chunk::decode(&body) {
            Err(WireError::Range { field: got, .. }) => assert_eq!(got, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    let with = |change: fn(&mut FrameHeader)| {
        let mut chunk = chunk();
        chunk.header.as_mut().map(change);
        chunk
    };
    refused(&with(|header| header.len = 0), "frame length");
    refused(&with(|header| header.len = u32::MAX), "frame length");
    refused(&with(|header| header.size = 0), "chunk size");
    refused(&with(|header| header.len = 19), "chunk data");
    // Its length is that of three chunks.
    refused(&with(|header| header.len = 30), "chunk size");
    let beyond = Chunk {
        index: 3,
        ..inner_chunk()
    };
    refused(&beyond, "chunk index");
    let empty = Chunk {
        data: b"",
        ..inner_chunk()
    };
    refused(&empty, "chunk data");
    let data = &[0; 1_400];
    let of = |count| Chunk {
        count,
        data,
        ..inner_chunk()
    };
    refused(&of(MAX_CHUNKS as u16), "chunk data");
    refused(&of(11_985), "chunk data");
    let mut body = Vec::new();
    of(11_984).encode(&mut body);
    assert_eq!(Chunk::decode(&body), Ok(of(11_984)));
}

#[test]
fn the_first_chunk_each_eighth_and_the_last_one_carry_the_frame_header() {
    let carrying = |count: u16| -> Vec<u16> {
        let chunk = |index| Chunk {
            index,
            count,
            ..inner_chunk()
        };
        (0..count).filter(|at| chunk(*at).has_header()).collect()
    };
    assert_eq!(carrying(1), [0]);
    assert_eq!(carrying(2), [0, 1]);
    assert_eq!(carrying(8), [0, 7]);
    assert_eq!(carrying(19), [0, 8, 16, 18]);
}

#[test]
fn a_slice_begins_behind_the_first_restart_marker() {
    assert_eq!(chunk().slice_start(), Some((4, 7)));
    let with = |restart_cycle, data| {
        Chunk {
            restart_cycle,
            data,
            ..inner_chunk()
        }
        .slice_start()
    };
    assert_eq!(with(Some(1), b"\xff\xd3 \xff\xd4"), Some((12, 2)));
    assert_eq!(with(Some(0), b"\xff\0\xff\xff\xd3"), Some((4, 5)));
    assert_eq!(with(Some(4_094), b"\xff\xd7"), Some((32_760, 2)));
    assert_eq!(with(Some(4), b"none"), None);
    assert_eq!(with(None, b"\xff\xd7"), None);
    let cycles = [0, 1, 8, 9, 32_760, 32_761].map(Chunk::cycle_before);
    let expected = [None, Some(0), Some(0), Some(1), Some(4_094), None];
    assert_eq!(cycles, expected);
}

#[test]
fn rebuilt_chunks_lose_their_padding_by_the_known_size() {
    let original = |chunk: &Chunk<'_>| {
        let mut original = Vec::new();
        chunk.encode_original(&mut original);
        original.resize(48, 0);
        original
    };
    let place = (FrameSeq::new(999), 1, 2);
    let last = original(&chunk());
    assert_eq!(Chunk::decode_original(place, None, &last), Ok(chunk()));
    let inner = original(&inner_chunk());
    let place = (FrameSeq::new(999), 1, 3);
    let decoded = |size| Chunk::decode_original(place, size, &inner);
    assert!(decoded(None).is_err() && decoded(Some(100)).is_err());
    assert_eq!(decoded(Some(12)), Ok(inner_chunk()));
}
