//! What is shown of text that a peer wrote (T3).

use tidegate_core::escape::{Escaped, is_unsafe};

#[test]
fn what_acts_on_a_terminal_is_escaped_and_words_are_not() {
    let table = [
        ("plain words, {\"code\": 7} and \\n", "plain words, {\"code\": 7} and \\n"),
        ("é 币 e\u{301} 👩\u{200d}🚀 می\u{200c}خواهم", "é 币 e\u{301} 👩\u{200d}🚀 می\u{200c}خواهم"),
        ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
        ("\0\t\r\n\x7f", "\\u{0}\\t\\r\\n\\u{7f}"),
        ("\u{85}\u{9b}31m", "\\u{85}\\u{9b}31m"),
        ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
        ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
        ("\u{feff}\u{200b}\u{e0041}", "\\u{feff}\\u{200b}\\u{e0041}"),
    ];
    for (text, shown) in table {
        let escaped = Escaped::new(text);
        assert_eq!(escaped.to_string(), shown);
        assert!(!escaped.to_string().contains(is_unsafe), "{shown}");
        assert_eq!(escaped.as_raw(), text);
    }
}

/// An escape counts as what it takes on the screen, and is never cut.
#[test]
fn no_more_is_shown_than_allowed() {
    let table = [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc…"),
        ("币币币", 2, "币币…"),
        ("\x1b\x1b", 6, "\\u{1b}…"),
        ("\x1b\x1b", 11, "\\u{1b}…"),
        ("\x1b\x1b", 12, "\\u{1b}\\u{1b}"),
        ("a", 0, "…"),
        ("", 0, ""),
    ];
    for (text, most, shown) in table {
        assert_eq!(Escaped::new(text).at_most(most).to_string(), shown, "{text:?} {most}");
    }
}
