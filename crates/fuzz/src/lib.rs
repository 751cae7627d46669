//! Fuzzing inside `cargo test`: a [`Room`] is one entrance of the system, with good inputs to begin from. What is found
//! stays as a file of the room's corpus and is tried first from then on.
//!
//! There is no instrumentation, so that it runs on the stable compiler, on every machine and with every test: what
//! guides it is what an entrance says of an input. An input with an answer of a new kind ([`kind_of`]) is kept as
//! something to begin from. Inputs are small and come from a fixed seed; `MILLSTREAM_FUZZ_SECONDS` makes every room run
//! that long, from a seed of the moment (or `MILLSTREAM_FUZZ_SEED`).
//!
//! An input fails when a thread panics, when it takes more than [`CPU_MS_MAX`] or overflows a stack of
//! [`STACK_BYTES`] (the process ends then; the input is in the corpus or in the file that the message names), or when
//! the process needs more than [`MEMORY_BYTES_MAX`].
//!
//! Invariant: knows nothing of what it tests.

mod corpus;
mod damage;
mod room;
mod seeds;
mod watch;

pub use damage::Damage;
pub use room::Room;
pub use seeds::{examples, statements};
pub use watch::{CPU_MS_MAX, MEMORY_BYTES_MAX, peak_bytes};

/// The stack of the thread that reads inputs: what threads of a server have.
pub const STACK_BYTES: usize = 2 << 20;

/// What kind of answer a message is: its words, without names in quotes, numbers and what follows the first lines.
pub fn kind_of(message: &str) -> String {
    const CHARS_MAX: usize = 160;
    let (mut out, mut quote, mut spaced) = (String::new(), None, true);
    for c in message.chars().take(4 * CHARS_MAX) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, c) if c.is_alphabetic() || c == '_' => {
                out.push(c);
                spaced = false;
            }
            (None, _) if !spaced => {
                out.push(' ');
                spaced = true;
            }
            (None, _) => {}
        }
        if out.len() >= CHARS_MAX {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_no_names_and_numbers() {
        assert_eq!(kind_of("line 3: column `A` is 'x', 12.5 found"), "line column is found");
        assert_eq!(kind_of("an open \"name"), "an open ");
    }
}
