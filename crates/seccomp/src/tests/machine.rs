//! Classic BPF as far as seccomp filters use it.

use kubefence_launch_plan::Arch;

/// What a program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    Errno(u32),
    Kill,
}

/// A system call as a filter sees it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) arch: u32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    pub(super) fn new(arch: Arch, number: u32, args: &[u64]) -> Self {
        let arch = match arch {
            Arch::X86_64 => 0xc000_003e,
            Arch::Aarch64 => 0xc000_00b7,
        };
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let args = all;
        Self { arch, number, args }
    }

    /// The 32-bit word at `offset` of `struct seccomp_data`.
    fn word(&self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0);
        let half = |value: u64, upper: bool| (value >> if upper { 32 } else { 0 }) as u32;
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => half(self.args[(offset as usize - 16) / 8], offset % 8 == 4),
            _ => panic!("load at {offset}"),
        }
    }
}

/// Runs a program: its answer, and whether it looked at arguments on the way.
pub(super) fn run(program: &[u64], call: &Call) -> (Answer, bool) {
    let (mut pc, mut accumulator, mut read_arguments) = (0, 0, false);
    loop {
        let instruction = program[pc];
        let (code, k) = (instruction as u16, (instruction >> 32) as u32);
        let (jt, jf) = ((instruction >> 16) as u8, (instruction >> 24) as u8);
        pc += 1;
        let branch = |condition| usize::from(if condition { jt } else { jf });
        match code {
            0x20 => {
                accumulator = call.word(k);
                read_arguments |= k >= 16;
            }
            0x54 => accumulator &= k,
            0x05 => pc += k as usize,
            0x15 => pc += branch(accumulator == k),
            0x25 => pc += branch(accumulator > k),
            0x35 => pc += branch(accumulator >= k),
            0x06 => return (answer(k), read_arguments),
            _ => panic!("instruction {code:#x}"),
        }
    }
}

fn answer(k: u32) -> Answer {
    match k & 0xffff_0000 {
        0x7fff_0000 => Answer::Allow,
        0x0005_0000 => Answer::Errno(k & 0xffff),
        0x8000_0000 => Answer::Kill,
        _ => panic!("answer {k:#x}"),
    }
}
