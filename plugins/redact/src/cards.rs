//! Numbers of payment cards among digits. Knows nothing of what stands around them but whether that is a digit.

use std::ops::Range;

/// How many digits a card's number has (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Gives `found` each run of at least as many digits as the shortest number has, grouped by single blanks or dashes, from `from` on.
pub(crate) fn runs(text: &[u8], from: usize, mut found: impl FnMut(Range<usize>)) {
    let is_part = |at: usize| matches!(text[at], b'0'..=b'9' | b' ' | b'-');
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let shortest = *DIGITS.start();
    let mut at = from;
    while at + shortest <= text.len() {
        // A run that begins here reaches the last byte of as many. Most text is passed over in such steps.
        let last = at + shortest - 1;
        if !is_part(last) {
            at = last + 1;
            continue;
        }
        let gap = (at..last).rev().find(|&place| !is_part(place));
        if let Some(gap) = gap {
            at = gap + 1;
            continue;
        }
        let begin = (at..text.len()).find(|&place| !matches!(text[place], b' ' | b'-')).unwrap_or(text.len());
        let (mut digits, mut end) = (0, begin);
        while is_digit(end) || (digits > 0 && matches!(text.get(end), Some(b' ' | b'-')) && is_digit(end + 1))
        {
            digits += usize::from(is_digit(end));
            end += 1;
        }
        if digits >= shortest {
            found(begin..end);
        }
        at = end.max(at + 1);
    }
}

/// Gives `found` each card number in a run of digits that may be grouped by single blanks or dashes. `before` is the byte before
/// the run.
pub(crate) fn find(run: &[u8], before: Option<u8>, mut found: impl FnMut(Range<usize>)) {
    let is_digit = |at: usize| run.get(at).is_some_and(u8::is_ascii_digit);
    let mut begin = 0;
    while begin < run.len() {
        let after_digit =
            if begin == 0 { before.is_some_and(|byte| byte.is_ascii_digit()) } else { is_digit(begin - 1) };
        if after_digit || !matches!(run[begin], b'2'..=b'6') {
            begin += 1;
            continue;
        }
        match longest(&run[begin..]) {
            Some(length) => {
                found(begin..begin + length);
                begin += length;
            }
            None => begin += 1,
        }
    }
}

/// How many bytes the longest card number has that the run begins with.
fn longest(run: &[u8]) -> Option<usize> {
    let (mut digits, mut count, mut longest) = ([0; 19], 0, None);
    for (at, byte) in run.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        if count == *DIGITS.end() {
            break;
        }
        digits[count] = byte - b'0';
        count += 1;
        let ends = !run.get(at + 1).is_some_and(u8::is_ascii_digit);
        if ends && DIGITS.contains(&count) && is_valid(&digits[..count]) {
            longest = Some(at + 1);
        }
    }
    longest
}

/// The check digit of ISO/IEC 7812-1, annex B (Luhn).
fn is_valid(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let value =
        |(place, &digit): (usize, &u8)| u32::from(if place % 2 == 1 { doubled(digit) } else { digit });
    digits.iter().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}
