//! Which parts of the file system are mounts of their own: volumes, secrets, what the runtime provides.
//!
//! Pure. The image may choose places on its own file system. A place on, or above, anything else that is
//! mounted is not its to open, unless the plan says what volumes allow.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;

use kubefence_launch_plan::judge::{at_or_below, related};

/// File systems through which the kernel shows itself: none is a volume.
const KERNEL: [&[u8]; 20] = [
    b"autofs",
    b"binfmt_misc",
    b"bpf",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"efivarfs",
    b"fusectl",
    b"mqueue",
    b"nsfs",
    b"proc",
    b"pstore",
    b"resctrl",
    b"rpc_pipefs",
    b"securityfs",
    b"sysfs",
    b"tracefs",
];

/// One mount, as a line of mountinfo tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Identifies it among the mounts that exist at the same time.
    pub(crate) id: u64,
    /// The mount that it hangs on.
    parent: u64,
    /// The device number of its file system.
    device: Vec<u8>,
    /// Which directory or file of its file system is mounted.
    root: Vec<u8>,
    /// Where.
    pub(crate) point: Vec<u8>,
    /// Whether neither the mount nor its file system is read-only.
    pub(crate) is_writable: bool,
    /// The type of its file system.
    fs_type: Vec<u8>,
}

impl Mount {
    /// Reads one line of mountinfo (proc_pid_mountinfo(5)). What a line does not tell is taken for nothing
    /// that could be allowed.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|b| *b == b' ');
        let id = number(fields.next()?);
        let parent = number(fields.next()?);
        let device = fields.next()?.to_vec();
        let root = unescape(fields.next()?).into_owned();
        let point = unescape(fields.next()?).into_owned();
        let options = fields.next().unwrap_or_default();
        // Any number of optional fields comes before the dash.
        let mut after_dash = fields.skip_while(|field| *field != b"-").skip(1);
        let fs_type = after_dash.next().unwrap_or_default().to_vec();
        let fs_options = after_dash.nth(1).unwrap_or_default();
        let is_rw = |options: &[u8]| options.split(|b| *b == b',').any(|o| o == b"rw");
        Some(Self {
            id: id.unwrap_or(0),
            parent: parent.unwrap_or(0),
            device,
            root,
            point,
            is_writable: is_rw(options) && is_rw(fs_options),
            fs_type,
        })
    }

    /// Whether it is the root directory.
    pub(crate) fn is_root(&self) -> bool {
        self.point == b"/"
    }

    fn hangs_on(&self, other: &Self) -> bool {
        self.parent == other.id && self.id != other.id
    }

    /// Whether the kernel shows itself through it.
    pub(crate) fn is_kernels(&self) -> bool {
        KERNEL.contains(&&self.fs_type[..])
    }

    /// Whether it lies in memory, as secrets do.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(&self.fs_type[..], b"tmpfs" | b"ramfs")
    }

    /// Whether it is a part of what the kubelet projects: that lies in directories whose names begin with
    /// two dots.
    pub(crate) fn is_part_of_projection(&self) -> bool {
        let mut components = self.root.split(|b| *b == b'/');
        components.any(|component| component.starts_with(b".."))
    }

    /// Where in its file system `path`, which is reached through this mount, lies.
    pub(crate) fn location(&self, path: &[u8]) -> Option<Location> {
        let [path, point, root] =
            [path, &self.point, &self.root].map(|path| path.strip_suffix(b"/").unwrap_or(path));
        let rest = path.strip_prefix(point)?;
        let is_inside = rest.is_empty() || rest.starts_with(b"/");
        let path = match [root, rest].concat() {
            path if path.is_empty() => b"/".to_vec(),
            path => path,
        };
        let device = self.device.clone();
        is_inside.then_some(Location { device, path })
    }

    /// What it shows.
    pub(crate) fn shown(&self) -> Location {
        let (device, path) = (self.device.clone(), self.root.clone());
        Location { device, path }
    }

    /// Whether what `other` shows at `path` is shown by this mount too, there or under another path.
    pub(crate) fn shows(&self, other: &Self, path: &[u8]) -> bool {
        let location = other.location(path);
        location.is_some_and(|location| location.is_within(&self.shown()))
    }
}

