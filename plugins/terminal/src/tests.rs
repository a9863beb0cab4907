//! Real commands in real terminals: what they show is recorded whole, how they end is known, and the user's terminal is as it was.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use pty_process::blocking::Pty;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use rustix::termios::{LocalModes, Winsize};
use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::kinds::terminal::Size;
use tapedeck_sdk::testing::{FakeHost, conformance};

use super::*;
use crate::source::Terminal;
use crate::user::{Seat, User};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

type Frame = (String, Vec<u8>);

fn host() -> Arc<FakeHost> {
    FakeHost::new(Path::new("/nonexistent"))
}

fn open(options: &Value) -> Result<Box<dyn Source>, Error> {
    let factory = factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    open(options, Context { rate_hz: None, ..host().context("shell") })
}

fn frames(batch: &Batch) -> Vec<Frame> {
    let row = |row| (batch.column(1).str_at(row).to_owned(), batch.column(2).bytes_at(row).to_vec());
    (0..batch.rows()).map(row).collect()
}

fn next(source: &mut dyn Source, within: Duration) -> Option<Vec<Frame>> {
    match source.next(host().now() + within).unwrap() {
        Next::Batch { batch, .. } => Some(frames(&batch)),
        Next::Idle => Some(Vec::new()),
        Next::End => None,
    }
}

/// Everything until the end.
fn rest(source: &mut dyn Source) -> Vec<Frame> {
    let mut all = Vec::new();
    while let Some(frames) = next(source, PATIENCE) {
        all.extend(frames);
    }
    all
}

fn run(command: &[&str]) -> Vec<Frame> {
    rest(open(&json!({ "command": command })).unwrap().as_mut())
}

fn data(frames: &[Frame], code: &str) -> Vec<u8> {
    frames.iter().filter(|frame| frame.0 == code).flat_map(|frame| frame.1.clone()).collect()
}

fn text(frames: &[Frame], code: &str) -> String {
    String::from_utf8(data(frames, code)).unwrap()
}

#[test]
fn a_command_gives_its_size_its_output_and_its_exit_status() {
    let frames = run(&["/bin/sh", "-c", "stty size; tty >/dev/null && echo yes; exit 7"]);
    assert_eq!(frames[0], ("r".to_owned(), b"80x24".to_vec()));
    assert_eq!(text(&frames, "o"), "24 80\r\nyes\r\n");
    assert_eq!(frames.last().unwrap(), &("x".to_owned(), b"7".to_vec()));
    assert!(frames[1..frames.len() - 1].iter().all(|frame| frame.0 == "o"));
}

#[test]
fn the_options_say_what_the_command_finds() {
    let folder = tempfile::tempdir().unwrap();
    let options = json!({
        "command": ["/bin/sh", "-c", "pwd; echo $GREETING; stty size"], "env": { "GREETING": "hello" },
        "cwd": folder.path(), "width": 132, "height": 50
    });
    let frames = rest(open(&options).unwrap().as_mut());
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(text(&frames, "o"), format!("{}\r\nhello\r\n50 132\r\n", folder.display()));
    assert_eq!(frames[0].1, b"132x50");
}

#[test]
fn the_command_leads_a_session_with_the_terminal_as_its_own() {
    // Only a process whose controlling terminal it is can open /dev/tty, and only a session leader has its own number there.
    let frames = run(&[
        "/bin/sh",
        "-c",
        "echo through-tty >/dev/tty; read -r _ _ _ _ _ sid _ </proc/$$/stat; test $sid -eq $$ && echo leads",
    ]);
    assert_eq!(text(&frames, "o"), "through-tty\r\nleads\r\n");
}

