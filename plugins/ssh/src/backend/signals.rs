//! SSH's signal names (RFC 4254, section 6.10) and this system's signals.

use russh::Sig;
use rustix::process::Signal;

/// The names of the RFC.
const STANDARD: [(Sig, Signal); 12] = [
    (Sig::ABRT, Signal::ABORT),
    (Sig::ALRM, Signal::ALARM),
    (Sig::FPE, Signal::FPE),
    (Sig::HUP, Signal::HUP),
    (Sig::ILL, Signal::ILL),
    (Sig::INT, Signal::INT),
    (Sig::KILL, Signal::KILL),
    (Sig::PIPE, Signal::PIPE),
    (Sig::QUIT, Signal::QUIT),
    (Sig::SEGV, Signal::SEGV),
    (Sig::TERM, Signal::TERM),
    (Sig::USR1, Signal::USR1),
];

/// Names that the library has no variant for. The RFC knows the first; the others go with a suffix.
const OTHERS: [(&str, Signal); 18] = [
    ("USR2", Signal::USR2),
    ("BUS", Signal::BUS),
    ("CHLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("IO", Signal::IO),
    ("PROF", Signal::PROF),
    ("PWR", Signal::POWER),
    ("STKFLT", Signal::STKFLT),
    ("STOP", Signal::STOP),
    ("SYS", Signal::SYS),
    ("TRAP", Signal::TRAP),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("VTALRM", Signal::VTALARM),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
];

/// Suffix of names that are not the RFC's.
const SUFFIX: &str = "@tapedeck";

/// This system's signal of an SSH name, with or without a suffix.
pub(crate) fn number(name: &Sig) -> Option<Signal> {
    let Sig::Custom(name) = name else {
        let name = text(name);
        return STANDARD.iter().find(|(standard, _)| text(standard) == name).map(|(_, signal)| *signal);
    };
    let plain = name.split('@').next().unwrap_or_default();
    OTHERS.iter().find(|(other, _)| *other == plain).map(|(_, signal)| *signal)
}

/// SSH's name of a signal.
pub(crate) fn name(raw: i32) -> Sig {
    if let Some((name, _)) = STANDARD.iter().find(|(_, signal)| signal.as_raw() == raw) {
        return name.clone();
    }
    Sig::Custom(match OTHERS.iter().find(|(_, signal)| signal.as_raw() == raw) {
        Some((name, Signal::USR2)) => (*name).to_owned(),
        Some((name, _)) => format!("{name}{SUFFIX}"),
        None => format!("SIG{raw}{SUFFIX}"),
    })
}

/// A name as it is sent.
pub(crate) fn text(name: &Sig) -> String {
    match name {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_rfc_is_sent_as_it_stands_there_and_others_with_a_suffix() {
        let standard = "ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2";
        let signals = STANDARD.map(|(_, signal)| signal).into_iter().chain([Signal::USR2]);
        let names: Vec<String> = signals.map(|signal| text(&name(signal.as_raw()))).collect();
        assert_eq!(names.join(" "), standard);
        assert_eq!(text(&name(Signal::BUS.as_raw())), "BUS@tapedeck");
        assert_eq!(text(&name(40)), "SIG40@tapedeck");
        let all = STANDARD.iter().map(|(_, signal)| *signal).chain(OTHERS.iter().map(|(_, signal)| *signal));
        for signal in all {
            assert_eq!(number(&name(signal.as_raw())), Some(signal));
        }
        assert_eq!(number(&Sig::Custom("SIG@openssh.com".to_owned())), None);
    }
}
