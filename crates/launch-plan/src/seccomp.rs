//! Seccomp filters as a plan carries them: compiled on the host, chosen and put together at launch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A processor architecture: system call numbers differ between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// The architecture that this program was built for; `None` where no filters exist.
    pub fn own() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }
}

/// One filter for one architecture.
///
/// What is installed is the `allowances` that apply, one after the other, followed by `program`: a system
/// call that no allowance decides falls through to what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeccompFilter {
    /// What asked for the filter. For people.
    pub name: String,
    /// The architecture that it was compiled for. Another one cannot start under the plan.
    pub arch: Arch,
    /// What comes before the program for processes that can have certain capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowances: Vec<CapabilityAllowance>,
    /// The program: it decides every system call.
    pub program: Bpf,
}

/// Instructions that stand before a filter's program if one of some capabilities is in the bounding set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityAllowance {
    /// Numbers of the capabilities (capabilities(7)), any of which is enough.
    pub any_of: Vec<u8>,
    /// Instructions that decide some system calls and run off their end for all others.
    pub instructions: Bpf,
}

/// Classic BPF instructions as the kernel takes them, in the byte order of the architecture (little
/// endian). Written as hexadecimal digits, 16 for each instruction.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bpf(Vec<u64>);

/// Text that is no [`Bpf`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not BPF instructions: 16 hexadecimal digits for each are expected")]
pub struct InvalidBpf;

impl Bpf {
    /// Instructions, each as the eight bytes of a `struct sock_filter` read as a little-endian number.
    pub fn new(instructions: Vec<u64>) -> Self {
        Self(instructions)
    }

    /// The instructions, in order.
    pub fn instructions(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Debug for Bpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bpf({} instructions)", self.0.len())
    }
}

impl TryFrom<String> for Bpf {
    type Error = InvalidBpf;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (chunks, rest) = text.as_bytes().as_chunks::<16>();
        if !rest.is_empty() {
            return Err(InvalidBpf);
        }
        let instruction = |digits: &[u8; 16]| {
            digits.iter().try_fold(0u64, |number, digit| {
                let digit = char::from(*digit).to_digit(16).ok_or(InvalidBpf)?;
                Ok(number << 4 | u64::from(digit))
            })
        };
        chunks
            .iter()
            .map(instruction)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<Bpf> for String {
    fn from(bpf: Bpf) -> Self {
        use fmt::Write as _;

        let mut text = String::with_capacity(bpf.0.len() * 16);
        for instruction in bpf.0 {
            write!(text, "{instruction:016x}").expect("writing to a String cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_round_trip() {
        let bpf = Bpf::new(vec![0, 1, u64::MAX, 0x1234_5678_9abc_def0]);
        let text = String::from(bpf.clone());
        assert_eq!(text.len(), 64);
        assert_eq!(Bpf::try_from(text), Ok(bpf));
        for bad in ["0", "000000000000000g", "00000000000000000"] {
            assert_eq!(Bpf::try_from(bad.to_owned()), Err(InvalidBpf), "{bad}");
        }
    }
}