#[test]
fn a_signal_that_ends_the_command_is_its_exit_status() {
    for (signal, status) in [("TERM", "143"), ("KILL", "137"), ("INT", "130")] {
        let frames = run(&["/bin/sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(text(&frames, "x"), status);
    }
}

#[test]
fn every_byte_of_much_output_is_there_in_frames_of_limited_size() {
    let command = "stty raw; head -c 3000000 /dev/zero | tr '\\0' '\\377'; printf '\\303\\050'; exit 0";
    let mut source = open(&json!({ "command": ["/bin/sh", "-c", command] })).unwrap();
    let mut bytes = Vec::new();
    while let Some(frames) = next(source.as_mut(), PATIENCE) {
        assert!(frames.iter().all(|frame| frame.1.len() <= 64 << 10));
        bytes.extend(data(&frames, "o"));
    }
    let (noise, end) = bytes.split_at(3_000_000);
    assert!(noise.iter().all(|&byte| byte == 0xff));
    assert_eq!(end, b"\xc3\x28");
}

#[test]
fn children_that_outlive_the_command_do_not_hold_up_the_end() {
    let mut source = open(&json!({ "command": ["/bin/sh", "-c", "sleep 1000 & echo $!"] })).unwrap();
    let frames = rest(source.as_mut());
    assert_eq!(text(&frames, "x"), "0");
    let sleeper: i32 = text(&frames, "o").trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(sleeper).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_command_that_closes_the_terminal_is_waited_for() {
    let frames = run(&["/bin/sh", "-c", "exec <&- >&- 2>&-; sleep 0.2; exit 5"]);
    assert_eq!(text(&frames, "x"), "5");
}

/// Whether the process is there, and not merely waiting to be reaped.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn a_command_that_takes_no_notice_of_a_hangup_is_killed() {
    let script = "trap '' HUP TERM; echo pid=$$.; while :; do sleep 1; done";
    let mut source = open(&json!({ "command": ["/bin/sh", "-c", script] })).unwrap();
    let mut seen = Vec::new();
    while !text(&seen, "o").contains('.') {
        seen.extend(next(source.as_mut(), PATIENCE).unwrap());
    }
    let output = text(&seen, "o");
    let pid = output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned();
    assert!(runs(&pid), "{output}");
    drop(source);
    assert!(!runs(&pid));
}

#[test]
fn nothing_to_give_is_idle_at_the_deadline() {
    let mut source = open(&json!({ "command": ["/bin/cat"] })).unwrap();
    assert_eq!(next(source.as_mut(), PATIENCE).unwrap()[0].0, "r");
    assert_eq!(next(source.as_mut(), Duration::from_millis(30)).unwrap(), []);
    assert_eq!(next(source.as_mut(), Duration::ZERO).unwrap(), []);
}

#[test]
fn what_can_not_be_started_says_why() {
    let error = open(&json!({ "command": ["no-such-program-at-all"] })).err().unwrap();
    assert!(error.message.starts_with("can't start \"no-such-program-at-all\""), "{error}");
    assert_eq!((error.kind, error.option.as_slice()), (ErrorKind::Environment, &["command".to_owned()][..]));
    let error = open(&json!({ "command": ["/bin/sh"], "cwd": "/no/such/folder" })).err().unwrap();
    assert!(error.message.ends_with("/no/such/folder") && error.hint.is_some(), "{error}");
    for (options, name) in [
        (json!({ "command": [""] }), "command"),
        (json!({ "env": { "A=B": "x" } }), "env"),
        (json!({ "height": 0 }), "height"),
        (json!({ "mark_key": "F1" }), "mark_key"),
        (json!({ "mark_key": "ctrl-\\" }), "mark_key"),
    ] {
        assert_eq!(factory().check(&options).unwrap_err().option[0], name);
    }
}

#[test]
fn the_contract_is_kept() {
    let script = "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i + 1)); done; exit 3";
    conformance::source(&factory(), &json!({ "command": ["/bin/sh", "-c", script] })).unwrap();
    conformance::source(&factory(), &json!({ "command": ["/bin/cat"] })).unwrap();
}

/// The user's terminal, of which the test holds the other side.
struct Desk {
    user: Pty,
    terminal: OwnedFd,
}

impl Desk {
    fn new() -> Self {
        let (user, terminal) = pty_process::blocking::open().unwrap();
        user.resize(pty_process::Size::new(30, 100)).unwrap();
        Self { user, terminal: terminal.as_fd().try_clone_to_owned().unwrap() }
    }

    fn attach(&self, options: &Value) -> Terminal {
        let options = serde_json::from_value(options.clone()).unwrap();
        let seat = Seat::new(self.terminal.as_fd(), self.terminal.as_fd()).unwrap();
        Terminal::start(&options, Some(seat), &Context { rate_hz: None, ..host().context("shell") }).unwrap()
    }

    fn press(&self, keys: &[u8]) {
        assert_eq!(rustix::io::write(&self.user, keys).unwrap(), keys.len());
    }

    /// What is on the screen and was not looked at yet.
    fn look(&self) -> Vec<u8> {
        let mut seen = Vec::with_capacity(1 << 16);
        while rustix::event::poll(&mut [PollFd::new(&self.user, PollFlags::IN)], Some(&Default::default()))
            .unwrap()
            > 0
        {
            seen.reserve(1 << 16);
            rustix::io::read(&self.user, rustix::buffer::spare_capacity(&mut seen)).unwrap();
        }
        seen
    }

    fn modes(&self) -> LocalModes {
        rustix::termios::tcgetattr(&self.terminal).unwrap().local_modes
    }
}

/// Calls the source until what it gave satisfies.
fn until(source: &mut Terminal, all: &mut Vec<Frame>, satisfied: impl Fn(&[Frame]) -> bool) {
    for _ in 0..10_000 {
        if satisfied(all) {
            return;
        }
        all.extend(next(source, Duration::from_millis(50)).expect("the command still runs"));
    }
    panic!("it never came: {all:?}");
}

fn shows(code: &'static str, part: &'static str) -> impl Fn(&[Frame]) -> bool {
    move |frames| String::from_utf8_lossy(&data(frames, code)).contains(part)
}

#[test]
fn an_attached_terminal_passes_input_and_output_on_and_is_put_back() {
    let desk = Desk::new();
    let before = desk.modes();
    let mut source = desk.attach(&json!({ "command": ["/bin/cat"], "input": true }));
    assert_eq!(desk.modes(), before, "nothing is changed before the first call");
    let mut all = Vec::new();
    until(&mut source, &mut all, |frames| !frames.is_empty());
    assert_eq!(all[0], ("r".to_owned(), b"100x30".to_vec()));
    assert!(!desk.modes().intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
    desk.press(b"h\xc3\xa9llo\r");
    until(&mut source, &mut all, shows("o", "héllo\r\nhéllo\r\n"));
    desk.press(b"\x04");
    all.extend(rest(&mut source));
    assert_eq!(String::from_utf8(desk.look()).unwrap(), "héllo\r\nhéllo\r\n");
    assert_eq!((text(&all, "i").as_str(), text(&all, "x").as_str()), ("héllo\r\u{4}", "0"));
    assert_eq!(desk.modes(), before);
}

#[test]
fn the_terminal_is_put_back_when_the_source_is_dropped_or_panics() {
    let desk = Desk::new();
    let before = desk.modes();
    let mut source = desk.attach(&json!({ "command": ["/bin/cat"] }));
    next(&mut source, PATIENCE);
    assert_ne!(desk.modes(), before);
    drop(source);
    assert_eq!(desk.modes(), before);
    let mut source = desk.attach(&json!({ "command": ["/bin/cat"] }));
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
        next(&mut source, PATIENCE);
        panic!("a bug");
    }));
    assert!(panicked.is_err());
    assert_eq!(desk.modes(), before);
}

