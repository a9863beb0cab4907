//! The codes of all diagnostics, in one table. A code never changes its meaning.

/// Whether a pipeline is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The pipeline is refused.
    Error,
    /// The pipeline runs, but probably not as meant.
    Warning,
}

/// Declares the codes with their numbers and severities.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What kind of trouble a diagnostic is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is printed: `E` for errors, `W` for warnings, and three digits.
            #[must_use]
            pub const fn number(self) -> &'static str {
                match self { $(Self::$name => $number,)* }
            }
        }
    };
}

codes! {
    /// The file can't be read.
    Unreadable = "E001",
    /// The text is invalid TOML.
    Syntax = "E002",
    /// A key is given twice in one table.
    DuplicateKey = "E003",
    /// A value of another type than the key takes.
    WrongType = "E004",
    /// A key that nothing knows.
    UnknownKey = "E005",
    /// A key that must be there and isn't.
    MissingKey = "E006",
    /// A value out of its range, or not in the notation that the key takes.
    BadValue = "E007",
    /// A variable that is set nowhere.
    MissingVariable = "E008",
    /// A `${` that is no variable.
    BadVariable = "E009",
    /// A plugin that there isn't.
    UnknownPlugin = "E010",
    /// A plugin of another kind than the table.
    WrongPluginKind = "E011",
    /// Options that the plugin refuses.
    PluginOptions = "E012",
    /// An id with characters that a file name or an input can't have.
    BadId = "E013",
    /// An id that two stages have.
    DuplicateId = "E014",
    /// A pipeline without a source.
    NoSource = "E015",
    /// A pipeline without a sink.
    NoSink = "E016",
    /// A transform or sink without inputs.
    NoInput = "E017",
    /// An input that matches nothing.
    UnknownInput = "E018",
    /// An input that is listed twice.
    DuplicateInput = "E019",
    /// Stages that feed themselves.
    Cycle = "E020",
    /// A stream kind that a stage can't take.
    KindRefused = "E021",
    /// A polled source without a `rate`.
    MissingRate = "E022",
    /// A key of the engine's on a kind of stage that has no use for it.
    MisplacedKey = "E023",
    /// Two sinks on one file.
    SharedFile = "E024",
    /// A file outside the session folder.
    FileOutside = "E025",
    /// A plugin that is there and can't be used.
    UnusablePlugin = "E026",
    /// More of something than a pipeline may have.
    TooLarge = "E027",
    /// The world is not as the pipeline expects: found when a stage was opened.
    Environment = "E030",
    /// Data that a stage can't take: found when it was opened.
    Data = "E031",
    /// Reading or writing failed when a stage was opened.
    Io = "E032",
    /// A plugin broke its contract when it was opened.
    Plugin = "E033",
    /// A source or transform that nothing reads.
    Unread = "W001",
    /// A setting (`--set`) that the pipeline doesn't use.
    UnusedSetting = "W002",
}

impl Code {
    /// Whether it is an error or a warning.
    #[must_use]
    pub const fn severity(self) -> Severity {
        if self.number().as_bytes()[0] == b'W' { Severity::Warning } else { Severity::Error }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.number())
    }
}
