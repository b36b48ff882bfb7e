//! Shows text that a peer wrote: escaped, bounded, on one line (T3).

use core::fmt::{self, Write};

/// Text from outside, displayed so that it cannot harm a terminal or forge a line of a log.
///
/// [`Display`](fmt::Display) writes printable characters as they are, backslashes and quotes included, and escapes those for
/// which [`is_unsafe`] is true: `\n`, `\t`, `\u{1b}`. The output is a single line. It is for people to read: text that holds
/// backslashes of its own cannot be recovered from it.
///
/// ```
/// use tidegate_core::escape::Escaped;
///
/// assert_eq!(Escaped::new("\x1b[31mred\r\n").to_string(), r"\u{1b}[31mred\r\n");
/// assert_eq!(Escaped::new("a long story").at_most(6).to_string(), "a long…");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped<'a> {
    text: &'a str,
    limit: usize,
}

impl<'a> Escaped<'a> {
    /// Shows all of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, limit: usize::MAX }
    }

    /// Shows at most this many characters, those of escapes included, and then `…` in place of the rest.
    #[must_use]
    pub const fn at_most(self, characters: usize) -> Self {
        Self { limit: characters, ..self }
    }

    /// The text as it was received, neither escaped nor bounded: for programs to read, not for people.
    #[must_use]
    pub const fn as_raw(&self) -> &'a str {
        self.text
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.limit;
        for character in self.text.chars() {
            let escape = is_unsafe(character).then(|| character.escape_default());
            let width = escape.as_ref().map_or(1, ExactSizeIterator::len);
            let Some(rest) = left.checked_sub(width) else { return f.write_char('…') };
            left = rest;
            match escape {
                Some(mut escape) => escape.try_for_each(|part| f.write_char(part))?,
                None => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Whether a character acts on a terminal or on the text around it, or hides, where it should only be shown.
///
/// These are the control characters (C0, delete, C1), the line and paragraph separators, and the invisible format characters
/// that reorder or conceal text (bidirectional controls, zero-width space, byte order mark, tags). The joiners U+200C and
/// U+200D are part of ordinary words and emoji.
#[must_use]
pub const fn is_unsafe(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}
