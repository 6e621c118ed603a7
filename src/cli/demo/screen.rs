//! Shows the live view: redrawn in place on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::view::{Frame, line, table};

/// Where the view goes.
pub enum Screen {
    /// A terminal; how many lines of the last frame stand there.
    Terminal(usize),
    /// A file or a pipe; whether a sample was shown.
    Plain(bool),
}

/// Width where the terminal does not say.
const WIDTH: usize = 100;

impl Screen {
    /// The one that fits standard output.
    pub fn of_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Terminal(0) } else { Self::Plain(false) }
    }

    /// How often a frame is worth showing.
    pub fn interval(&self) -> Duration {
        match self {
            Self::Terminal(_) => Duration::from_millis(500),
            Self::Plain(_) => Duration::from_secs(2),
        }
    }

    /// Shows a frame in place of the last.
    ///
    /// # Errors
    /// Where standard output is gone.
    pub fn show(&mut self, frame: &Frame) -> io::Result<()> {
        let mut text = String::new();
        match self {
            Self::Terminal(standing) => {
                if *standing > 0 {
                    text.push_str(&format!("\x1b[{standing}A\r\x1b[J"));
                }
                let lines = table(frame, width());
                *standing = lines.len();
                text.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"]));
            }
            Self::Plain(sampled) => {
                text.push_str(&line(frame));
                text.push('\n');
                if let Some(sample) = frame.sample.as_ref().filter(|_| !*sampled) {
                    *sampled = true;
                    text.push_str(&format!("before  {}\nafter   {}\n", sample.before, sample.after));
                }
            }
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Columns of the terminal; one is left free, for a cursor behind the last column would wrap.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 20).unwrap_or(WIDTH) - 1
}
