//! Pieces of markup: escaped text, tables, lists. The page is well-formed XML too: each element is closed.

use std::fmt::{self, Display, Write as _};

/// Text that is escaped when it is displayed, for content and for attributes in double quotes. Control characters,
/// which a document must not contain, become U+FFFD.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(letter)?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                control if control.is_control() => f.write_char('\u{fffd}')?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// Appends formatted text. Writing to a string cannot fail.
macro_rules! put {
    ($page:expr, $($format:tt)*) => {{
        let _ = ::std::fmt::Write::write_fmt($page, format_args!($($format)*));
    }};
}
pub(crate) use put;

/// A table of names and values with a heading.
pub(crate) fn fact_table<'r>(
    page: &mut String,
    heading: &str,
    rows: impl IntoIterator<Item = &'r (&'static str, String)>,
) {
    put!(page, "<section class=\"card\">\n<h2>{heading}</h2>\n");
    pairs(
        page,
        rows.into_iter().map(|(name, value)| (*name, &**value)),
    );
    page.push_str("</section>\n");
}

/// A table of names and values.
pub(crate) fn pairs<'r>(page: &mut String, rows: impl IntoIterator<Item = (&'r str, &'r str)>) {
    page.push_str("<table class=\"pairs\">\n");
    for (name, value) in rows {
        put!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
            Escaped(name),
            Escaped(value)
        );
    }
    page.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let text = Escaped("<script>alert(\"a\" & 'b')</script>").to_string();
        assert_eq!(
            text,
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;"
        );
        let odd = Escaped("größe\n\u{0}\u{1b}[0m\u{85}\u{ffff}").to_string();
        assert_eq!(odd, "größe\n\u{fffd}\u{fffd}[0m\u{fffd}\u{fffd}");
    }

    #[test]
    fn names_and_values_of_a_table_are_escaped() {
        let mut page = String::new();
        pairs(&mut page, [("<a>", "&")]);
        assert!(
            page.contains("<th scope=\"row\">&lt;a&gt;</th><td>&amp;</td>"),
            "{page}"
        );
    }
}