#[test]
fn a_change_of_the_window_is_followed_unless_the_size_is_fixed() {
    let desk = Desk::new();
    let fixed = Desk::new();
    let options =
        json!({ "command": ["/bin/sh", "-c", "trap 'stty size' WINCH; while :; do read line; done"] });
    let mut source = desk.attach(&options);
    let mut all = Vec::new();
    until(&mut source, &mut all, |frames| !frames.is_empty());
    let mut still = fixed.attach(&json!({ "command": ["/bin/cat"], "width": 100, "height": 30 }));
    next(&mut still, PATIENCE);
    for desk in [&desk, &fixed] {
        let size = Winsize { ws_row: 41, ws_col: 123, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&desk.user, size).unwrap();
    }
    rustix::process::kill_process(rustix::process::getpid(), Signal::WINCH).unwrap();
    until(&mut source, &mut all, shows("r", "100x30123x41"));
    assert_eq!(next(&mut still, Duration::from_millis(50)).unwrap(), []);
}

#[test]
fn the_pixels_of_the_window_pass_also_where_they_change_alone() {
    let desk = Desk::new();
    let window = |width, height| Winsize { ws_row: 30, ws_col: 100, ws_xpixel: width, ws_ypixel: height };
    rustix::termios::tcsetwinsize(&desk.user, window(1000, 600)).unwrap();
    let mut source =
        desk.attach(&json!({ "command": ["/bin/sh", "-c", "tty; while :; do read line; done"] }));
    let mut all = Vec::new();
    until(&mut source, &mut all, shows("o", "\n"));
    let path = String::from_utf8(data(&all, "o")).unwrap().trim().to_owned();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOCTTY;
    let terminal = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    let pixels = || {
        let size = rustix::termios::tcgetwinsize(&terminal).unwrap();
        (size.ws_xpixel, size.ws_ypixel)
    };
    assert_eq!(pixels(), (1000, 600));
    rustix::termios::tcsetwinsize(&desk.user, window(1500, 900)).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), Signal::WINCH).unwrap();
    for _ in 0..1000 {
        assert_eq!(
            next(&mut source, Duration::from_millis(20)).unwrap(),
            [],
            "the size in cells is the same"
        );
        if pixels() == (1500, 900) {
            return;
        }
    }
    panic!("the pixels are {:?}", pixels());
}

