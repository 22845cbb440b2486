//! What the codecs unpack, and what they refuse. The numbers are those of the list of faults.

use super::{super::RecordsError, *};

const LIMIT: usize = 16 << 20;

fn unpack(codec: Codec, packed: &[u8]) -> Result<Vec<u8>, RecordsError> {
    unpack_within(LIMIT, codec, packed)
}

fn unpack_within(limit: usize, codec: Codec, packed: &[u8]) -> Result<Vec<u8>, RecordsError> {
    let mut decompressor = Decompressor::new(ChunkPool::new(4 << 20), limit);
    Ok(decompressor.decompress(codec, packed)?.filled().to_vec())
}

fn available() -> impl Iterator<Item = Codec> {
    [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd].into_iter().filter(|c| c.is_available())
}

/// Bytes that compress a little.
fn sample(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(i) >> 9) as u8 & 0x3f).collect()
}

fn is_corrupt(result: &Result<Vec<u8>, RecordsError>) -> bool {
    matches!(result, Err(RecordsError::Corrupt(_)))
}

#[test]
fn what_is_packed_is_unpacked_by_one_decompressor_again_and_again() {
    let mut decompressor = Decompressor::new(ChunkPool::new(4 << 20), LIMIT);
    for len in [1, 100, 32 << 10, 200_000, 3_000_000, 5] {
        for codec in available() {
            let plain = sample(len);
            let packed = compress(codec, &plain).unwrap();
            let chunk = decompressor.decompress(codec, &packed).unwrap();
            assert!(chunk.filled() == plain, "{codec} {len}");
        }
    }
}

#[test]
fn an_error_leaves_the_decompressor_fit_for_the_next_batch() {
    let mut decompressor = Decompressor::new(ChunkPool::new(4 << 20), LIMIT);
    let plain = sample(100_000);
    for codec in available() {
        let packed = compress(codec, &plain).unwrap();
        assert!(decompressor.decompress(codec, &packed[..packed.len() / 2]).is_err());
        assert!(decompressor.decompress(codec, &packed).unwrap().filled() == plain, "{codec}");
    }
}

#[test]
fn exactly_the_limit_is_unpacked_and_one_byte_more_is_not() {
    for codec in available() {
        for len in [100, 70_000, 1 << 20] {
            let packed = compress(codec, &sample(len)).unwrap();
            assert_eq!(unpack_within(len, codec, &packed).map(|p| p.len()), Ok(len), "{codec}");
            let over = unpack_within(len - 1, codec, &packed);
            assert_eq!(over, Err(RecordsError::TooLarge(len - 1)), "{codec} {len}");
        }
    }
}

#[test]
fn truncated_input_is_an_error_at_every_length() {
    for codec in available() {
        let plain = sample(3000);
        let packed = compress(codec, &plain).unwrap();
        for len in 0..packed.len() {
            let cut = unpack(codec, &packed[..len]);
            // The framing of Snappy has no end mark: its header alone is a whole stream, of nothing.
            let nothing = codec == Codec::Snappy && len == 16 && cut.as_deref() == Ok(&[]);
            assert!(is_corrupt(&cut) || nothing, "{codec} {len}");
        }
    }
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    for codec in available() {
        let mut packed = compress(codec, &sample(3000)).unwrap();
        packed.extend_from_slice(b"junk");
        assert!(is_corrupt(&unpack(codec, &packed)), "{codec}");
    }
}

#[test]
fn streams_that_follow_each_other_are_one() {
    let (one, two) = (sample(70_000), sample(500));
    for codec in available() {
        let packed = [compress(codec, &one).unwrap(), compress(codec, &two).unwrap()].concat();
        assert!(unpack(codec, &packed).unwrap() == [&one[..], &two].concat(), "{codec}");
    }
}

#[test]
fn fault_209_a_bomb_of_a_gibibyte_stops_at_the_limit() {
    let mebibyte = vec![0; 1 << 20];
    for codec in available() {
        let bomb = compress(codec, &mebibyte).unwrap().repeat(1024);
        assert_eq!(unpack(codec, &bomb), Err(RecordsError::TooLarge(LIMIT)), "{codec}");
    }
}

