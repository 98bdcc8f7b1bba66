//! What is wrong with a configuration, as pure data: the program decides how it looks.

use std::ops::Range;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// In the configuration file, at these bytes.
    File(Range<usize>),
    /// On the command line: a flag (`--idle`) or the name of an argument (`URL`).
    Flag(String),
    /// Nowhere: it is a default, or it is missing.
    #[default]
    Nowhere,
}

/// The text of a configuration file and what to call it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Its path, as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both from 1; a column is a character.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing can be started.
    Error,
    /// It can be started, and is likely not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub at: Origin,
    /// What is there; may be empty where the place says enough.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line that can stand by itself.
    pub message: String,
    /// Where it is wrong.
    pub primary: Label,
    /// Other places that have to do with it.
    pub secondary: Vec<Label>,
    /// What to write instead, or what to try.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(at: &Origin, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            primary: Label {
                at: at.clone(),
                text: String::new(),
            },
            secondary: Vec::new(),
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(at: &Origin, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(at, message)
        }
    }

    /// The same with a few words for its place.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// The same with another place.
    pub fn also(mut self, at: &Origin, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label {
            at: at.clone(),
            text: text.into(),
        });
        self
    }

    /// The same with what to write instead.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Whether nothing can be started because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Everything that was found, in the order of the file, and the text that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The file; empty for a configuration that came from the command line alone.
    pub source: Source,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.is_error()).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// A line for each error, for those who only have text: `bandy.toml:3:10: there is no service …`.
    pub fn lines(&self) -> String {
        let line = |d: &Diagnostic| match &d.primary.at {
            Origin::File(span) => {
                let (line, column) = self.source.position(span.start);
                format!("{}:{line}:{column}: {}", self.source.name, d.message)
            }
            Origin::Flag(flag) => format!("{flag}: {}", d.message),
            Origin::Nowhere => d.message.clone(),
        };
        let lines: Vec<String> = self.diagnostics.iter().map(line).collect();
        lines.join("\n")
    }
}