#[test]
fn keys_set_marks_and_pause_the_recording_and_are_not_passed_on() {
    let desk = Desk::new();
    let mut source = desk.attach(&json!({ "command": ["/bin/cat"], "mark_key": "ctrl-x", "input": true }));
    let mut all = Vec::new();
    until(&mut source, &mut all, |frames| !frames.is_empty());
    desk.press(b"\x18");
    until(&mut source, &mut all, |frames| frames.iter().any(|frame| frame.0 == "m"));
    // Paused from here on: the user sees everything, the recording nothing.
    desk.press(b"\x1c");
    assert_eq!(next(&mut source, Duration::from_millis(20)).unwrap(), []);
    desk.press(b"secret\r");
    let mut seen = Vec::new();
    for _ in 0..1000 {
        assert_eq!(next(&mut source, Duration::from_millis(20)).unwrap(), []);
        seen.extend(desk.look());
        if seen.ends_with(b"secret\r\nsecret\r\n") {
            break;
        }
    }
    assert_eq!(seen, b"secret\r\nsecret\r\n");
    desk.press(b"\x1c");
    assert_eq!(next(&mut source, Duration::from_millis(20)).unwrap(), []);
    desk.press(b"open\r");
    until(&mut source, &mut all, shows("o", "open\r\nopen\r\n"));
    // Among other bytes it was pasted, and is the command's.
    desk.press(b"a\x18b\r");
    until(&mut source, &mut all, shows("o", "a^Xb\r\na\u{18}b\r\n"));
    let whole = format!("{all:?}");
    assert!(!whole.contains("secret") && !data(&all, "i").contains(&0x1c), "{whole}");
}

#[test]
fn a_line_that_is_not_echoed_is_announced() {
    let desk = Desk::new();
    let script =
        "stty -echo; printf 'Password: '; read line; stty echo; printf '\\nName: '; read line; exit 0";
    let mut source = desk.attach(&json!({ "command": ["/bin/sh", "-c", script], "input": true }));
    let mut all = Vec::new();
    until(&mut source, &mut all, shows("o", "Password: "));
    desk.press(b"hunter2\r");
    until(&mut source, &mut all, shows("o", "Name: "));
    desk.press(b"alice\r");
    all.extend(rest(&mut source));
    let marks: Vec<Frame> = all.into_iter().filter(|frame| matches!(frame.0.as_str(), "e" | "i")).collect();
    let expected = [("e", "off"), ("i", "hunter2\r"), ("e", "on"), ("i", "alice\r")];
    assert_eq!(marks, expected.map(|(code, data)| (code.to_owned(), data.as_bytes().to_vec())));
}

#[test]
fn a_user_who_does_not_look_holds_the_command_up_and_loses_nothing() {
    let desk = Desk::new();
    let script = "stty raw; head -c 2000000 /dev/zero | tr '\\0' 'x'; printf END";
    let mut source = desk.attach(&json!({ "command": ["/bin/sh", "-c", script] }));
    let mut recorded = Vec::new();
    // Nobody reads: soon nothing moves any more, and every call is back at its deadline.
    loop {
        match next(&mut source, Duration::from_millis(100)) {
            Some(frames) if frames.is_empty() => break,
            Some(frames) => recorded.extend(data(&frames, "o")),
            None => panic!("it ended with nobody looking"),
        }
    }
    assert!(recorded.len() < 1_000_000, "{}", recorded.len());
    let mut seen = desk.look();
    while let Some(frames) = next(&mut source, Duration::from_millis(20)) {
        recorded.extend(data(&frames, "o"));
        seen.extend(desk.look());
    }
    seen.extend(desk.look());
    assert_eq!((recorded.len(), seen.len()), (2_000_003, 2_000_003));
    assert!(recorded == seen && seen.ends_with(b"xEND"));
}

