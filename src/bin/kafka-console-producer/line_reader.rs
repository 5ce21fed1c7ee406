//! Reads lines as bytes. A line that is longer than a limit is discarded.

use std::io::{BufRead, ErrorKind, Result};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The next line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextLine<'a> {
    Line(&'a [u8]),
    /// A line that is longer than the limit; its bytes are discarded.
    TooLong,
    EndOfInput,
}

/// Splits the input at `\n`, `\r` and `\r\n`. A last line without an end is a line. No more bytes than the limit are
/// kept.
///
/// # Kafka
/// `BufferedReader#readLine` of Java, for bytes instead of UTF-8: every byte of a line is kept as it is.
pub(crate) struct LineReader<R> {
    input: R,
    /// In bytes, without the end of the line.
    limit: usize,
    line: Vec<u8>,
    /// How many bytes of a line were read whose end was not. For a thread that ends the run while this one waits for
    /// the end of the line.
    unfinished: Arc<AtomicU64>,
    /// True if the current line is longer than the limit, and its end has not been read yet.
    is_too_long: bool,
    /// True if the last line ended with `\r`: a `\n` after it belongs to the same end. It is skipped later, because on
    /// a terminal the line must not wait for the byte after it.
    skips_line_feed: bool,
    /// Kept, because a terminal goes on after the end of its input when it is read again.
    has_ended: bool,
}