#[test]
fn a_small_batch_takes_little_memory_whatever_it_claims() {
    let plain = sample(100);
    for codec in available() {
        let packed = compress(codec, &plain).unwrap();
        let mut decompressor = Decompressor::new(ChunkPool::new(4 << 20), 256 << 20);
        let chunk = decompressor.decompress(codec, &packed).unwrap();
        assert!(chunk.capacity() <= 64 << 10, "{codec} {}", chunk.capacity());
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use super::*;

    #[test]
    fn fault_205_optional_fields_of_the_header_are_stepped_over() {
        let plain = sample(1000);
        let packed = flate2::GzBuilder::new()
            .extra(vec![1, 2, 3])
            .filename("name")
            .comment("comment")
            .read(&plain[..], flate2::Compression::fast());
        let mut bytes = Vec::new();
        std::io::copy(&mut { packed }, &mut bytes).unwrap();
        assert!(unpack(Codec::Gzip, &bytes).unwrap() == plain);
        bytes[3] |= 2;
        assert!(unpack(Codec::Gzip, &bytes).is_err(), "two bytes of a checksum are missing");
    }

    #[test]
    fn fault_205_a_wrong_checksum_or_length_is_an_error() {
        let packed = compress(Codec::Gzip, &sample(1000)).unwrap();
        for from_end in 1..=8 {
            let mut bad = packed.clone();
            let at = bad.len() - from_end;
            bad[at] ^= 1;
            assert!(is_corrupt(&unpack(Codec::Gzip, &bad)), "{from_end}");
        }
    }
}

#[cfg(feature = "snappy")]
mod snappy {
    use super::*;

    #[test]
    fn fault_206_raw_snappy_is_unpacked_too() {
        let plain = sample(50_000);
        let packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        assert!(unpack(Codec::Snappy, &packed).unwrap() == plain);
    }

    #[test]
    fn fault_206_a_bad_framing_is_an_error() {
        let good = compress(Codec::Snappy, &sample(1000)).unwrap();
        let mut bad_magic = good.clone();
        bad_magic[3] ^= 1;
        assert!(is_corrupt(&unpack(Codec::Snappy, &bad_magic)));
        for length in [-1, i32::MIN, i32::MAX, 100_000, 0] {
            let mut bad = good.clone();
            bad[16..20].copy_from_slice(&i32::to_be_bytes(length));
            assert!(is_corrupt(&unpack(Codec::Snappy, &bad)), "{length}");
        }
    }

    #[test]
    fn fault_209_a_claim_that_the_input_cannot_meet_is_refused() {
        let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        assert!(is_corrupt(&unpack(Codec::Snappy, &claims_4_gib)));
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use std::io::Write as _;

    use ::lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder};

    use super::*;

    fn pack(builder: &EncoderBuilder, plain: &[u8]) -> Vec<u8> {
        let mut encoder = builder.build(Vec::new()).unwrap();
        encoder.write_all(plain).unwrap();
        let (packed, result) = encoder.finish();
        result.unwrap();
        packed
    }

    #[test]
    fn fault_207_frames_of_every_kind_are_unpacked() {
        let plain = sample(300_000);
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                let mut builder = EncoderBuilder::new();
                builder.block_mode(mode.clone()).block_size(size);
                assert!(unpack(Codec::Lz4, &pack(&builder, &plain)).unwrap() == plain);
                builder.checksum(ContentChecksum::ChecksumEnabled).content_size(300_000);
                assert!(unpack(Codec::Lz4, &pack(&builder, &plain)).unwrap() == plain);
            }
        }
    }

    #[test]
    fn fault_207_a_wrong_checksum_of_the_header_is_read_as_old_clients_wrote_it() {
        let plain = sample(1000);
        let mut packed = compress(Codec::Lz4, &plain).unwrap();
        packed[6] ^= 0x55;
        assert!(unpack(Codec::Lz4, &packed).unwrap() == plain);
    }

    #[test]
    fn fault_207_a_content_size_that_is_not_true_is_an_error() {
        let mut packed = pack(
            EncoderBuilder::new().block_mode(BlockMode::Independent).content_size(1000),
            &sample(1000),
        );
        packed[6] ^= 1;
        assert!(is_corrupt(&unpack(Codec::Lz4, &packed)));
    }

    #[test]
    fn fault_209_a_linked_bomb_stops_at_the_limit() {
        let bomb = pack(EncoderBuilder::new().block_mode(BlockMode::Linked), &vec![0; 64 << 20]);
        assert_eq!(unpack(Codec::Lz4, &bomb), Err(RecordsError::TooLarge(LIMIT)));
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use super::*;

    #[test]
    fn fault_209_18_megabytes_of_zeros_in_a_kilobyte_are_unpacked_with_the_usual_limit() {
        let packed = compress(Codec::Zstd, &vec![0; 18_000_000]).unwrap();
        assert!(packed.len() < 1024, "{}", packed.len());
        let plain = unpack_within(256 << 20, Codec::Zstd, &packed).unwrap();
        assert!(plain.len() == 18_000_000 && plain.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn fault_208_a_frame_with_a_stated_content_size_is_unpacked() {
        let plain = sample(300_000);
        let packed = ::zstd::bulk::compress(&plain, 3).unwrap();
        assert!(unpack(Codec::Zstd, &packed).unwrap() == plain);
    }

    #[test]
    fn fault_208_a_claim_of_a_huge_window_or_a_dictionary_is_refused() {
        // Magic, a descriptor, a window of 2^31 bytes, then one raw last block of one byte.
        let window = |descriptor: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 0x09, 0, 0, b'x'];
        assert_eq!(unpack(Codec::Zstd, &window(13 << 3)).as_deref(), Ok(&b"x"[..]), "8 MiB");
        assert!(is_corrupt(&unpack(Codec::Zstd, &window(21 << 3))), "2 GiB");
        assert!(is_corrupt(&unpack(Codec::Zstd, &window(0xff))), "3.75 TiB");
        let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 1, 13 << 3, 7, 0x09, 0, 0, b'x'];
        assert!(is_corrupt(&unpack(Codec::Zstd, &dictionary)));
    }
}