#[test]
fn input_that_the_command_does_not_read_waits() {
    let desk = Desk::new();
    let script = "stty raw -echo; echo ready; read -r line <&- 2>/dev/null; sleep 0.3; head -c 60000 | wc -c";
    let mut source = desk.attach(&json!({ "command": ["/bin/sh", "-c", script] }));
    let mut all = Vec::new();
    until(&mut source, &mut all, shows("o", "ready"));
    for _ in 0..60 {
        desk.press(&[b'y'; 1000]);
        all.extend(next(&mut source, Duration::from_millis(1)).unwrap());
    }
    all.extend(rest(&mut source));
    assert!(text(&all, "o").contains("60000"), "{}", text(&all, "o"));
}

#[test]
fn a_command_that_is_told_to_stop_is_recorded_to_its_end() {
    let script = "trap 'echo bye; exit 4' HUP; echo ready; while :; do sleep 0.02; done";
    let desk = Desk::new();
    let mut source = desk.attach(&json!({ "command": ["/bin/sh", "-c", script] }));
    let mut all = Vec::new();
    until(&mut source, &mut all, shows("o", "ready"));
    assert!(source.stop().unwrap());
    all.extend(rest(&mut source));
    assert!(text(&all, "o").ends_with("bye\r\n"), "{all:?}");
    assert_eq!(text(&all, "x"), "4");
    assert!(!source.stop().unwrap(), "all was given");
}