/// A file or directory, whichever mount shows it.
#[derive(PartialEq, Eq)]
pub(crate) struct Location {
    device: Vec<u8>,
    /// From the root of its file system.
    path: Vec<u8>,
}

impl Location {
    /// Whether it is `other`, or lies below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.device == other.device && at_or_below(&self.path, &other.path)
    }

    /// Whether it lies below `other`.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        self != other && self.is_within(other)
    }
}

/// The mounts of this process.
pub(crate) struct Mounts(pub(crate) Vec<Mount>);

impl Mounts {
    /// Reads the text of mountinfo.
    pub(crate) fn parse(mountinfo: &[u8]) -> Self {
        let lines = mountinfo.split(|b| *b == b'\n');
        Self(lines.filter_map(Mount::parse).collect())
    }

    /// Whether anything but the root file system is mounted at, above or below `path`.
    pub(crate) fn touch(&self, path: &[u8]) -> bool {
        let mut others = self.0.iter().filter(|mount| !mount.is_root());
        others.any(|mount| related(path, &mount.point))
    }

    /// The mount that what the kernel calls `path` is reached through.
    pub(crate) fn holding(&self, path: &[u8]) -> Option<&Mount> {
        let next = |on: &&Mount| {
            let is_on_way = |m: &&Mount| m.hangs_on(on) && at_or_below(path, &m.point);
            let on_way = self.0.iter().filter(is_on_way);
            on_way.min_by_key(|mount| mount.point.len())
        };
        let root = self.0.iter().find(|mount| mount.is_root());
        std::iter::successors(root, next).take(self.0.len()).last()
    }

    /// Whether another mount stands where mount number `at` or one that it hangs on would be reached. The
    /// order of the list does not tell: it is the one in which mounts were made, not that of attaching them.
    pub(crate) fn is_covered(&self, at: usize) -> bool {
        let chain: Vec<&Mount> = self.chain(at).collect();
        let is_among = |mount: &Mount| chain.iter().any(|m| m.id == mount.id);
        let covers = |mount: &Mount| {
            let hangs_on_one = chain.iter().any(|m| mount.hangs_on(m));
            hangs_on_one && at_or_below(&self.0[at].point, &mount.point) && !is_among(mount)
        };
        self.0.iter().any(covers)
    }

    /// Where mount number `at` hangs, where the mount that it hangs on does, and so on.
    pub(crate) fn hooks(&self, at: usize) -> impl Iterator<Item = Location> {
        let above = self.chain(at).skip(1);
        let pairs = self.chain(at).zip(above);
        pairs.filter_map(|(mount, on)| on.location(&mount.point))
    }

    /// Mount number `at`, the mount that it hangs on, and so on.
    fn chain(&self, at: usize) -> impl Iterator<Item = &Mount> {
        let parent = |mount: &&Mount| self.0.iter().find(|m| mount.hangs_on(m));
        // A list that leads in a circle is no reason to.
        std::iter::successors(self.0.get(at), parent).take(self.0.len())
    }
}

