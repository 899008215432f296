//! Token secrets: made by chance, kept as hashes, compared in constant time.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{constant_time, digest};

/// Fills its argument with bytes nobody can foresee.
pub type Chance = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// What every token begins with, so that people and scanners of leaked secrets recognise it.
pub const SECRET_PREFIX: &str = "weir_";

/// Bytes of an id and of a secret.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 24;

/// The operating system's chance.
pub fn system_chance() -> Chance {
    let system = SystemRandom::new();
    Box::new(move |into| system.fill(into).expect("the operating system has randomness"))
}

/// A new token: its id, its text, and the hash to keep.
pub(super) fn make(chance: &Chance) -> (String, String, String) {
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    chance(&mut id);
    chance(&mut secret);
    let (id, secret) = (hex(&id), hex(&secret));
    let hash = hash(&secret);
    let text = format!("{SECRET_PREFIX}{id}_{secret}");
    (id, text, hash)
}

/// Id and secret of a token's text; `None` where it is no such text.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(SECRET_PREFIX)?.split_once('_')
}

/// The hash under which a secret is kept. A fast one: 192 bits of chance are not found by trying.
pub(super) fn hash(secret: &str) -> String {
    hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// Whether `secret` is the one with this hash, in a time that does not tell how much of it is right.
pub(super) fn is(secret: &str, kept: &str) -> bool {
    constant_time::verify_slices_are_equal(hash(secret).as_bytes(), kept.as_bytes()).is_ok()
}

/// SHA-256 over several texts, none of which can run into the next.
pub(super) fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
