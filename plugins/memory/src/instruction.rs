//! Which address an x86 instruction names: relative to its own end, which only decoding tells, or absolute. Pure: gets bytes;
//! knows neither processes nor options.

use std::ops::Range;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};

use crate::pattern::Pattern;

/// The most bytes of an instruction.
pub(crate) const INSTRUCTION_BYTES_MAX: usize = 15;
/// Bytes of a displacement.
pub(crate) const DISPLACEMENT_BYTES: usize = 4;
/// Segment, operand size, address size, `REP`, and `REX`: prefixes that may stand before a pattern's first byte.
const PREFIXES: &[u8] = &[0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3];
const PREFIXES_REX: Range<u8> = 0x40..0x50;
const PREFIXES_MAX: usize = 4;

/// Which code a module holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Bits32,
    Bits64,
}

/// Bytes around a match.
#[derive(Debug)]
pub(crate) struct Neighbourhood<'a> {
    pub(crate) mode: Mode,
    /// Of the first of `bytes`.
    pub(crate) address: u64,
    pub(crate) bytes: &'a [u8],
    /// Where the match begins in `bytes`.
    pub(crate) begin: usize,
}

/// Why a match names no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// No instruction has an address where the pattern has `??`.
    NoAddress,
    /// The instruction may begin before the match, which moves its end.
    Several(Vec<u64>),
}

/// How likely a number of an instruction is to be the address of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// A memory operand without a register.
    Static,
    /// A branch's target, an immediate, the begin of a table.
    Other,
    /// Counted from an object or a thread: no address.
    Relative,
}

/// A number in an instruction that is, or leads to, an address.
#[derive(Debug, Clone, Copy)]
struct Named {
    rank: Rank,
    /// Where the number begins, counted from the match.
    at: usize,
    target: u64,
}

/// What decoding from the begin of the match to its end gives.
struct InOrder {
    /// With where the instruction of each begins.
    numbers: Vec<(usize, Named)>,
    /// Where decoding ended, which is before the match's end if there is no instruction.
    end: usize,
}

/// The address that the match names at the number at `displacement`; without it, at the first number that holds a `??`, static
/// variables first.
pub(crate) fn named_address(
    near: &Neighbourhood<'_>,
    pattern: &Pattern,
    displacement: Option<usize>,
) -> Result<u64, Unclear> {
    let wanted = |named: &Named, bytes: usize| match displacement {
        Some(at) => named.at == at,
        None => pattern.has_wildcard(named.at..named.at + bytes),
    };
    let inside = near.in_order(pattern.len(), &wanted);
    let first = |rank| inside.numbers.iter().copied().find(|(_, named)| named.rank == rank);
    if let Some((start, named)) = first(Rank::Static) {
        return near.checked(start, named);
    }
    let holds_run = |named: &Named, bytes: usize| {
        wanted(named, bytes) && (displacement.is_some() || pattern.begins_run(named.at))
    };
    let undecoded = inside.end..near.begin + pattern.len();
    match near.around(undecoded, &holds_run)[..] {
        [only] => Ok(only),
        [] => first(Rank::Other).map(|(_, named)| named.target).ok_or(Unclear::NoAddress),
        ref several => Err(Unclear::Several(several.to_vec())),
    }
}

