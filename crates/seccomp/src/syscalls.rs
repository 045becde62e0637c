//! Names and numbers of system calls, from `data/syscalls.txt`.

use std::collections::HashMap;
use std::sync::LazyLock;

use kubefence_launch_plan::Arch;

use crate::CompileError;

const TABLE: &str = include_str!("../data/syscalls.txt");

struct Numbers {
    x86_64: Option<u32>,
    aarch64: Option<u32>,
}

impl Numbers {
    fn on(&self, arch: Arch) -> Option<u32> {
        match arch {
            Arch::X86_64 => self.x86_64,
            Arch::Aarch64 => self.aarch64,
        }
    }
}

static NUMBERS: LazyLock<HashMap<&str, Numbers>> = LazyLock::new(|| {
    let column = |text: Option<&str>| text.and_then(|number| number.parse().ok());
    let entries = names(TABLE.lines()).map(|line| {
        let mut columns = line.split(' ');
        let name = columns.next().unwrap_or_default();
        let (x86_64, aarch64) = (column(columns.next()), column(columns.next()));
        (name, Numbers { x86_64, aarch64 })
    });
    entries.collect()
});

/// The lines of a data file that are not comments.
pub(crate) fn names<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The number of the system call `name`; `None` if `arch` has none of that name.
///
/// # Errors
/// [`CompileError::UnknownSyscall`] if the table lacks the name.
pub(crate) fn number(name: &str, arch: Arch) -> Result<Option<u32>, CompileError> {
    match NUMBERS.get(name) {
        Some(numbers) => Ok(numbers.on(arch)),
        None => Err(CompileError::UnknownSyscall(name.to_owned())),
    }
}

/// Every name in the table.
#[cfg(test)]
pub(crate) fn every_name() -> impl Iterator<Item = &'static str> {
    names(TABLE.lines()).filter_map(|line| line.split(' ').next())
}

/// The highest number in the table: what lies above is newer than the filters.
pub(crate) fn highest_number(arch: Arch) -> u32 {
    let numbers = NUMBERS.values().filter_map(|numbers| numbers.on(arch));
    numbers.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_name_and_two_columns() {
        let mut previous = "";
        for line in names(TABLE.lines()) {
            let columns: Vec<&str> = line.split(' ').collect();
            let [name, x86_64, aarch64] = columns[..] else {
                panic!("{line}");
            };
            for column in [x86_64, aarch64] {
                assert!(column == "-" || column.parse::<u32>().is_ok(), "{line}");
            }
            assert!(name > previous, "{name} does not come after {previous}");
            previous = name;
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_and_an_absent_call_is_not() {
        assert!(number("no_such_call", Arch::X86_64).is_err());
        assert_eq!(number("arch_prctl", Arch::Aarch64).unwrap(), None);
        assert_eq!(number("arch_prctl", Arch::X86_64).unwrap(), Some(158));
    }
}
