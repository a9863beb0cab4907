//! Reads `/proc/<pid>/maps` (see `proc_pid_maps(5)`): which files a process has mapped, and where. Pure: gets the text.

use std::ops::Range;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) range: Range<usize>,
    pub(crate) readable: bool,
    /// The file's path, a name such as `[heap]`, or empty.
    pub(crate) path: String,
}

/// What is mapped of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// The lowest address.
    pub(crate) base: usize,
    /// What can be read, ascending; ranges that touch are one.
    pub(crate) ranges: Vec<Range<usize>>,
}

/// The lines of the file that can be understood.
pub(crate) fn parse(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let (start, end) = word().split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let range = address(start)?..address(end)?;
    let readable = word().starts_with('r');
    let (_offset, _device, _inode) = (word(), word(), word());
    let path = rest.strip_suffix(" (deleted)").unwrap_or(rest).to_owned();
    (range.start < range.end).then_some(Mapping { range, readable, path })
}

/// The last part of a path, whichever way its slashes lean.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The module `wanted`: a whole path, or a file's name without its folder.
///
/// Memory without a file that follows a module directly is part of it: its zeroed variables, and sections that a Windows
/// loader copied.
pub(crate) fn module(mappings: &[Mapping], wanted: &str) -> Option<Module> {
    let whole = wanted.contains('/');
    let is_wanted =
        |mapping: &Mapping| if whole { mapping.path == wanted } else { file_name(&mapping.path) == wanted };
    let mut module: Option<Module> = None;
    let mut reach = 0;
    for mapping in mappings {
        let continues = mapping.path.is_empty() && mapping.range.start == reach;
        if wanted.is_empty() || !(is_wanted(mapping) || continues) {
            continue;
        }
        reach = mapping.range.end;
        let module = module.get_or_insert_with(|| Module { base: mapping.range.start, ranges: Vec::new() });
        if mapping.readable {
            match module.ranges.last_mut() {
                Some(last) if last.end == mapping.range.start => last.end = mapping.range.end,
                _ => module.ranges.push(mapping.range.clone()),
            }
        }
    }
    module
}

/// The names of all mapped files, in the order in which they are first seen.
pub(crate) fn module_names(mappings: &[Mapping]) -> Vec<&str> {
    let mut names = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.path.starts_with('/')) {
        let name = file_name(&mapping.path);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
55d0c0000000-55d0c0001000 r--p 00000000 fd:01 1234                       /opt/my game/arcade
55d0c0001000-55d0c0005000 r-xp 00001000 fd:01 1234                       /opt/my game/arcade
55d0c0006000-55d0c0007000 rw-p 00005000 fd:01 1234                       /opt/my game/arcade
55d0c0007000-55d0c0009000 rw-p 00000000 00:00 0 
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 r--p 00000000 fd:01 99                         /usr/lib/libc.so.6 (deleted)
7f0000001000-7f0000002000 ---p 00001000 fd:01 99                         /usr/lib/libc.so.6 (deleted)
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                          [vdso]
nonsense
";

    #[test]
    fn a_module_is_its_mappings_and_what_follows_them_directly() {
        let mappings = parse(TEXT);
        assert_eq!(mappings.len(), 8);
        let ranges = vec![0x55d0_c000_0000..0x55d0_c000_5000, 0x55d0_c000_6000..0x55d0_c000_9000];
        let expected = Module { base: 0x55d0_c000_0000, ranges };
        assert_eq!(module(&mappings, "arcade").unwrap(), expected);
        assert_eq!(module(&mappings, "/opt/my game/arcade").unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_not_searched() {
        let module = module(&parse(TEXT), "libc.so.6").unwrap();
        assert_eq!(module.ranges, vec![0x7f00_0000_0000..0x7f00_0000_1000]);
    }

    #[test]
    fn an_absent_module_is_none_and_the_others_have_names() {
        let mappings = parse(TEXT);
        assert_eq!(module(&mappings, "libm.so.6"), None);
        assert_eq!(module(&mappings, ""), None);
        assert_eq!(module(&mappings, "/lib/arcade"), None);
        assert_eq!(module_names(&mappings), ["arcade", "libc.so.6"]);
    }

    #[test]
    fn the_file_name_of_a_windows_path_is_found() {
        assert_eq!(file_name(r"C:\games\eldenring.exe"), "eldenring.exe");
    }
}
