//! Output: the prompt, and lines on standard error that do not run into it.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};

use parking_lot::Mutex;

use crate::streams::printable;

/// The state of the terminal. Other threads report failures while a line is typed.
static PROMPT: Mutex<Prompt> = Mutex::new(Prompt {
    is_used: false,
    is_shown: false,
});

struct Prompt {
    /// True if a prompt has ever been printed.
    is_used: bool,
    /// True from the time the prompt is printed until the line after it has been read.
    is_shown: bool,
}

/// Whether a person types the lines: both standard input and output are terminals, as in Kafka's tool.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

// The functions below ignore a failed write: the output has no data, and the records are sent all the same.

pub(crate) fn prompt() {
    let mut prompt = PROMPT.lock();
    *prompt = Prompt {
        is_used: true,
        is_shown: true,
    };
    print_prompt();
}

fn print_prompt() {
    let mut out = stdout();
    let _ = out.write_all(b">").and_then(|()| out.flush());
}

/// A line has been typed. Its end has moved the cursor to the next line.
pub(crate) fn line_is_read() {
    PROMPT.lock().is_shown = false;
}

/// Ends the line of the prompt, so that the shell's own prompt does not follow on it.
pub(crate) fn end_prompt() {
    let mut prompt = PROMPT.lock();
    if prompt.is_shown {
        prompt.is_shown = false;
        let _ = writeln!(stdout());
    }
}

/// Prints a line on standard error. On a terminal it begins on a new line if a prompt is shown, because a text may have
/// been typed after the prompt. The prompt is printed again below it; the text stays in the terminal's input, although
/// it is not printed again.
pub(crate) fn report(line: &str) {
    let line = printable(line);
    let prompt = PROMPT.lock();
    let mut err = stderr();
    if !prompt.is_used || !err.is_terminal() {
        let _ = writeln!(err, "{line}");
        return;
    }
    // Without a prompt the cursor is at the start of a line, unless the next lines are typed or pasted in advance.
    let start = if prompt.is_shown { '\n' } else { '\r' };
    let _ = writeln!(err, "{start}{line}");
    if prompt.is_shown {
        print_prompt();
    }
}
