//! Which system calls a part of a filter is about.

use std::collections::{BTreeMap, BTreeSet};

use kubefence_launch_plan::Arch;
use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::CompileError;
use crate::syscalls::number;

/// A condition on an argument (by index), compared with the lower 32 bits: all that the kernel reads of
/// an `int`. With all 64, junk in the upper half would lead round a refusal.
#[derive(Clone, Copy)]
pub(crate) enum Arg {
    Is(u8, u32),
    IsNot(u8, u32),
    Below(u8, u32),
    AtLeast(u8, u32),
    /// Index, mask, and what is left under the mask.
    Masked(u8, u32, u32),
}

impl Arg {
    fn compiled(self) -> Result<SeccompCondition, CompileError> {
        let (index, operator, value) = match self {
            Self::Is(index, value) => (index, SeccompCmpOp::Eq, value),
            Self::IsNot(index, value) => (index, SeccompCmpOp::Ne, value),
            Self::Below(index, value) => (index, SeccompCmpOp::Lt, value),
            Self::AtLeast(index, value) => (index, SeccompCmpOp::Ge, value),
            Self::Masked(index, mask, value) => (index, SeccompCmpOp::MaskedEq(mask.into()), value),
        };
        let width = SeccompCmpArgLen::Dword;
        Ok(SeccompCondition::new(index, width, operator, value.into())?)
    }
}

/// System calls of one architecture, some of them with conditions.
pub(crate) struct Rules {
    /// What they are for.
    pub(crate) arch: Arch,
    /// Numbers of calls with any arguments.
    pub(crate) always: BTreeSet<u32>,
    /// Numbers of others, each with rules of which one is enough.
    pub(crate) conditional: BTreeMap<i64, Vec<SeccompRule>>,
}

impl Rules {
    pub(crate) fn new(arch: Arch) -> Self {
        Self {
            arch,
            always: BTreeSet::new(),
            conditional: BTreeMap::new(),
        }
    }

    /// Adds calls with any arguments.
    pub(crate) fn all<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CompileError> {
        for name in names {
            let Some(number) = number(name, self.arch)? else {
                continue;
            };
            if self.conditional.contains_key(&number.into()) {
                return Err(CompileError::Contradiction(name.to_owned()));
            }
            self.always.insert(number);
        }
        Ok(self)
    }

    /// Adds a call whose arguments meet all of `conditions`. Of several such rules, one is enough.
    pub(crate) fn when(mut self, name: &str, conditions: &[Arg]) -> Result<Self, CompileError> {
        let Some(number) = number(name, self.arch)? else {
            return Ok(self);
        };
        if self.always.contains(&number) {
            return Err(CompileError::Contradiction(name.to_owned()));
        }
        let conditions: Result<_, _> = conditions.iter().map(|c| c.compiled()).collect();
        let rules = self.conditional.entry(number.into()).or_default();
        rules.push(SeccompRule::new(conditions?)?);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_conditional_or_not() {
        let rules = || Rules::new(Arch::X86_64);
        let [always, once] = [
            rules().all(["ioctl"]),
            rules().when("ioctl", &[Arg::Is(1, 2)]),
        ];
        assert!(always.unwrap().when("ioctl", &[Arg::Is(1, 2)]).is_err());
        assert!(once.unwrap().all(["ioctl"]).is_err());
    }
}
