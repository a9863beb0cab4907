//! Whether what is typed now is a password, and what is left of input if so. Knows nothing of secrets by their looks.

/// How much of the last line of output is remembered.
const LINE_BYTES_MAX: usize = 512;

/// What a prompt for a password says somewhere, in small letters.
const WORDS: [&str; 3] = ["assword", "passphrase", "erification code"];

/// Whether one connection hides what is typed.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// The end of the output since the last line break.
    line: Vec<u8>,
    asked: bool,
    /// What the source says of the echo, if it says anything.
    echo: Option<bool>,
}

impl Prompt {
    /// Takes notice of output.
    pub(crate) fn shown(&mut self, output: &[u8]) {
        if self.echo.is_some() {
            return;
        }
        let rest = match output.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => {
                self.line.clear();
                &output[at + 1..]
            }
            None => output,
        };
        self.line.extend_from_slice(&rest[rest.len().saturating_sub(LINE_BYTES_MAX)..]);
        let spent = self.line.len().saturating_sub(LINE_BYTES_MAX);
        self.line.drain(..spent);
        // Only Enter ends it: a program may show stars for what is typed.
        self.asked |= ends_in_prompt(&self.line);
    }

    /// The source says whether the terminal echoes.
    pub(crate) fn echo(&mut self, on: bool) {
        (self.echo, self.asked) = (Some(on), false);
    }

    /// Adds to `kept` what may be kept of input. True if something is left out.
    pub(crate) fn typed(&mut self, input: &[u8], kept: &mut Vec<u8>) -> bool {
        let before = kept.len();
        match self.echo {
            Some(false) => kept.extend(input.iter().filter(ends_line)),
            None if self.asked => {
                if let Some(end) = input.iter().position(|byte| ends_line(&byte)) {
                    self.asked = false;
                    self.line.clear();
                    kept.extend_from_slice(&input[end..]);
                }
            }
            Some(true) | None => kept.extend_from_slice(input),
        }
        kept.len() - before != input.len()
    }
}

/// Enter, and the two keys that give up.
fn ends_line(byte: &&u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x03 | 0x04)
}

fn ends_in_prompt(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let text = without_escapes(&text);
    let Some(prompt) = text.trim_end_matches(' ').strip_suffix([':', '?']) else { return false };
    let small = prompt.to_lowercase();
    WORDS.iter().any(|word| small.contains(word)) || says_pin(prompt)
}

fn says_pin(prompt: &str) -> bool {
    prompt.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "PIN")
}

/// Text without control sequences (ECMA-48): prompts are coloured now and then.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match sequence.strip_prefix('[') {
            Some(parameters) => {
                let end = parameters.find(|letter: char| ('@'..='~').contains(&letter));
                end.map_or("", |end| &parameters[end + 1..])
            }
            None => sequence.get(1..).unwrap_or(""),
        };
    }
    plain.push_str(rest);
    plain
}