/// The first of `paths` at which the text of mountinfo has no mount. One that others cover is one.
pub(crate) fn missing<'a>(mountinfo: &[u8], paths: &[&'a CStr]) -> Option<&'a CStr> {
    let point = |line| <[u8]>::split(line, |b| *b == b' ').nth(4).map(unescape);
    let lines = mountinfo.split(|b| *b == b'\n');
    let mut points: Vec<Cow<[u8]>> = lines.filter_map(point).collect();
    points.sort_unstable();
    let is_at = |path: &CStr| points.binary_search_by(|point| (**point).cmp(path.to_bytes()));
    let is_missing = |path: &&&CStr| is_at(path).is_err();
    paths.iter().find(is_missing).copied()
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return text.into();
    }
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
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"22 1 0:20 / / rw - overlay overlay rw\n\
        23 22 0:21 / /proc rw,nosuid - proc proc rw\n\
        24 22 8:1 /x /data rw shared:1 master:2 - ext4 /dev/vda rw\n\
        25 22 8:1 /y /a\\040b\\134 rw - ext4 /dev/vda rw\n\
        26 22 8:1 /y/z /ro ro,noatime unbindable - ext4 /dev/vda rw,discard\n\
        27 22 0:50 /..2026_01/dir /proj rw,relatime - tmpfs tmpfs ro,size=4k\n\
        28 22 8:1 / /whole rw,rwx - ext4 /dev/vda rw\n";

    fn mounts() -> Vec<Mount> {
        Mounts::parse(INFO).0
    }

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

    #[test]
    fn every_field_is_found_whatever_stands_between() {
        let mounts = mounts();
        let ids: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [22, 23, 24, 25, 26, 27, 28]);
        let writable: Vec<bool> = mounts.iter().map(|mount| mount.is_writable).collect();
        assert_eq!(writable, [true, true, true, true, false, false, true]);
        assert!(mounts[0].is_root() && !mounts[2].is_root());
        assert!(mounts[1].is_kernels() && !mounts[2].is_kernels());
        assert!(mounts[5].is_in_memory() && !mounts[2].is_in_memory());
        assert!(mounts[5].is_part_of_projection() && !mounts[4].is_part_of_projection());
        assert_eq!(mounts[4].root, b"/y/z");
    }

    #[test]
    fn a_line_that_tells_little_still_is_a_mount() {
        let mounts = Mounts::parse(b"x 1 8:1 / /data\n");
        assert!(mounts.touch(b"/data/x") && !mounts.0[0].is_writable);
    }

    #[test]
    fn one_file_system_shows_through_several_mounts() {
        let mounts = mounts();
        let [data, other, inner, whole] = [2, 3, 4, 6].map(|i| &mounts[i]);
        assert!(data.shows(data, b"/data/u") && whole.shows(data, b"/data/u"));
        assert!(other.shows(inner, b"/ro/u") && other.shows(whole, b"/whole/y/u"));
        assert!(!other.shows(data, b"/data/u") && !inner.shows(other, b"/a b\\/u"));
        assert!(!mounts[5].shows(whole, b"/whole/..2026_01/dir"));
        assert!(whole.shows(whole, b"/whole") && whole.shows(whole, b"/whole/"));
        assert!(data.location(b"/database").is_none());
    }

    #[test]
    fn the_first_path_without_a_mount_is_found() {
        let there = [c"/", c"/data", c"/a b\\", c"/data", c"/whole", c"/proc"];
        assert_eq!(missing(INFO, &there), None);
        assert_eq!(missing(INFO, &[]), None);
        for absent in [c"/dat", c"/data/x", c"/a\\040b\\134", c"/a b", c"/x", c""] {
            assert_eq!(missing(INFO, &[c"/data", absent, c"/z"]), Some(absent));
        }
        assert_eq!(missing(b"", &[c"/"]), Some(c"/"));
        assert_eq!(missing(b"1 2 3\n\n", &[c"/"]), Some(c"/"));
    }

    #[test]
    fn where_a_mount_hangs_is_known_whatever_it_is_called() {
        let mounts = Mounts::parse(
            b"22 1 0:20 / / rw - overlay overlay rw\n\
            23 22 8:1 /v /a rw - ext4 /dev/vda rw\n\
            24 22 8:1 /v /b rw - ext4 /dev/vda rw\n\
            25 24 8:2 / /b/t rw - ext4 /dev/vdb rw\n\
            26 25 0:50 / /b/t/k rw - tmpfs tmpfs rw\n\
            27 24 8:1 /w /b rw - ext4 /dev/vda rw\n\
            28 28 8:1 /w /c rw - ext4 /dev/vda rw\n",
        );
        let hangs_in = |at: usize, place: &[u8]| {
            let place = mounts.0[1].location(place).unwrap();
            mounts.hooks(at).any(|hook| hook.is_within(&place))
        };
        for place in [&b"/a"[..], b"/a/t"] {
            assert!(hangs_in(4, place) && hangs_in(3, place));
        }
        assert!(!hangs_in(4, b"/a/x") && !hangs_in(1, b"/a") && !hangs_in(6, b"/a"));
        assert_eq!(mounts.holding(b"/b/t/x").map(|m| m.id), Some(27));
        assert_eq!(mounts.holding(b"/b/x").map(|m| m.id), Some(27));
        assert_eq!(mounts.holding(b"/x").map(|m| m.id), Some(22));
        let covered: Vec<bool> = (0..7).map(|at| mounts.is_covered(at)).collect();
        assert_eq!(covered, [false, false, true, true, true, false, false]);
    }
}
