//! Tests with processes as Linux and Wine show them.

use super::*;

fn names(asked: Option<&str>, comm: &str, words: &[&str], executable: &str) -> Names {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Names { asked: asked.map(str::to_owned), comm: comm.to_owned(), words, executable: executable.to_owned() }
}

fn program(files: &[&str], names: &Names) -> Option<String> {
    let lines =
        files.iter().zip(1..).map(|(file, index)| format!("{index}000-{index}800 r-xp 0 0:0 0 {file}\n"));
    names.program(&maps::parse(&lines.collect::<String>())).map(|(name, _)| name)
}

#[test]
fn under_wine_the_program_is_the_game_however_long_its_name_is() {
    let loader = "/usr/lib/wine/wine64-preloader";
    let files = [loader, "/usr/lib/wine/wine64", "/games/DarkSoulsRemastered.exe", "/usr/lib/wine/ntdll.so"];
    for process in [
        names(
            Some("DarkSoulsRemastered.exe"),
            "DarkSoulsRemast",
            &[r"Z:\games\DarkSoulsRemastered.exe"],
            loader,
        ),
        names(Some("darksoulsremastered.exe"), "anything", &[], loader),
        names(Some("wine64-preloader.real"), "main", &["/games/DarkSoulsRemastered.exe"], loader),
        names(None, "DarkSoulsRemast", &[], loader),
        names(None, "wine", &["wine", "DarkSoulsRemastered.exe"], loader),
        names(None, "wine", &["wine64", "start", r"C:\DARKSOULSREMASTERED.EXE", "--windowed"], loader),
    ] {
        assert_eq!(program(&files, &process).as_deref(), Some("DarkSoulsRemastered.exe"), "{process:?}");
    }
}

#[test]
fn else_the_program_is_the_executable() {
    let files = [
        "/opt/UnrealGame-Linux-Core.so",
        "/opt/UnrealGame-Linux-Shipping",
        "/lib/libc.so.6",
        "/tmp/save.dat",
    ];
    let game = "/opt/UnrealGame-Linux-Shipping";
    for process in [
        names(None, "UnrealGame-Linu", &["./UnrealGame-Linux-Shipping", "/tmp/save.dat"], game),
        names(None, "UnrealGame-Linu", &["other"], game),
        names(Some("UnrealGame-Linux-Shipping"), "GameThread", &["x", "libc.so.6"], game),
    ] {
        assert_eq!(program(&files, &process).as_deref(), Some("UnrealGame-Linux-Shipping"), "{process:?}");
    }
    let started = names(
        None,
        "ld-linux-x86-64",
        &["/lib64/ld-linux-x86-64.so.2", "./game"],
        "/lib/ld-linux-x86-64.so.2",
    );
    assert_eq!(program(&["/opt/game", "/lib/ld-linux-x86-64.so.2"], &started).as_deref(), Some("game"));
    assert_eq!(program(&["/opt/other"], &names(None, "game", &["game"], "/opt/game")), None);
}

#[test]
fn a_process_is_called_by_its_thread_its_first_word_or_its_file() {
    let process = names(
        None,
        "LongNamedGame.e",
        &["/usr/bin/wine64", r"C:\LongNamedGame.exe"],
        "/usr/bin/wine64-preloader",
    );
    for name in ["LongNamedGame.e", "wine64", "wine64-preloader", "LongNamedGame.exe"] {
        assert!(process.is(name), "{name}");
    }
    for name in ["LongNamedGame.exf", "LongNamed", ""] {
        assert!(!process.is(name), "{name}");
    }
    assert_eq!(process.shown(), "LongNamedGame.e");
    assert_eq!(names(None, "LongNamedGame.e", &["./LongNamedGame.exe"], "").shown(), "LongNamedGame.exe");
}

#[test]
fn a_header_says_how_wide_pointers_are() {
    let elf = |class: u8, machine: u8| {
        let mut bytes = b"\x7FELF".to_vec();
        bytes.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, machine, 0]);
        bytes
    };
    let pe = |machine: u16| {
        let mut bytes = vec![0; 0x80];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3C] = 0x80;
        [bytes, b"PE\0\0".to_vec(), machine.to_le_bytes().to_vec()].concat()
    };
    let machine = |bytes: &[u8]| Machine::from_header(bytes).map(|machine| (machine.mode, machine.width));
    use PointerWidth::{Bytes4, Bytes8};
    for (bytes, expected) in [
        (elf(1, 3), (Some(Mode::Bits32), Bytes4)),
        (elf(2, 62), (Some(Mode::Bits64), Bytes8)),
        (elf(1, 62), (Some(Mode::Bits64), Bytes4)),
        (elf(2, 183), (None, Bytes8)),
        (pe(0x014C), (Some(Mode::Bits32), Bytes4)),
        (pe(0x8664), (Some(Mode::Bits64), Bytes8)),
    ] {
        assert_eq!(machine(&bytes), Some(expected));
    }
    for bytes in [&b""[..], b"MZ", b"\x7FELF\x01", b"\x7FELF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &pe(0xFFFF)]
    {
        assert_eq!(machine(bytes), None);
    }
    let managed = Machine::from_header(&pe(0x014C)).unwrap();
    assert_eq!((managed.at(0x40_0000), managed.at(0x1_4000_0000)), (managed, Machine::NATIVE));
}