impl Neighbourhood<'_> {
    fn decode(&self, from: usize) -> Option<(Instruction, Vec<(Named, usize)>)> {
        let bits = match self.mode {
            Mode::Bits32 => 32,
            Mode::Bits64 => 64,
        };
        let bytes = self.bytes.get(from..)?;
        let mut decoder =
            Decoder::with_ip(bits, bytes, self.address.wrapping_add(from as u64), DecoderOptions::NONE);
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let offsets = decoder.get_constant_offsets(&instruction);
        let mut numbers = Vec::new();
        let mut push = |(rank, target): (Rank, u64), offset: usize, bytes: usize| {
            // A number that begins before the match has no `??`.
            if let Some(at) = (from + offset).checked_sub(self.begin) {
                numbers.push((Named { rank, at, target }, bytes));
            }
        };
        if offsets.displacement_size() >= DISPLACEMENT_BYTES {
            push(self.operand(&instruction), offsets.displacement_offset(), offsets.displacement_size());
        }
        if offsets.immediate_size() >= DISPLACEMENT_BYTES {
            push(self.immediate(&instruction), offsets.immediate_offset(), offsets.immediate_size());
        }
        Some((instruction, numbers))
    }

    /// The memory operand with a displacement.
    fn operand(&self, instruction: &Instruction) -> (Rank, u64) {
        let (base, target) = (instruction.memory_base(), instruction.memory_displacement64());
        let is_table = base != Register::None || instruction.memory_index() != Register::None;
        match (self.mode, base) {
            _ if matches!(instruction.memory_segment(), Register::FS | Register::GS) => {
                (Rank::Relative, target)
            }
            _ if instruction.is_ip_rel_memory_operand() || !is_table => (Rank::Static, target),
            (Mode::Bits64, Register::None) => (Rank::Other, target),
            (Mode::Bits64, _) | (Mode::Bits32, Register::EBP | Register::ESP) => (Rank::Relative, target),
            (Mode::Bits32, _) => (Rank::Other, target & u64::from(u32::MAX)),
        }
    }

    /// A branch's target, or a number that is as wide as an address.
    fn immediate(&self, instruction: &Instruction) -> (Rank, u64) {
        let branches = [OpKind::NearBranch32, OpKind::NearBranch64];
        if instruction.op_count() > 0 && branches.contains(&instruction.op0_kind()) {
            return (Rank::Other, instruction.near_branch_target());
        }
        let last = instruction.op_count().saturating_sub(1);
        let fits = match (self.mode, instruction.try_op_kind(last)) {
            (Mode::Bits32, Ok(kind)) => kind == OpKind::Immediate32,
            (Mode::Bits64, Ok(OpKind::Immediate32 | OpKind::Immediate64)) => {
                matches!(instruction.code(), Code::Mov_r32_imm32 | Code::Mov_r64_imm64)
            }
            _ => false,
        };
        if fits { (Rank::Other, instruction.immediate(last)) } else { (Rank::Relative, 0) }
    }

    /// The numbers of the instructions that follow each other from the begin of the match.
    fn in_order(&self, length: usize, wanted: &dyn Fn(&Named, usize) -> bool) -> InOrder {
        let (mut end, mut all) = (self.begin, Vec::new());
        while end < self.begin + length {
            let Some((instruction, numbers)) = self.decode(end) else { break };
            let numbers = numbers.into_iter().filter(|(named, bytes)| wanted(named, *bytes));
            all.extend(numbers.map(|(named, _)| (end, named)));
            end += instruction.len();
        }
        InOrder { numbers: all, end }
    }

    /// The static variables of all instructions that may begin before the match or in its part that is `undecoded`: for a pattern
    /// that begins within an instruction, or holds other bytes.
    fn around(&self, undecoded: Range<usize>, wanted: &dyn Fn(&Named, usize) -> bool) -> Vec<u64> {
        let first = self.begin.saturating_sub(INSTRUCTION_BYTES_MAX - DISPLACEMENT_BYTES);
        let mut targets = Vec::new();
        for from in (first..self.begin).chain(undecoded) {
            let numbers = self.decode(from).map(|(_, numbers)| numbers).unwrap_or_default();
            for (named, bytes) in numbers {
                let is_new = named.rank == Rank::Static && !targets.contains(&named.target);
                if is_new && wanted(&named, bytes) {
                    targets.push(named.target);
                }
            }
        }
        targets
    }

    /// What an instruction names, unless a prefix that stands before the match changes it (`66` before `C7 05`: the instruction is
    /// two bytes shorter).
    fn checked(&self, start: usize, named: Named) -> Result<u64, Unclear> {
        if start != self.begin {
            return Ok(named.target);
        }
        let before = self.bytes[..start].iter().rev().take(PREFIXES_MAX);
        let prefixes =
            before.take_while(|&byte| PREFIXES.contains(byte) || PREFIXES_REX.contains(byte)).count();
        let longer = (1..=prefixes).filter_map(|count| self.decode(start - count));
        let is_other = |(other, _): &(Named, usize)| {
            other.at == named.at && (other.rank, other.target) != (named.rank, named.target)
        };
        match longer.flat_map(|(_, numbers)| numbers).find(is_other) {
            None => Ok(named.target),
            Some((other, _)) if other.rank == Rank::Relative => Err(Unclear::NoAddress),
            Some((other, _)) => Err(Unclear::Several(vec![named.target, other.target])),
        }
    }
}

#[cfg(test)]
#[path = "instruction_tests.rs"]
mod tests;
