//! The kinds of access that profiles speak of, and the Landlock rights each stands for.

use kubefence_launch_plan::{Create, FsRight, FsRights};

/// A kind of access to a file or directory tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// Read and execute one file; earns nothing where a directory stands.
    ReadFile,
    /// Write one file; earns nothing where a directory stands.
    WriteFile,
    /// [`Access::ReadFile`] and [`Access::WriteFile`].
    ReadwriteFile,
    /// [`Access::Readwrite`] in a directory that is made before the launch if it does not exist.
    State,
    /// Read and write one file that is made before the launch if it does not exist.
    StateFile,
}

const READ_DATA: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir]);
const READ: FsRights = FsRights::READ;
const WRITE: FsRights = FsRights::WRITE;
const DEVICE: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::WriteFile]);
const READ_FILE: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::Execute]);
const WRITE_FILE: FsRights = FsRights::of(&[FsRight::WriteFile, FsRight::Truncate]);
const STATE_FILE: FsRights = FsRights::of(&[FsRight::ReadFile]).union(WRITE_FILE);
/// Listing is part of it because `/dev/pts` is a directory.
const TERMINAL: FsRights = DEVICE.union(FsRights::of(&[FsRight::ReadDir, FsRight::IoctlDev]));

impl Access {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::ReadData,
        Self::Write,
        Self::Readwrite,
        Self::ReadwriteData,
        Self::Device,
        Self::Terminal,
        Self::ReadFile,
        Self::WriteFile,
        Self::ReadwriteFile,
        Self::State,
        Self::StateFile,
    ];

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
            Self::ReadFile => READ_FILE,
            Self::WriteFile => WRITE_FILE,
            Self::ReadwriteFile => READ_FILE.union(WRITE_FILE),
            Self::State => READ.union(WRITE),
            Self::StateFile => STATE_FILE,
        }
    }

    /// What the launcher makes where nothing stands yet.
    pub fn create(self) -> Option<Create> {
        match self {
            Self::State => Some(Create::Directory),
            Self::StateFile => Some(Create::File),
            _ => None,
        }
    }

    /// The kind as groups spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadData => "read_data",
            Self::Write => "write",
            Self::Readwrite => "readwrite",
            Self::ReadwriteData => "readwrite_data",
            Self::Device => "device",
            Self::Terminal => "terminal",
            Self::ReadFile => "read_file",
            Self::WriteFile => "write_file",
            Self::ReadwriteFile => "readwrite_file",
            Self::State => "state",
            Self::StateFile => "state_file",
        }
    }

    /// The kind that groups spell so.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_access_creates_device_nodes() {
        for access in Access::ALL {
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
            Access::WriteFile,
            Access::StateFile,
        ] {
            let rights = access.rights();
            assert!(
                !rights.contains(FsRight::Execute),
                "{access:?} grants execute"
            );
        }
    }

    #[test]
    fn names_are_read_back() {
        for access in Access::ALL {
            assert_eq!(Access::parse(access.name()), Some(access));
        }
    }
}
