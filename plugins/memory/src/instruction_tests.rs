//! Tests of machine code as compilers write it. The bytes stand at address 0x1000 after `before`; the distance is 0x100.

use super::*;

const ADDRESS: u64 = 0x1000;

fn bytes(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// `code` is the match, `before` stands before it. The pattern has `??` at `wildcards`.
fn named(
    mode: Mode,
    before: &str,
    code: &str,
    wildcards: Range<usize>,
    displacement: Option<usize>,
) -> Result<u64, Unclear> {
    let words = code.split_whitespace().enumerate();
    let pattern: Vec<&str> =
        words.map(|(at, byte)| if wildcards.contains(&at) { "??" } else { byte }).collect();
    let before = bytes(before);
    let all = [before.clone(), bytes(code), bytes("90 90 90 90")].concat();
    let near =
        Neighbourhood { mode, address: ADDRESS - before.len() as u64, bytes: &all, begin: before.len() };
    named_address(&near, &pattern.join(" ").parse().unwrap(), displacement)
}

#[test]
fn the_distance_counts_from_the_end_of_the_instruction_whatever_its_length() {
    for (code, at, end) in [
        ("48 8B 05 00 01 00 00 48 85 C0", 3, 7),       // mov rax, [rip+d]
        ("8B 05 00 01 00 00 85 C0", 2, 6),             // mov eax, [rip+d]
        ("F3 0F 10 05 00 01 00 00", 4, 8),             // movss xmm0, [rip+d]
        ("F3 44 0F 10 05 00 01 00 00", 5, 9),          // movss xmm8, [rip+d]
        ("C5 FA 10 05 00 01 00 00", 4, 8),             // vmovss xmm0, [rip+d]
        ("62 F1 7C 48 10 05 00 01 00 00", 6, 10),      // vmovups zmm0, [rip+d]
        ("80 3D 00 01 00 00 01 74 10", 2, 7),          // cmp byte [rip+d], 1
        ("66 C7 05 00 01 00 00 05 00", 3, 9),          // mov word [rip+d], 5
        ("48 C7 05 00 01 00 00 05 00 00 00", 3, 11),   // mov qword [rip+d], 5
        ("C7 05 00 01 00 00 05 00 00 00", 2, 10),      // mov dword [rip+d], 5
        ("FF 0D 00 01 00 00", 2, 6),                   // dec dword [rip+d]
        ("48 8D 0D 00 01 00 00 E8 00 00 00 00", 3, 7), // lea rcx, [rip+d]; call
        ("0F B6 05 00 01 00 00", 3, 7),                // movzx eax, byte [rip+d]
        ("E8 00 01 00 00", 1, 5),                      // call d
        ("0F 84 00 01 00 00", 2, 6),                   // je d
        ("89 C3 89 D8 48 8B 05 00 01 00 00", 7, 11),   // two others before it
    ] {
        assert_eq!(named(Mode::Bits64, "90", code, at..at + 4, None), Ok(ADDRESS + end + 0x100), "{code}");
    }
    // Backwards, too.
    assert_eq!(named(Mode::Bits64, "90", "8B 05 F0 FF FF FF", 2..6, None), Ok(ADDRESS + 6 - 16));
}

#[test]
fn a_pattern_may_leave_other_bytes_open_and_know_part_of_the_distance() {
    // The register, the high bytes known, the low byte known.
    assert_eq!(named(Mode::Bits64, "90", "48 8B 05 00 01 00 00", 1..2, Some(3)), Ok(ADDRESS + 0x107));
    assert_eq!(named(Mode::Bits64, "90", "48 8B 05 00 01 00 00", 3..5, None), Ok(ADDRESS + 0x107));
    assert_eq!(named(Mode::Bits64, "90", "48 8B 05 00 01 00 00", 4..7, None), Ok(ADDRESS + 0x107));
    // `mov rcx, [rbx+??]` names a field, no variable: the next one is meant.
    let code = "48 8B 8B 00 02 00 00 8B 05 00 01 00 00";
    assert_eq!(named(Mode::Bits64, "90", code, 3..13, None), Ok(ADDRESS + 13 + 0x100));
}

#[test]
fn a_variable_goes_before_a_call_unless_the_place_is_given() {
    let code = "E8 00 02 00 00 8B 05 00 01 00 00";
    assert_eq!(named(Mode::Bits64, "90", code, 1..11, None), Ok(ADDRESS + 11 + 0x100));
    assert_eq!(named(Mode::Bits64, "90", code, 1..11, Some(1)), Ok(ADDRESS + 5 + 0x200));
    assert_eq!(named(Mode::Bits64, "90", code, 1..11, Some(2)), Err(Unclear::NoAddress));
}

#[test]
fn a_pattern_that_begins_within_an_instruction_is_understood_by_the_bytes_before_it() {
    assert_eq!(named(Mode::Bits64, "90 48 8B", "05 00 01 00 00 48 85 C0", 1..5, None), Ok(ADDRESS + 0x105));
    assert_eq!(named(Mode::Bits64, "90 80 3D", "00 01 00 00 01 74 10", 0..4, None), Ok(ADDRESS + 0x105));
    let thread = named(Mode::Bits64, "90 64 48", "8B 04 25 00 01 00 00", 3..7, None);
    assert_eq!(thread, Err(Unclear::NoAddress));
    // What stands before may be two instructions.
    let unclear = named(Mode::Bits64, "66", "C7 05 00 01 00 00 05 00 90 90", 2..6, None);
    assert_eq!(unclear, Err(Unclear::Several(vec![ADDRESS + 0x10A, ADDRESS + 0x108])));
}

#[test]
fn absolute_addresses_are_taken_as_they_are() {
    for (mode, code, wildcards, expected) in [
        (Mode::Bits32, "A1 00 90 04 08", 1..5, 0x0804_9000), // mov eax, [a]
        (Mode::Bits32, "8B 0D 00 90 04 08", 2..6, 0x0804_9000), // mov ecx, [a]
        (Mode::Bits32, "D9 05 00 90 04 08", 2..6, 0x0804_9000), // fld [a]
        (Mode::Bits32, "83 3D 00 90 04 80 00", 2..6, 0x8004_9000), // cmp dword [a], 0
        (Mode::Bits32, "C7 05 00 90 04 08 00 00 00 01", 2..10, 0x0804_9000), // mov dword [a], i
        (Mode::Bits32, "8B 04 85 00 90 04 08", 3..7, 0x0804_9000), // mov eax, [eax*4+a]
        (Mode::Bits32, "8A 80 00 90 04 88", 2..6, 0x8804_9000), // mov al, [eax+a]
        (Mode::Bits32, "B9 00 90 04 08", 1..5, 0x0804_9000), // mov ecx, a
        (Mode::Bits32, "68 00 90 04 08 E8 00 00 00 00", 1..10, 0x0804_9000), // push a; call
        (Mode::Bits32, "8B 89 10 01 00 00 A1 00 90 04 08", 2..11, 0x0804_9000), // a field, a variable
        (Mode::Bits32, "E8 00 01 00 00", 1..5, 0x1105),      // call d
        (Mode::Bits64, "8B 04 25 00 90 40 00", 3..7, 0x0040_9000), // mov eax, [a]
        (Mode::Bits64, "48 B8 00 90 04 08 01 00 00 00", 2..10, 0x1_0804_9000), // mov rax, a
        (Mode::Bits64, "BF 00 90 40 00", 1..5, 0x0040_9000), // mov edi, a
    ] {
        assert_eq!(named(mode, "90", code, wildcards, None), Ok(expected), "{code}");
    }
}

#[test]
fn what_names_no_address_is_refused() {
    for (mode, code, wildcards) in [
        (Mode::Bits64, "48 8B 83 00 01 00 00", 3..7), // mov rax, [rbx+d]
        (Mode::Bits64, "64 48 8B 04 25 00 01 00 00", 5..9), // mov rax, fs:[d]
        (Mode::Bits64, "05 00 01 00 00", 1..5),       // add eax, i
        (Mode::Bits64, "06 00 01 00 00", 1..5),       // invalid
        (Mode::Bits64, "74 10", 1..2),                // je: eight bits
        (Mode::Bits32, "8B 85 00 01 00 00", 2..6),    // mov eax, [ebp+d]
        (Mode::Bits32, "65 A1 14 00 00 00", 2..6),    // mov eax, gs:[d]
    ] {
        assert_eq!(named(mode, "90", code, wildcards, None), Err(Unclear::NoAddress), "{code}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(
        code in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..40), begin in 0_usize..40, address: u64, is_32: bool,
        displacement in proptest::option::of(0_usize..60),
    ) {
        let mode = if is_32 { Mode::Bits32 } else { Mode::Bits64 };
        let near = Neighbourhood { mode, address, bytes: &code, begin: begin.min(code.len()) };
        drop(named_address(&near, &"48 8B ?? ?? ?? ?? ??".parse().unwrap(), displacement));
    }
}
