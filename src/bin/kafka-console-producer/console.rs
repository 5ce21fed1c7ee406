//! Output: the prompt, and lines on standard error that do not run into it.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};

use parking_lot::Mutex;

/// The state of the terminal. Other threads report failures while a line is typed.
static PROMPT: Mutex<Prompt> = Mutex::new(Prompt {
    is_used: false,
    is_shown: false,
    is_repeated: false,
});

struct Prompt {
    /// True if a prompt has ever been printed.
    is_used: bool,
    /// True from the time the prompt is printed until the line after it has been read.
    is_shown: bool,
    /// True if the prompt has been printed again after a report.
    is_repeated: bool,
}

/// Whether a person types the lines: both standard input and output are terminals, as in Kafka's tool.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

// The functions below ignore a closed pipe: the records are sent all the same.

pub(crate) fn prompt() {
    let mut prompt = PROMPT.lock();
    *prompt = Prompt {
        is_used: true,
        is_shown: true,
        is_repeated: false,
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

/// Prints a line on standard error. On a terminal it begins on a new line, and the prompt is printed again below it. A
/// text that has been typed so far stays in the terminal's input, although it is not printed again.
pub(crate) fn report(line: &str) {
    let mut prompt = PROMPT.lock();
    let mut err = stderr();
    if !prompt.is_used || !err.is_terminal() {
        let _ = writeln!(err, "{line}");
        return;
    }
    // Overwrites a prompt after which nothing is typed: it was repeated by a report a moment ago, or the lines after it
    // were typed or pasted in advance.
    let overwrites = prompt.is_repeated || !prompt.is_shown;
    let start = if overwrites { '\r' } else { '\n' };
    let _ = writeln!(err, "{start}{line}");
    if prompt.is_shown {
        prompt.is_repeated = true;
        print_prompt();
    }
}
