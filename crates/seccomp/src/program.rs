//! From rules to instructions: the one place that talks to the compiler.
//!
//! Calls with conditions on arguments are the compiler's; comparing numbers is done here, by ranges. The
//! compiler makes whole programs with one answer for what matches and one for what does not. A filter
//! here has several answers, so it is put together from fragments: programs whose answer for what does not
//! match is replaced by going on after their end. The fragments stand in order, the first answer counts.

use std::collections::BTreeSet;

use kubefence_launch_plan::{Arch, Bpf};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

use crate::CompileError;
use crate::rules::Rules;
use crate::syscalls::highest_number;
use crate::uapi;

/// How many instructions the kernel takes as one filter.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// The answer for what does not match, until it is replaced: no filter here uses it.
const ELSEWHERE: SeccompAction = SeccompAction::Trap;

/// The first number of the x32 variant of a system call, which x86_64 kernels take if built for it.
const X32: u32 = 0x4000_0000;

// Opcodes of classic BPF (linux/bpf_common.h), as far as they occur outside of the compiler.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Where `struct seccomp_data` has the system call's number.
const NUMBER_OFFSET: u32 = 0;

/// The answer that lets a call through.
pub(crate) const ALLOW: SeccompAction = SeccompAction::Allow;

/// The answer that refuses a call, with an error number of errno(3).
pub(crate) const fn refuse(errno: u32) -> SeccompAction {
    SeccompAction::Errno(errno)
}

/// A program under construction.
pub(crate) struct Program(BpfProgram);

impl Program {
    /// Begins with the end of processes that make calls of another architecture: their numbers mean other
    /// calls.
    pub(crate) fn new(arch: Arch) -> Result<Self, CompileError> {
        let mut whole = compile(Rules::new(arch), &ALLOW)?;
        match whole.pop() {
            Some(last) if last == answer(&ELSEWHERE) => Ok(Self(whole)),
            _ => Err(CompileError::Shape),
        }
    }

    /// Answers ENOSYS to numbers above all that the table knows, so that programs fall back on older calls.
    pub(crate) fn refuse_newer(self, arch: Arch) -> Self {
        self.refuse_above(highest_number(arch))
    }

    /// Answers ENOSYS to calls of the x32 variant, of which the rules do not know.
    pub(crate) fn refuse_x32(self) -> Self {
        self.refuse_above(X32 - 1)
    }

    fn refuse_above(mut self, number: u32) -> Self {
        self.0.extend([
            instruction(LOAD, 0, 0, NUMBER_OFFSET),
            instruction(JUMP_IF_GREATER, 0, 1, number),
            answer(&refuse(uapi::ENOSYS)),
        ]);
        self
    }

    /// Gives `action` as the answer to what `rules` say.
    pub(crate) fn then(
        mut self,
        rules: Rules,
        action: &SeccompAction,
    ) -> Result<Self, CompileError> {
        self.0.extend(ranges(&rules.always, action));
        self.0.extend(conditional(rules, action)?);
        Ok(self)
    }

    /// Gives `action` as the answer to everything else.
    pub(crate) fn otherwise(mut self, action: &SeccompAction) -> Self {
        self.0.push(answer(action));
        self
    }

    /// The instructions. Without [`Program::otherwise`], they leave everything else to what follows them.
    pub(crate) fn encode(self) -> Result<Bpf, CompileError> {
        match self.0.len() {
            len if len > MAX_INSTRUCTIONS => Err(CompileError::TooLong(len)),
            _ => Ok(Bpf::new(self.0.iter().map(encoded).collect())),
        }
    }
}

/// Instructions that answer `action` to the calls `numbers`, and go on after their end with all else. The
/// compiler would compare with one number after the other: the kernel interprets the program for every
/// call when it is installed, and that time is part of a container's start.
fn ranges(numbers: &BTreeSet<u32>, action: &SeccompAction) -> BpfProgram {
    let mut body = Vec::new();
    let mut rest = numbers.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if_eq(&(last + 1)) {
            last = next;
        }
        body.extend([
            instruction(JUMP_IF_AT_LEAST, 0, 2, first),
            instruction(JUMP_IF_GREATER, 1, 0, last),
            answer(action),
        ]);
    }
    if !body.is_empty() {
        body.insert(0, instruction(LOAD, 0, 0, NUMBER_OFFSET));
    }
    body
}

/// The same for calls with conditions. The architecture must have been checked.
fn conditional(rules: Rules, action: &SeccompAction) -> Result<BpfProgram, CompileError> {
    let prologue = Program::new(rules.arch)?.0;
    let whole = compile(rules, action)?;
    let body = whole.strip_prefix(&prologue[..]);
    let body = body.and_then(|body| body.strip_suffix(&[answer(&ELSEWHERE)]));
    let mut body = body.ok_or(CompileError::Shape)?.to_vec();
    let end = body.len();
    for (index, instruction) in body.iter_mut().enumerate() {
        if *instruction == answer(&ELSEWHERE) {
            *instruction = jump(end - index - 1);
        }
    }
    Ok(body)
}

fn compile(rules: Rules, action: &SeccompAction) -> Result<BpfProgram, CompileError> {
    let target = match rules.arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
    };
    let filter = SeccompFilter::new(rules.conditional, ELSEWHERE, action.clone(), target)?;
    Ok(filter.try_into()?)
}

fn answer(action: &SeccompAction) -> sock_filter {
    instruction(RETURN, 0, 0, action.clone().into())
}

/// A jump over the next `distance` instructions.
fn jump(distance: usize) -> sock_filter {
    let distance = u32::try_from(distance).expect("programs are short");
    instruction(JUMP, 0, 0, distance)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The eight bytes of an instruction, read as a little-endian number.
fn encoded(instruction: &sock_filter) -> u64 {
    let sock_filter { code, jt, jf, k } = instruction;
    u64::from(*code) | u64::from(*jt) << 16 | u64::from(*jf) << 24 | u64::from(*k) << 32
}
