//! Displays text of a peer: escaped, bounded, on one line.

use core::fmt::{self, Write};

/// Text of a peer, displayed so that it cannot control a terminal or forge a line of a log.
///
/// [`Display`](fmt::Display) writes printable characters unchanged, backslashes and quotes included. It escapes
/// characters for which [`is_unsafe`] returns `true`, as `\n`, `\t` or `\u{1b}`. The output is a single line for people
/// to read. The original text cannot be recovered from it, since backslashes are not escaped.
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
    /// Displays all of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, limit: usize::MAX }
    }

    /// Displays at most this many characters, then `…` in place of the rest. Each character of an escape counts.
    #[must_use]
    pub const fn at_most(self, characters: usize) -> Self {
        Self { limit: characters, ..self }
    }

    /// Returns the original text, neither escaped nor bounded. It is meant for programs; do not show it to people.
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

/// Returns whether a character would control a terminal, change the text around it, or be invisible.
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
