//! Enough of ELF to tell whether a program can run from an image that holds nothing else.

use anyhow::{Context as _, ensure};

use super::Arch;

const MAGIC: &[u8] = b"\x7fELF";
/// 64 bits, least significant byte first.
const CLASS_AND_ORDER: [u8; 2] = [2, 1];
/// Type of the program header that names a dynamic loader.
const INTERPRETER: u32 = 3;

/// Checks that `program` is one for `arch`, and needs no dynamic loader.
pub(super) fn check(program: &[u8], arch: Arch) -> anyhow::Result<()> {
    ensure!(
        program.starts_with(MAGIC) && program.get(4..6) == Some(&CLASS_AND_ORDER),
        "it is no 64-bit ELF program"
    );
    let machine = half(program, 18)?;
    let expected = match arch {
        Arch::Amd64 => 62,
        Arch::Arm64 => 183,
    };
    ensure!(
        machine == expected,
        "it is built for another architecture than {} (ELF machine {machine} instead of {expected})",
        arch.as_str()
    );
    let table = usize::try_from(u64::from_le_bytes(bytes(program, 32)?))?;
    let (size, count) = (
        usize::from(half(program, 54)?),
        usize::from(half(program, 56)?),
    );
    for i in 0..count {
        let header = table
            .checked_add(i * size)
            .context("its header is damaged")?;
        let kind = u32::from_le_bytes(bytes(program, header)?);
        ensure!(
            kind != INTERPRETER,
            "it needs a dynamic loader, which the image has not"
        );
    }
    Ok(())
}

fn half(program: &[u8], at: usize) -> anyhow::Result<u16> {
    Ok(u16::from_le_bytes(bytes(program, at)?))
}

fn bytes<const N: usize>(program: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    let end = at.checked_add(N);
    let found = end.and_then(|end| program.get(at..end));
    Ok(found.context("its header is damaged")?.try_into()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The smallest program: a header, and one program header of this type.
    pub(crate) fn program(machine: u16, kind: u32) -> Vec<u8> {
        let mut program = vec![0; 64 + 56];
        program[..4].copy_from_slice(MAGIC);
        program[4..6].copy_from_slice(&CLASS_AND_ORDER);
        program[18..20].copy_from_slice(&machine.to_le_bytes());
        program[32..40].copy_from_slice(&64_u64.to_le_bytes());
        program[54..56].copy_from_slice(&56_u16.to_le_bytes());
        program[56..58].copy_from_slice(&1_u16.to_le_bytes());
        program[64..68].copy_from_slice(&kind.to_le_bytes());
        program
    }

    fn refusal(program: &[u8], arch: Arch) -> String {
        check(program, arch).unwrap_err().to_string()
    }

    #[test]
    fn static_programs_of_the_architecture_pass() {
        check(&program(62, 1), Arch::Amd64).unwrap();
        check(&program(183, 1), Arch::Arm64).unwrap();
    }

    #[test]
    fn all_else_is_refused() {
        assert!(refusal(&program(62, 1), Arch::Arm64).contains("another architecture than arm64"));
        assert!(refusal(&program(62, 3), Arch::Amd64).contains("dynamic loader"));
        assert!(refusal(b"#!/bin/sh\n", Arch::Amd64).contains("no 64-bit ELF"));
        assert!(refusal(b"", Arch::Amd64).contains("no 64-bit ELF"));
        for length in [6, 20, 58, 66] {
            assert!(refusal(&program(62, 1)[..length], Arch::Amd64).contains("damaged"));
        }
        let mut far = program(62, 1);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(refusal(&far, Arch::Amd64).contains("damaged"));
    }

    #[test]
    fn this_very_test_is_told_from_a_static_program() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(refusal(&own, Arch::of_host().unwrap()).contains("dynamic loader"));
    }
}
