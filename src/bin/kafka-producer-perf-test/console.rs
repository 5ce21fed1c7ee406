//! Output: lines on standard output and error, and a progress bar on a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) use crate::streams::{print_errors as err, print_lines as out};

/// Output while records are being sent.
#[derive(Debug)]
pub(crate) struct Console {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Console {
    /// A console with a progress bar if standard error is a terminal.
    pub(crate) fn new(records: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(records), ProgressDrawTarget::stderr());
            let template = "{wide_bar} {pos}/{len} acknowledged, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, quiet: false }
    }

    /// A console without any output.
    pub(crate) fn silent() -> Self {
        Self {
            bar: None,
            quiet: true,
        }
    }

    pub(crate) fn has_progress(&self) -> bool {
        self.bar.is_some()
    }

    pub(crate) fn progress(&self, records: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(records);
        }
    }

    pub(crate) fn out(&self, line: &str) {
        self.with_bar_hidden(|| out(line));
    }

    pub(crate) fn err(&self, line: &str) {
        self.with_bar_hidden(|| err(line));
    }

    /// Removes the progress bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Prints while the progress bar is hidden, so that it does not overwrite the line.
    fn with_bar_hidden(&self, print: impl FnOnce()) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}
