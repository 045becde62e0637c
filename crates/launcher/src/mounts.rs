//! Which parts of the file system are mounts of their own: volumes, secrets, what the runtime provides.
//!
//! The image may choose places on its own file system. A place on, or above, anything else that is
//! mounted is not its to open.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use kubefence_launch_plan::judge::related;

/// Mount points of this process, as `/proc/self/mountinfo` lists them.
pub(crate) struct Mounts(Vec<Vec<u8>>);

impl Mounts {
    /// Reads the mount points from the text of mountinfo (proc_pid_mountinfo(5)).
    pub(crate) fn parse(mountinfo: &[u8]) -> Self {
        let points = mountinfo.split(|b| *b == b'\n').filter_map(|line| {
            let point = line.split(|b| *b == b' ').nth(4)?;
            Some(unescape(point))
        });
        Self(points.filter(|point| point != b"/").collect())
    }

    /// Whether anything but the root file system is mounted at, above or below `path`.
    pub(crate) fn touch(&self, path: &[u8]) -> bool {
        self.0.iter().any(|point| related(path, point))
    }
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|d| OsStr::from_bytes(d).to_str());
        match code.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"22 1 0:20 / / rw - overlay overlay rw\n\
        23 22 0:21 / /proc rw,nosuid - proc proc rw\n\
        24 22 8:1 /x /data rw shared:1 master:2 - ext4 /dev/vda rw\n\
        25 22 8:1 /y /a\\040b\\134 rw - ext4 /dev/vda rw\n";

    #[test]
    fn volumes_and_what_holds_them_are_found() {
        let mounts = Mounts::parse(INFO);
        for path in [
            &b"/data"[..],
            b"/data/x",
            b"/",
            b"/proc/1",
            b"/a b\\",
            b"/a b\\/c",
        ] {
            assert!(mounts.touch(path), "{}", path.escape_ascii());
        }
        for path in [&b"/dat"[..], b"/database", b"/a", b"/a b", b"/home/u"] {
            assert!(!mounts.touch(path), "{}", path.escape_ascii());
        }
    }

    #[test]
    fn an_empty_list_is_no_obstacle() {
        assert!(!Mounts::parse(b"").touch(b"/data"));
    }
}