#[test]
fn a_terminal_that_never_catches_up_costs_no_more_memory() {
    const PIECE: usize = 1000;
    let desk = Desk::new();
    let mut user = User::sit(Seat::new(desk.terminal.as_fd(), desk.terminal.as_fd()).unwrap()).unwrap();
    user.show(&[b'x'; 60_000]);
    let mut seen = Vec::new();
    for _ in 0..500 {
        assert!(user.backlog() > 0, "it is always behind");
        user.show(&[b'x'; PIECE]);
        let wanted = seen.len() + PIECE;
        while seen.len() < wanted {
            let mut buffer = vec![0; wanted - seen.len()];
            let count = rustix::io::read(&desk.user, &mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        user.catch_up();
        assert!(user.kept() < 200_000, "{} bytes are kept", user.kept());
    }
}

#[test]
fn what_the_terminal_answers_is_passed_on_and_never_a_key() {
    let desk = Desk::new();
    let script = "stty raw -echo; echo ready; head -c 60 | od -An -c";
    let options = json!({ "command": ["/bin/sh", "-c", script], "mark_key": "1", "input": true });
    let mut source = desk.attach(&options);
    let mut all = Vec::new();
    until(&mut source, &mut all, shows("o", "ready"));
    // Byte by byte, each a read of its own: an answer, a paste, a report of focus.
    let typed = b"\x1b]11;rgb:1111/1111/1111\x1b\\\x1b[200~1\x1c1\x1b[201~\x1b[I\x1b[?1;11c";
    for (at, byte) in typed.iter().enumerate() {
        desk.press(&[*byte]);
        until(&mut source, &mut all, |frames| data(frames, "i").len() > at);
    }
    desk.press(b"1");
    until(&mut source, &mut all, |frames| frames.iter().any(|frame| frame.0 == "m"));
    assert_eq!(all.iter().filter(|frame| frame.0 == "m").count(), 1, "the key is one: {all:?}");
    assert_eq!(data(&all, "i"), typed);
}

/// A source whose user has a pipe or a file as standard input; what it shows is not looked at.
fn piped(input: &OwnedFd, options: &Value) -> Terminal {
    let output = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let options = serde_json::from_value(options.clone()).unwrap();
    let seat = Seat::new(input.as_fd(), output.as_fd()).unwrap();
    Terminal::start(&options, Some(seat), &Context { rate_hz: None, ..host().context("shell") }).unwrap()
}

#[test]
fn piped_input_reaches_the_command_and_the_recording_byte_by_byte() {
    // A line longer than a terminal takes, its control codes, no end of the last line.
    let mut input = [b'x'; 100_000].to_vec();
    input.extend(b"\n\x03\x04\x1a\x00\r\n\xff".repeat(100));
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    let script = format!("cat >{}; tty; [ -t 1 ] && echo terminal", taken.display());
    let mut source = piped(&file.into(), &json!({ "command": ["/bin/sh", "-c", script], "input": true }));
    let frames = rest(&mut source);
    assert!(std::fs::read(taken).unwrap() == input, "the command got every byte");
    assert!(data(&frames, "i") == input, "so did the recording");
    assert_eq!(text(&frames, "o"), "not a tty\r\nterminal\r\n");
}

#[test]
fn a_command_that_leaves_its_input_does_not_hold_up_the_end() {
    let endless = std::fs::File::open("/dev/zero").unwrap().into();
    let mut source = piped(&endless, &json!({ "command": ["/bin/sh", "-c", "exec <&-; exit 3"] }));
    assert_eq!(text(&rest(&mut source), "x"), "3");
}

#[test]
fn output_in_a_pause_does_not_keep_a_call_from_coming_back() {
    let fake = host();
    let options = json!({ "command": ["timeout", "5", "yes"] });
    let context = Context { rate_hz: None, ..fake.context("shell") };
    let mut source = Terminal::start(&serde_json::from_value(options).unwrap(), None, &context).unwrap();
    until(&mut source, &mut Vec::new(), shows("o", "y"));
    fake.pause();
    for _ in 0..10 {
        let given = source.next(fake.now() + Duration::from_millis(20)).unwrap();
        assert!(matches!(given, Next::Idle), "{given:?}");
    }
}

#[test]
fn a_key_that_a_program_has_reported_in_another_notation_is_a_key() {
    for key in [&b"\x1c"[..], b"\x1b[92;5u", b"\x1b[27;5;92~"] {
        let desk = Desk::new();
        let fake = host();
        let options = serde_json::from_value(json!({ "command": ["/bin/cat"], "input": true })).unwrap();
        let seat = Seat::new(desk.terminal.as_fd(), desk.terminal.as_fd()).unwrap();
        let context = Context { rate_hz: None, ..fake.context("shell") };
        let mut source = Terminal::start(&options, Some(seat), &context).unwrap();
        until(&mut source, &mut Vec::new(), |frames| !frames.is_empty());
        desk.press(key);
        assert_eq!(next(&mut source, PATIENCE).unwrap(), [], "{}", key.escape_ascii());
        assert!(fake.is_paused(), "{}", key.escape_ascii());
        fake.resume();
        // The same sequence with a mouse report before it is something else.
        desk.press(b"\x1b[M   \x1b[27;5;92~\r");
        let mut all = Vec::new();
        until(&mut source, &mut all, |frames| data(frames, "i").ends_with(b"\r"));
    }
}

#[test]
fn the_pixels_are_those_of_the_terminal_that_has_the_size() {
    let desk = Desk::new();
    let window = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 1000, ws_ypixel: 600 };
    rustix::termios::tcsetwinsize(&desk.user, window).unwrap();
    let (_reader, pipe) = std::io::pipe().unwrap();
    let seat = Seat::new(desk.terminal.as_fd(), pipe.as_fd()).unwrap();
    assert_eq!(seat.window(), Some((Size { columns: 100, rows: 30 }, (1000, 600))));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a write that waits must not hold the tests up")]
fn output_that_nobody_takes_waits_whatever_it_goes_to() {
    let (socket, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let (reader, pipe) = std::io::pipe().unwrap();
    let input = std::fs::File::open("/dev/null").unwrap();
    for output in [socket.as_fd(), pipe.as_fd()] {
        let seat = Seat::new(input.as_fd(), output).unwrap();
        let (done, shown) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut user = User::sit(seat).unwrap();
            user.show(&[b'x'; 4 << 20]);
            done.send(user.backlog()).unwrap();
        });
        assert!(shown.recv_timeout(PATIENCE).expect("nothing waits") > 0);
    }
    drop((peer, reader));
}