/// The kind of a piece of a line, by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinePiece {
    /// The line goes on.
    Inner,
    /// The piece before the end of the line.
    Last,
    /// The input ended before the piece.
    EndOfInput,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            limit,
            line: Vec::new(),
            unfinished: Arc::default(),
            is_too_long: false,
            skips_line_feed: false,
            has_ended: false,
        }
    }

    /// Shows in `unfinished` how many bytes of a line were read whose end was not.
    pub(crate) fn showing(mut self, unfinished: Arc<AtomicU64>) -> Self {
        self.unfinished = unfinished;
        self
    }

    /// Reads a line. A line that is too long is returned when the limit is passed, because it may have no end. The
    /// next call skips the rest of it.
    pub(crate) fn next_line(&mut self) -> Result<NextLine<'_>> {
        while self.is_too_long {
            self.is_too_long = self.read_piece()? == LinePiece::Inner;
        }
        self.line.clear();
        let mut has_begun = false;
        loop {
            let piece = self.read_piece()?;
            if self.is_too_long {
                self.is_too_long = piece == LinePiece::Inner;
                return Ok(NextLine::TooLong);
            }
            match piece {
                LinePiece::Inner => has_begun = true,
                LinePiece::EndOfInput if !has_begun => return Ok(NextLine::EndOfInput),
                LinePiece::Last | LinePiece::EndOfInput => return Ok(NextLine::Line(&self.line)),
            }
        }
    }

    /// Appends the buffered bytes of the line to it, unless it is too long.
    fn read_piece(&mut self) -> Result<LinePiece> {
        while !self.has_ended {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(first) = buffer.first() else {
                self.has_ended = true;
                break;
            };
            if mem::take(&mut self.skips_line_feed) && *first == b'\n' {
                self.input.consume(1);
                continue;
            }
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            if self.line.len() + piece.len() > self.limit {
                self.is_too_long = true;
            }
            if !self.is_too_long {
                self.line.extend_from_slice(piece);
            }
            let (read, kind) = match end {
                Some(end) => (end + 1, LinePiece::Last),
                None => (buffer.len(), LinePiece::Inner),
            };
            self.skips_line_feed = end.is_some_and(|end| buffer[end] == b'\r');
            // A line that is too long is returned before its end.
            let unfinished = if kind == LinePiece::Inner && !self.is_too_long {
                self.line.len()
            } else {
                0
            };
            self.unfinished.store(unfinished as u64, Ordering::Relaxed);
            self.input.consume(read);
            return Ok(kind);
        }
        self.unfinished.store(0, Ordering::Relaxed);
        Ok(LinePiece::EndOfInput)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// All lines of the input, read through buffers of every small size; `None` is a line that is too long.
    fn lines(input: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
        let read = |capacity| {
            let mut reader = LineReader::new(BufReader::with_capacity(capacity, input), limit);
            let mut lines = Vec::new();
            loop {
                match reader.next_line().unwrap() {
                    NextLine::Line(line) => lines.push(Some(line.to_vec())),
                    NextLine::TooLong => lines.push(None),
                    NextLine::EndOfInput => return lines,
                }
            }
        };
        let first = read(1);
        for capacity in 2..9 {
            assert_eq!(read(capacity), first, "{capacity}");
        }
        first
    }

    fn texts(input: &str) -> Vec<String> {
        let lines = lines(input.as_bytes(), 100).into_iter();
        lines
            .map(|line| String::from_utf8(line.unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_line_ends_with_a_line_feed_a_carriage_return_or_both() {
        assert_eq!(texts("a\nb\rc\r\nd\n"), ["a", "b", "c", "d"]);
        assert_eq!(texts("a\n\r\n\rb"), ["a", "", "", "b"]);
        assert_eq!(texts("a\r\r\nb\r"), ["a", "", "b"]);
    }

    #[test]
    fn an_empty_line_is_a_line_and_an_empty_input_has_none() {
        assert_eq!(texts("\n"), [""]);
        assert_eq!(texts("a\n\n"), ["a", ""]);
        assert!(texts("").is_empty());
    }

    #[test]
    fn a_last_line_without_an_end_is_a_line() {
        assert_eq!(texts("a\nbc"), ["a", "bc"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_kept() {
        let line = [0xff, 0x00, 0xc3, 0x28];
        assert_eq!(lines(&line, 4), [Some(line.to_vec())]);
    }

    #[test]
    fn a_line_of_the_limit_is_read_and_a_longer_one_is_skipped() {
        let input = b"1234\n12345\n123456789012345\n\nx";
        let line = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            lines(input, 4),
            [line("1234"), None, None, line(""), line("x")]
        );
        assert_eq!(lines(b"12345", 4), [None]);
        assert_eq!(lines(b"12345\r\n1", 4), [None, line("1")]);
    }

    #[test]
    fn a_line_without_an_end_is_reported_when_the_limit_is_passed() {
        let endless = BufReader::new(std::io::repeat(b'x'));
        let mut reader = LineReader::new(endless, 1_000_000);
        assert_eq!(reader.next_line().unwrap(), NextLine::TooLong);
        assert!(reader.line.capacity() < 4_000_000);
    }

    /// A terminal: the end of its input is not final.
    struct Terminal(Vec<&'static [u8]>);

    impl Read for Terminal {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let mut typed = self.0.remove(0);
            typed.read(buffer)
        }
    }

    #[test]
    fn a_terminal_is_not_read_again_after_its_end() {
        let typed: Vec<&[u8]> = vec![b"a\n", b"b", b""];
        let mut reader = LineReader::new(BufReader::new(Terminal(typed)), 100);
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"a"));
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"b"));
        assert_eq!(reader.next_line().unwrap(), NextLine::EndOfInput);
        assert_eq!(reader.next_line().unwrap(), NextLine::EndOfInput);
    }

    #[test]
    fn the_bytes_of_a_line_without_an_end_are_shown_until_its_end_is_read() {
        let typed: Vec<&[u8]> = vec![b"a\nbc", b"d", b"\n123456", b"789\n", b"e", b""];
        let unfinished = Arc::new(AtomicU64::new(7));
        let input = BufReader::new(Terminal(typed));
        let mut reader = LineReader::new(input, 8).showing(Arc::clone(&unfinished));
        let shown = || unfinished.load(Ordering::Relaxed);
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"a"));
        assert_eq!(shown(), 0);
        reader.read_piece().unwrap();
        assert_eq!(shown(), 3, "'a' is the line before");
        reader.line.clear();
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"d"));
        assert_eq!(shown(), 0);
        assert_eq!(reader.next_line().unwrap(), NextLine::TooLong);
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"e"));
        assert_eq!(shown(), 0);
    }

    #[test]
    fn a_line_that_ends_with_a_carriage_return_does_not_wait_for_the_next_byte() {
        let typed: Vec<&[u8]> = vec![b"a\r"];
        let mut reader = LineReader::new(BufReader::new(Terminal(typed)), 100);
        // Another read would panic.
        assert_eq!(reader.next_line().unwrap(), NextLine::Line(b"a"));
    }
}
