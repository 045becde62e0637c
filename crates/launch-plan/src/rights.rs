//! Landlock's rights by name, each with the ABI that introduced it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Landlock ABI version as the kernel reports it; 0 means that Landlock is not available.
pub type Abi = u32;

macro_rules! rights {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal since $abi:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every right of this kind, in the kernel's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The right as plans spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The Landlock ABI that introduced it.
            pub fn since(self) -> Abi {
                match self { $(Self::$variant => $abi,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

rights! {
    /// A right to act on a file or directory.
    FsRight {
        /// Execute a file.
        Execute = "execute" since 1,
        /// Open a file for writing.
        WriteFile = "write_file" since 1,
        /// Open a file for reading.
        ReadFile = "read_file" since 1,
        /// List a directory.
        ReadDir = "read_dir" since 1,
        /// Remove an empty directory.
        RemoveDir = "remove_dir" since 1,
        /// Remove a file.
        RemoveFile = "remove_file" since 1,
        /// Create a character device.
        MakeChar = "make_char" since 1,
        /// Create a directory.
        MakeDir = "make_dir" since 1,
        /// Create a regular file.
        MakeReg = "make_reg" since 1,
        /// Create a unix socket.
        MakeSock = "make_sock" since 1,
        /// Create a named pipe.
        MakeFifo = "make_fifo" since 1,
        /// Create a block device.
        MakeBlock = "make_block" since 1,
        /// Create a symbolic link.
        MakeSym = "make_sym" since 1,
        /// Link or rename between directories.
        Refer = "refer" since 2,
        /// Truncate a file.
        Truncate = "truncate" since 3,
        /// Send ioctl commands to a device.
        IoctlDev = "ioctl_dev" since 5,
    }
}

rights! {
    /// A right to use a TCP port.
    NetRight {
        /// Bind a local port.
        BindTcp = "bind_tcp" since 4,
        /// Connect to a remote port.
        ConnectTcp = "connect_tcp" since 4,
    }
}

rights! {
    /// A barrier between the sandbox and processes outside it.
    Scope {
        /// Abstract unix sockets that were created outside cannot be connected to.
        AbstractUnixSocket = "abstract_unix_socket" since 6,
        /// Processes outside cannot be signalled.
        Signal = "signal" since 6,
    }
}

/// A set of [`FsRight`], kept in the kernel's order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FsRights(u32);

impl FsRights {
    /// The set without rights.
    pub const EMPTY: Self = Self(0);

    /// Read files, list directories, execute programs.
    pub const READ: Self = Self::of(&[FsRight::ReadFile, FsRight::ReadDir, FsRight::Execute]);

    /// Create, change, move and remove files, directories, links, sockets and pipes.
    ///
    /// Creating device nodes is left out on purpose: a node that a container may create reaches the
    /// host's disks ([`FsRight::MakeBlock`]) or kernel memory ([`FsRight::MakeChar`]).
    pub const WRITE: Self = Self::of(&[
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

    /// A set of the given rights.
    pub const fn of(rights: &[FsRight]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < rights.len() {
            bits |= 1 << rights[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    /// Whether `right` is in the set.
    pub const fn contains(self, right: FsRight) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    /// Whether every right of `other` is in the set.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights of either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights that both sets have.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set has no rights.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights of the set, in the kernel's order.
    pub fn iter(self) -> impl Iterator<Item = FsRight> {
        FsRight::ALL
            .iter()
            .copied()
            .filter(move |r| self.contains(*r))
    }
}

impl FromIterator<FsRight> for FsRights {
    fn from_iter<I: IntoIterator<Item = FsRight>>(rights: I) -> Self {
        rights
            .into_iter()
            .fold(Self::EMPTY, |set, right| set.union(Self::of(&[right])))
    }
}

impl fmt::Debug for FsRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for FsRights {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for FsRights {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rights;
        impl<'de> serde::de::Visitor<'de> for Rights {
            type Value = FsRights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of file system rights")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<FsRights, A::Error> {
                let mut set = FsRights::EMPTY;
                while let Some(right) = seq.next_element::<FsRight>()? {
                    set = set.union(FsRights::of(&[right]));
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Rights)
    }
}
