//! Snappy blocks, decompressed without a branch for each element.
//!
//! A sample of remote write is eight short elements: literals and copies of earlier output, in no order that a processor
//! could foresee, so that a decoder which branches on them waits for its wrong guesses half of the time. Here both kinds are
//! one move: block and output stand in one buffer, an element says where its bytes begin, and [`REACH`] bytes are moved
//! whether it has that many or not. What was moved too far is written over by the next element.
//!
//! ```text
//! | output so far      | still to be written ...   | REACH | elements               | REACH |
//!      ^ a copy's bytes ^ to                                  ^ from  ^ a literal's bytes
//! ```
//!
//! Elements that are longer, or that repeat their own beginning, are rare and go another way. (Format: google/snappy,
//! format_description.txt.)

use super::protobuf::varint;

/// Bytes moved for each element: all that a copy can have, and most literals.
const REACH: usize = 64;

/// What each tag says: the element's bytes in the low half, [`RARE`] where the tag alone does not tell; in the high half
/// what a copy's offset has beside the bytes that follow the tag.
static TAGS: [u32; 256] = tags();

/// More than [`REACH`].
const RARE: u32 = 0xff;

/// The bits of the next four bytes that are a copy's offset, by kind of tag.
const OFFSET_BITS: [u32; 4] = [0, 0xff, 0xffff, 0];

const LITERAL: usize = 0;
const LITERAL_BYTES_MAX: u32 = 60;

const fn tags() -> [u32; 256] {
    let mut tags = [RARE; 256];
    let mut tag = 0;
    while tag < 256 {
        let upper = tag as u32 >> 2;
        tags[tag] = match tag & 3 {
            LITERAL if upper < LITERAL_BYTES_MAX => upper + 1,
            1 => (4 + (upper & 7)) | ((upper >> 3) << 24),
            2 => upper + 1,
            _ => RARE,
        };
        tag += 1;
    }
    tags
}

/// The memory that a block takes while it is decompressed, in bytes.
pub(super) fn buffer_bytes(block_bytes: usize, decompressed_bytes: usize) -> usize {
    block_bytes.saturating_add(decompressed_bytes).saturating_add(2 * REACH)
}

/// Decompresses a block to the beginning of `buffer`, whatever was there; tells how long it is. `None` where the block is
/// malformed.
pub(super) fn decompress(block: &[u8], buffer: &mut Vec<u8>) -> Option<usize> {
    let mut elements = block;
    let length = usize::try_from(varint(&mut elements)?).ok()?;
    let first = length.checked_add(REACH)?;
    let end = first.checked_add(elements.len())?;
    if buffer.len() < end + REACH {
        buffer.resize(end + REACH, 0);
    }
    let buffer = &mut buffer[..end + REACH];
    buffer[first..end].copy_from_slice(elements);

    let (mut from, mut to) = (first, 0_usize);
    while from < end {
        let word = u64::from_le_bytes(*buffer.get(from..)?.first_chunk()?);
        let tag = word as usize & 0xff;
        let kind = tag & 3;
        let says = TAGS[tag];
        let bytes = (says & 0xffff) as usize;
        let offset = ((says >> 16) + ((word >> 8) as u32 & OFFSET_BITS[kind])) as usize;
        let is_literal = kind == LITERAL;
        // Each of these is a choice of numbers and no branch.
        let source = if is_literal { from + 1 } else { to.wrapping_sub(offset) };
        let step = if is_literal { 2 + (tag >> 2) } else { 1 + kind };
        let is_rare = (bytes > REACH) | (to + bytes > length) | (!is_literal & (offset < bytes));
        let moved: Option<[u8; REACH]> = buffer.get(source..).and_then(|bytes| bytes.first_chunk().copied());
        match moved.filter(|_| !is_rare) {
            Some(moved) => {
                *buffer.get_mut(to..)?.first_chunk_mut()? = moved;
                (from, to) = (from + step, to + bytes);
            }
            None => (from, to) = step_slowly(&mut buffer[..end], from, to, length)?,
        }
    }
    (from == end && to == length).then_some(length)
}

