//! The kinds of access that profiles speak of, and the Landlock rights each stands for.

use kubefence_launch_plan::{FsRight, FsRights};
use serde::Deserialize;

/// A kind of access to a file or directory tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read files, list directories, execute programs.
    Read,
    /// Read files, list directories.
    ReadData,
    /// Create, change, move and remove files, directories, links, sockets and pipes.
    Write,
    /// [`Access::Read`] and [`Access::Write`].
    Readwrite,
    /// [`Access::ReadData`] and [`Access::Write`]: nothing there can be executed.
    ReadwriteData,
    /// Read from and write to a device.
    Device,
    /// Read from, write to and control a terminal (ioctl).
    Terminal,
}

const READ_DATA: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir]);
const READ: FsRights = READ_DATA.union(FsRights::of(&[FsRight::Execute]));
/// Creating device nodes is left out on purpose: a node that a container may create reaches the
/// host's disks (FsRight::MakeBlock) or kernel memory (FsRight::MakeChar).
const WRITE: FsRights = FsRights::of(&[
    FsRight::WriteFile,
    FsRight::Truncate,
    FsRight::RemoveDir,
    FsRight::RemoveFile,
    FsRight::MakeDir,
    FsRight::MakeReg,
    FsRight::MakeSock,
    FsRight::MakeFifo,
    FsRight::MakeSym,
    FsRight::Refer,
]);
const DEVICE: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::WriteFile]);
/// Listing is part of it because `/dev/pts` is a directory.
const TERMINAL: FsRights = DEVICE.union(FsRights::of(&[FsRight::ReadDir, FsRight::IoctlDev]));

impl Access {
    /// The Landlock rights that the kind stands for.
    pub fn rights(self) -> FsRights {
        match self {
            Self::Read => READ,
            Self::ReadData => READ_DATA,
            Self::Write => WRITE,
            Self::Readwrite => READ.union(WRITE),
            Self::ReadwriteData => READ_DATA.union(WRITE),
            Self::Device => DEVICE,
            Self::Terminal => TERMINAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_access_creates_device_nodes() {
        for access in [
            Access::Read,
            Access::Write,
            Access::Readwrite,
            Access::ReadwriteData,
            Access::Terminal,
        ] {
            for right in [FsRight::MakeChar, FsRight::MakeBlock] {
                assert!(
                    !access.rights().contains(right),
                    "{access:?} grants {right}"
                );
            }
        }
    }

    #[test]
    fn data_cannot_be_executed() {
        for access in [
            Access::ReadData,
            Access::ReadwriteData,
            Access::Device,
            Access::Terminal,
            Access::Write,
        ] {
            assert!(
                !access.rights().contains(FsRight::Execute),
                "{access:?} grants execute"
            );
        }
    }
}