/// Any element, byte by byte; tells where the next one begins and its bytes go.
#[cold]
fn step_slowly(buffer: &mut [u8], from: usize, to: usize, length: usize) -> Option<(usize, usize)> {
    let (&tag, behind) = buffer.get(from..)?.split_first()?;
    let (kind, upper) = (usize::from(tag & 3), usize::from(tag >> 2));
    // How many bytes behind the tag are a number: a literal's length less one, or a copy's offset.
    let number_bytes = match kind {
        LITERAL => (upper + 1).saturating_sub(LITERAL_BYTES_MAX as usize),
        1 | 2 => kind,
        _ => 4,
    };
    let number = behind.get(..number_bytes)?.iter().rfold(0, |number, byte| number << 8 | usize::from(*byte));
    let next = from + 1 + number_bytes;
    if kind == LITERAL {
        let bytes = 1 + if number_bytes == 0 { upper } else { number };
        let source = next..next.checked_add(bytes).filter(|end| *end <= buffer.len())?;
        if bytes > length - to {
            return None;
        }
        let next = source.end;
        buffer.copy_within(source, to);
        return Some((next, to + bytes));
    }
    let (bytes, offset) = match kind {
        1 => (4 + (upper & 7), (upper >> 3) << 8 | number),
        _ => (upper + 1, number),
    };
    if offset == 0 || offset > to || bytes > length - to {
        return None;
    }
    for place in to..to + bytes {
        buffer[place] = buffer[place - offset];
    }
    Some((next, to + bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Held against the library's decoder: the same bytes, or both refuse.
    #[track_caller]
    fn check(block: &[u8]) {
        let mut buffer = vec![0xaa; 7];
        let ours = decompress(block, &mut buffer).map(|length| buffer[..length].to_vec());
        assert_eq!(ours, snap::raw::Decoder::new().decompress_vec(block).ok(), "{block:02x?}");
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(bytes).expect("in memory")
    }

    /// Texts that repeat themselves near and far, with long stretches of one byte and of noise.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (any::<u8>(), 0..300_usize).prop_map(|(byte, count)| vec![byte; count]),
            (prop::sample::select(vec!["job", "instance", "__name__", "node"]), 1..40_usize)
                .prop_map(|(word, count)| word.repeat(count).into_bytes()),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(text in text()) {
            let mut buffer = Vec::new();
            let length = decompress(&compressed(&text), &mut buffer);
            prop_assert_eq!(length.map(|length| &buffer[..length]), Some(&text[..]));
        }

        /// Elements of all kinds, most of them senseless.
        #[test]
        fn a_block_reads_as_the_library_reads_it(
            length in 0..0x80_u8,
            elements in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut block = vec![length];
            block.extend(elements);
            check(&block);
        }

        #[test]
        fn damage_is_met_as_the_library_meets_it(text in text(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut block = compressed(&text);
            let place = place.index(block.len());
            check(&block[..place]);
            block[place] = byte;
            // A length that was changed is held against the limits before anybody decompresses.
            if place > 4 {
                check(&block);
            }
        }
    }

    #[test]
    fn each_kind_of_element_is_read() {
        check(&[]);
        check(&[0]);
        check(&[4, 3 << 2, b'a', b'b', b'c', b'd']);
        // Copies of one, two and four bytes of offset; the second repeats its own beginning; offset 0.
        check(&[8, 3 << 2, b'a', b'b', b'c', b'd', 1, 4]);
        check(&[8, 0, b'a', 6 << 2 | 2, 1, 0]);
        check(&[8, 3 << 2, b'a', b'b', b'c', b'd', 3 << 2 | 3, 4, 0, 0, 0]);
        check(&[8, 3 << 2, b'a', b'b', b'c', b'd', 1, 0]);
        check(&[8, 3 << 2, b'a', b'b', b'c', b'd', 1, 5]);
        // Literals whose length takes one byte and two.
        check(&[[70, 60 << 2, 69].as_slice(), &[b'x'; 70]].concat());
        check(&[[70, 61 << 2, 69, 0].as_slice(), &[b'x'; 70]].concat());
        check(&[[70, 61 << 2, 69, 1].as_slice(), &[b'x'; 70]].concat());
    }
}
